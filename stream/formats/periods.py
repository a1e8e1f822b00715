"""A folder of `period_N.txt` or `period_N.txt.gz`, one file a week: per line `session item`, in time order.

A file has an order and no times. An event's time is its week, and its place among the lines of its week,
as if they came evenly: days are nearly right, hours mean nothing.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from state.event import Event, EventItem
from stream.formats.base import ORDER_START, BadLine, FormatError, Rejects, parsed
from stream.formats.form import Input
from stream.formats.packed import opened

NAME: Final = re.compile(r"period_(\d+)(\.\w+)*")
WEEK_MS: Final = 7 * 86_400_000
NOTE: Final = (
    "no times: an event's time is its week (the file's number) and its place in the file, from 2000-01-01 "
    "on. Days and decays by days are nearly right, hours mean nothing."
)


def load(source: Input, rejects: Rejects) -> Iterator[Event]:
    """The clicks of all periods; a period is read once to count its lines and once more for them.

    A session is a user. Rejects name the file in their detail.

    Raises:
        FormatError: There is no such file in the folder, or two of the same period.
    """
    for number, path in sorted(_files(source.path).items()):
        with opened(path) as lines:
            count = sum(1 for line in lines if line.strip())
        with opened(path) as lines:
            for place, (line, session, item) in enumerate(parsed(lines, rejects, _row(path.name))):
                yield Event(
                    event_id=f"period-{number}-{line}",
                    type="click",
                    user_id=f"session-{session}",
                    session_id=session,
                    time=ORDER_START + number * WEEK_MS + place * WEEK_MS // count,
                    items=(EventItem(item),),
                )


def _files(folder: Path) -> Mapping[int, Path]:
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        match = NAME.fullmatch(path.name)
        if match is None or not path.is_file():
            continue
        number = int(match[1])
        if number in found:
            message = f"{path} and {found[number]} are the same period"
            raise FormatError(message)
        found[number] = path
    if not found:
        message = f"there is no period_0.txt or period_0.txt.gz, or of another number, in {folder}"
        raise FormatError(message)
    return found


def _row(name: str) -> Callable[[str, int], tuple[int, str, str]]:
    """How a line of the file `name` is parsed: its number, session and item."""

    def row(text: str, number: int) -> tuple[int, str, str]:
        fields = text.split()
        if len(fields) != 2:
            reason = "wrong_columns"
            raise BadLine(reason, f"{name}: {len(fields)} columns where session item is expected")
        return number, fields[0], fields[1]

    return row
