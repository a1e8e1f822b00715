"""The file of business rules: read at the start, watched, and put in force when it changes.

A file that cannot be followed is refused, and the rules before it stay in force. At the start there are
none, so there it stops the worker.
"""

import asyncio
import logging
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from state.errors import InvalidRules, SetupError
from state.reranking.rules import Rules, parse_rules
from stream.metrics import RULES_INFO, RULES_REFUSED, Metrics

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0
"""Between two looks at the file."""


class RulesFile:
    """Keeps the rules in force equal to a file.

    Args:
        path: TOML, as in docs/rules.md.
        follow: Takes rules that are to be in force.
        metrics: Count refusals and name the version in force.

    Raises:
        SetupError: The file cannot be followed.
    """

    def __init__(self, path: Path, follow: Callable[[Rules], None], metrics: Metrics) -> None:
        self._path = path
        self._follow = follow
        self._metrics = metrics
        self._version = ""
        self._seen: bytes | str | None = self._look()
        try:
            self._put_in_force(read_rules(self._seen))
        except InvalidRules as error:
            raise SetupError(told(path, error)) from None

    async def watch(self) -> None:
        """Look at the file for ever."""
        self._tell()  # what the start put in force, before there was a log
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.reload(await asyncio.to_thread(self._look))

    def reload(self, found: bytes | str) -> None:
        """Put what was found in force, if it is new and can be followed.

        Args:
            found: The file's content, or why there is none.
        """
        if found == self._seen:
            return
        self._seen = found
        try:
            self._put_in_force(read_rules(found))
            self._tell()
        except InvalidRules as error:
            self._metrics.add(RULES_REFUSED, 1)
            log.error("%s; version %s stays in force", told(self._path, error), self._version)

    def _look(self) -> bytes | str:
        """The content, or the reason why it cannot be read."""
        try:
            return self._path.read_bytes()
        except OSError as error:
            return error.strerror or str(error)

    def _put_in_force(self, rules: Rules) -> None:
        self._follow(rules)
        self._metrics.forget(RULES_INFO, self._version)
        self._version = rules.version
        self._metrics.set(RULES_INFO, 1, self._version)

    def _tell(self) -> None:
        log.info("business rules of %s are in force, version %s", self._path, self._version)


def read_rules(content: bytes | str) -> Rules:
    """Rules from a file's content.

    Args:
        content: TOML in UTF-8; text is why it could not be read.

    Raises:
        InvalidRules: With every problem, the line or the key before each.
    """
    if isinstance(content, str):
        raise InvalidRules([content])
    try:
        fields = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidRules([str(error)]) from None
    return parse_rules(fields)


def told(path: Path, error: InvalidRules) -> str:
    """What is wrong with the file, in one message."""
    return f"the business rules in {path} cannot be followed: {error}"
