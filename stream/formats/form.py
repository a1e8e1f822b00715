"""What a format is: how its files are read, and what `freshslate formats` says of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, TypeVar

from state.catalogue import CatalogueItem
from state.event import Event
from stream.formats import jsonl
from stream.formats.base import ItemLoader, Rejects
from stream.formats.packed import opened

_T = TypeVar("_T")


class Input(NamedTuple):
    """What is to be read."""

    path: Path
    columns: Mapping[str, str] = {}
    """Names of columns by role (`stream/formats/columns.py`), for formats that have none of their own."""


Reader: TypeAlias = Callable[[Input, Rejects], Iterator[_T]]
"""Turns an input into events, in the order in which they should be sent, or into catalogue items. What cannot
be turned goes to the rejects and does not stop it. Raises `FormatError`."""


class Format(NamedTuple):
    """One file format."""

    about: str
    """One line for people."""
    example: str
    """Arguments of `freshslate replay`."""
    events: Reader[Event]
    items: Reader[CatalogueItem] | None = None
    """What the events' own files say of the catalogue: each item once."""
    catalogue: ItemLoader = jsonl.items
    """How files of the catalogue alone are read."""
    note: str = ""
    """What the format cannot know, and what follows from that."""
    takes: Literal["file", "folder"] = "file"


def by_lines(load: Callable[[Iterable[bytes], Rejects], Iterator[_T]]) -> Reader[_T]:
    """The reader of a format that is a file of lines."""

    def read(source: Input, rejects: Rejects) -> Iterator[_T]:
        with opened(source.path) as lines:
            yield from load(lines, rejects)

    return read
