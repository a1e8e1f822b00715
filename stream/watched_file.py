"""A file that is read at the start, watched, and put in force when it changes.

A file that cannot be followed is refused, and what was in force before stays. At the start there is nothing
before, so there it stops the worker.
"""

import asyncio
import logging
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from state.errors import InvalidFile, SetupError
from stream.metrics import Metric, Metrics

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0
"""Between two looks at a file."""


class Versioned(Protocol):
    """What can be in force."""

    @property
    def version(self) -> str:
        """8 hex digits: equal ones have the same."""


Value = TypeVar("Value", bound=Versioned)


class Kind(NamedTuple):
    """What kind of file it is, for logs and metrics."""

    what: str
    """What is in it, in the plural."""
    refused: Metric
    """Counts changed files that could not be followed."""
    info: Metric
    """Names the version in force."""


class WatchedFile(Generic[Value]):
    """Keeps what is in force equal to a file.

    Args:
        path: The file.
        kind: What it is.
        read: Makes of the content what is to be in force, or raises `InvalidFile`; a text instead of bytes is
            why there is no content.
        follow: Puts it in force; called in the event loop.
        metrics: Count refusals and name the version in force.

    Raises:
        SetupError: The file cannot be followed.
    """

    def __init__(
        self,
        path: Path,
        kind: Kind,
        *,
        read: Callable[[bytes | str], Value],
        follow: Callable[[Value], None],
        metrics: Metrics,
    ) -> None:
        self._path = path
        self._kind = kind
        self._read = read
        self._follow = follow
        self._metrics = metrics
        self._version = ""
        self._seen: bytes | str | None = self._look()
        try:
            self._put_in_force(read(self._seen))
        except InvalidFile as error:
            raise SetupError(self._told(error)) from None

    def ready(self, value: Value) -> None:
        """Make a new value ready for use, off the event loop; here nothing is to be done."""

    async def watch(self) -> None:
        """Look at the file for ever."""
        self._tell()  # what the start put in force, before there was a log
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.reload(await asyncio.to_thread(self._look))

    async def reload(self, found: bytes | str) -> None:
        """Put what was found in force, if it is new and can be followed.

        Args:
            found: The file's content, or why there is none.
        """
        if found == self._seen:
            return
        self._seen = found
        try:
            value = await asyncio.to_thread(self._prepared, found)
        except InvalidFile as error:
            self._metrics.add(self._kind.refused, 1)
            log.error("%s; version %s stays in force", self._told(error), self._version)
            return
        self._put_in_force(value)
        self._tell()

    def _prepared(self, found: bytes | str) -> Value:
        """Read it and make it ready, in a thread."""
        value = self._read(found)
        self.ready(value)
        return value

    def _look(self) -> bytes | str:
        """The content, or the reason why it cannot be read."""
        try:
            return self._path.read_bytes()
        except OSError as error:
            return error.strerror or str(error)

    def _put_in_force(self, value: Value) -> None:
        self._follow(value)
        self._metrics.forget(self._kind.info, self._version)
        self._version = value.version
        self._metrics.set(self._kind.info, 1, self._version)

    def _tell(self) -> None:
        log.info("%s of %s are in force, version %s", self._kind.what, self._path, self._version)

    def _told(self, error: InvalidFile) -> str:
        """What is wrong with the file, in one message."""
        return f"the {self._kind.what} in {self._path} cannot be followed: {error}"


def decode_toml(content: bytes | str, refuse: Callable[[str], InvalidFile]) -> dict[str, Any]:
    """The tables of a file's content.

    Args:
        content: TOML in UTF-8; text is why it could not be read.
        refuse: Makes the error of a reason, which has the line.

    Raises:
        InvalidFile: It cannot be read, or is no TOML.
    """
    if isinstance(content, str):
        raise refuse(content)
    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise refuse(str(error)) from None
