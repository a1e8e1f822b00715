"""The end of a worker's patience: a stop takes no longer than it may, whatever does not answer.

A stop waits for Kafka: for the running transaction, for the consumer's thread, for the group to be left.
Clients retry for as long as a broker is silent, so waiting has to be ended from outside. Nothing is lost by
it: what was not committed is done again by the next owner of the partitions, as after SIGKILL.
"""

import logging
import os
import threading
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

GAVE_UP: Final = 143
"""Exit code of a stop that was given up, as of a process that SIGTERM ended: it was told to stop, and the
running cycle was not committed or the group not left."""


class Stopping:
    """What a worker that was told to stop waits for, and for how long.

    A thread counts the seconds: the event loop may wait for a thread itself.

    Args:
        seconds: From `begin` on.
        leave: Ends the process with an exit code, at once; with nothing that could wait again.
    """

    def __init__(self, seconds: float, *, leave: Callable[[int], object] = os._exit) -> None:
        self.waits_for = "the start to be given up"
        """What is being waited for now; changed as the stop goes on."""
        self._seconds = seconds
        self._leave = leave
        self._timer: threading.Timer | None = None

    def begin(self) -> None:
        """Give the stop its seconds; a second call does not give it more."""
        if self._timer is None:
            self._timer = threading.Timer(self._seconds, self.give_up)
            # Counts on while the process ends, and does not keep it from ending.
            self._timer.daemon = True
            self._timer.start()

    def give_up(self) -> None:
        """Say what did not come, and end the process."""
        log.error(
            "stop given up after %g s (FRESHSLATE_STOP_SECONDS), waiting for %s. Nothing is lost: what was "
            "not committed is done again by the next owner of the partitions",
            self._seconds,
            self.waits_for,
        )
        self._leave(GAVE_UP)
