"""Keeps a broker's absence from filling the log.

The client library says the same hundreds of times a second.
"""

import logging
from typing import Final

SECONDS: Final = 5.0
"""A message of the same wording comes at most once in this time."""


class OncePer(logging.Filter):
    """Lets a wording through once in so many seconds, whatever its arguments.

    Args:
        seconds: between two lines of the same wording.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be logged."""
        wording = str(record.msg)
        if record.created - self._last.get(wording, float("-inf")) < self._seconds:
            return False
        self._last[wording] = record.created
        return True


def quieten(prefix: str = "aiokafka") -> None:
    """Thin out the repeated warnings of a library's loggers."""
    once = OncePer(SECONDS)
    for name in [prefix, *logging.root.manager.loggerDict]:
        if name == prefix or name.startswith(prefix + "."):
            logging.getLogger(name).addFilter(once)
