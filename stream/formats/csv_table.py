"""Any CSV or TSV file, by the names of its columns (`stream/formats/columns.py`).

The separator (comma, semicolon, tab or bar) is the one that is most frequent in the first line. A file
without a header is read where all names are numbers: columns from 1. With times the file is sorted by them,
else its order is kept.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

from state.catalogue import CatalogueItem
from state.event import Event
from stream.formats.base import BadLine, FormatError, Rejects, text_of
from stream.formats.columns import catalogue_of, check_columns, row_event
from stream.formats.form import Input
from stream.formats.packed import opened
from stream.formats.sorting import by_time

SEPARATORS: Final = ",;\t|"


def load(source: Input, rejects: Rejects) -> Iterator[Event]:
    """One event per row.

    Raises:
        FormatError: A column is missing, or not named that must be.
    """
    events = _events(source, rejects)
    yield from by_time(events) if "time" in source.columns else events


def items(source: Input, rejects: Rejects) -> Iterator[CatalogueItem]:
    """What the rows say of the catalogue.

    Raises:
        FormatError: A column is missing, or not named that must be.
    """
    with opened(source.path) as lines:
        yield from catalogue_of(values for _, values in _rows(lines, source.columns, rejects))


def _events(source: Input, rejects: Rejects) -> Iterator[Event]:
    with opened(source.path) as lines:
        for number, values in _rows(lines, source.columns, rejects):
            try:
                event = row_event(values, number, "csv")
            except BadLine as bad:
                rejects.add(number, bad.reason, bad.detail)
                continue
            yield event


def _rows(
    lines: Iterable[bytes], columns: Mapping[str, str], rejects: Rejects
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and the row's texts by role; a row over several lines has the number of its last."""
    rest = iter(lines)
    first = next(rest, b"")
    try:
        separator = max(SEPARATORS, key=text_of(first).count)
    except BadLine as bad:
        message = f"not a CSV file: its first line is not UTF-8: {bad.detail}"
        raise FormatError(message) from None
    reader = csv.reader((line.decode(errors="replace") for line in chain([first], rest)), delimiter=separator)
    numbered = bool(columns) and all(name.isdigit() for name in columns.values())
    if numbered:
        reader_names = [str(place) for place in range(1, text_of(first).count(separator) + 2)]
    else:
        reader_names = [name.strip().removeprefix("\ufeff") for name in next(reader, [])]
    check_columns(columns, reader_names)
    places = {role: reader_names.index(name) for role, name in columns.items()}
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            rejects.add(reader.line_num, "wrong_columns", error)
            continue
        if len(values) == len(reader_names):
            yield reader.line_num, {role: values[place] for role, place in places.items()}
        elif values:
            detail = f"{len(values)} columns where there are {len(reader_names)}"
            rejects.add(reader.line_num, "wrong_columns", detail)
