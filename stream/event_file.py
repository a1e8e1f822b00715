"""A file of events: opened, unpacked and loaded, as often as it is iterated."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from state.catalogue import CatalogueItem
from state.event import Event
from stream.formats import FORMATS, Format, FormatError, Rejects
from stream.formats.base import ORDER_NOTE
from stream.formats.form import Input
from stream.formats.packed import PIPE, located, opened

NAMED_COLUMNS: Final = ("csv", "parquet")
"""Formats that have no column names of their own."""
NO_COLUMNS: Final[Mapping[str, str]] = MappingProxyType({})


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
    """A file in one of `FORMATS`, plain, gzip or in a zip archive; `-` is standard input.

    Args:
        path: The file, or the folder where the format takes one.
        format_name: A key of `FORMATS`.
        limit: Only the first so many events.
        columns: Names of columns by role, for the formats `csv` and `parquet`.
        catalogue: Files of the catalogue alone, read one after the other as if they were one.

    Raises:
        FormatError: There is no such format or no such file, or columns do not belong to the format.
    """

    def __init__(
        self,
        path: Path,
        format_name: str,
        *,
        limit: int | None = None,
        columns: Mapping[str, str] = NO_COLUMNS,
        catalogue: Sequence[Path] = (),
    ) -> None:
        if format_name not in FORMATS:
            message = f"there is no format {format_name!r}; known are {', '.join(FORMATS)}"
            raise FormatError(message)
        if bool(columns) != (format_name in NAMED_COLUMNS):
            message = (
                f"the format {format_name} needs --column, such as {FORMATS[format_name].example}"
                if format_name in NAMED_COLUMNS
                else f"the format {format_name} knows its columns; --column is for {', '.join(NAMED_COLUMNS)}"
            )
            raise FormatError(message)
        self._format = FORMATS[format_name]
        _check(path, self._format)
        for file in catalogue:
            located(file)
        self.path = path
        self.rejects = Rejects()
        """Of the latest iteration."""
        self.item_rejects = Rejects()
        """Of the latest reading of catalogue files; their lines are counted on from file to file."""
        self._input = Input(path, columns)
        self._limit = limit
        self._catalogue = tuple(catalogue)

    def __iter__(self) -> Iterator[Event]:
        """The events, streamed.

        Raises:
            FormatError: The file as a whole is not of this format, or damaged.
        """
        self.rejects.clear()
        yield from islice(self._format.events(self._input, self.rejects), self._limit)

    @property
    def note(self) -> str:
        """What the file cannot know, such as times, and what follows from that; empty where it knows all."""
        if self._input.columns and "time" not in self._input.columns:
            return ORDER_NOTE
        return self._format.note

    def items(self) -> Iterator[CatalogueItem]:
        """The catalogue, each item once: of the given files, else what the events' own file says of it.

        Nothing for a format without a catalogue, and for standard input, which can be read only once.

        Raises:
            FormatError: As for the events.
        """
        self.item_rejects.clear()
        if self._catalogue:
            with ExitStack() as files:
                lines = chain.from_iterable(files.enter_context(opened(path)) for path in self._catalogue)
                yield from self._format.catalogue(lines, self.item_rejects)
        elif self._format.items is not None and self.path != PIPE:
            # Lines that are no event are told when the events are read.
            yield from self._format.items(self._input, Rejects())

    def span(self) -> Span | None:
        """Read the whole file for its event times; None for standard input, which can be read only once.

        Also None for a file without an event.
        """
        return None if self.path == PIPE else _span(iter(self))


def _check(path: Path, form: Format) -> None:
    """Check that there is such a file or folder.

    Raises:
        FormatError: There is none.
    """
    if form.takes == "file":
        if path.is_dir():
            message = f"{path} is a folder; this format is a file"
            raise FormatError(message)
        located(path)
    elif not path.is_dir():
        message = f"there is no folder {path}"
        raise FormatError(message)


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
