"""A file of events: opened, unpacked and loaded, as often as it is iterated."""

import gzip
import io
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Protocol

from state.event import Event
from stream.formats import LOADERS, FormatError, Rejects

GZIP: Final = b"\x1f\x8b"
PIPE: Final = Path("-")
"""Stands for standard input."""
BUFFER_BYTES: Final = 1 << 20


class Span(NamedTuple):
    """Event times of a whole source, epoch milliseconds."""

    first: int
    last: int
    events: int


class EventSource(Protocol):
    """Events to replay, in the order to send them."""

    rejects: Rejects

    def __iter__(self) -> Iterator[Event]: ...

    def span(self) -> Span | None:
        """The earliest and latest event time; None where it cannot be known beforehand."""
        ...


class EventList:
    """Events in memory, as a source."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events
        self.rejects = Rejects()

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events)

    def span(self) -> Span | None:
        """The earliest and latest event time; None without an event."""
        return _span(iter(self))


class EventFile:
    """A file, plain or gzip, in one of `LOADERS`' formats; `-` is standard input.

    Args:
        path: The file.
        format_name: A key of `LOADERS`.
        limit: Only the first so many events.

    Raises:
        FormatError: There is no such format or no such file.
    """

    def __init__(self, path: Path, format_name: str, *, limit: int | None = None) -> None:
        if format_name not in LOADERS:
            message = f"there is no format {format_name!r}; known are {', '.join(LOADERS)}"
            raise FormatError(message)
        if path != PIPE and not path.is_file():
            message = f"there is no file {path}"
            raise FormatError(message)
        self.path = path
        self.rejects = Rejects()
        """Of the latest iteration."""
        self._load = LOADERS[format_name]
        self._limit = limit

    def __iter__(self) -> Iterator[Event]:
        """The events, streamed.

        Raises:
            FormatError: The file as a whole is not of this format, or its gzip is damaged.
        """
        self.rejects.clear()
        try:
            with _opened(self.path) as lines:
                yield from islice(self._load(lines, self.rejects), self._limit)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            message = f"{self.path} is damaged: {error}"
            raise FormatError(message) from None

    def span(self) -> Span | None:
        """Read the whole file for its event times; None for standard input, which can be read only once.

        Also None for a file without an event.
        """
        return None if self.path == PIPE else _span(iter(self))


def _span(events: Iterator[Event]) -> Span | None:
    first = next(events, None)
    if first is None:
        return None
    low = high = first.time
    count = 1
    for event in events:
        count += 1
        low = min(low, event.time)
        high = max(high, event.time)
    return Span(low, high, count)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with nullcontext(sys.stdin.buffer) if path == PIPE else path.open("rb") as raw:
        packed = isinstance(raw, io.BufferedReader) and raw.peek(2).startswith(GZIP)
        yield io.BufferedReader(gzip.GzipFile(fileobj=raw), BUFFER_BYTES) if packed else raw
