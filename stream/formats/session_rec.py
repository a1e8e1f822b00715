"""session-rec's prepared files: `SessionId`, `ItemId`, `Time` and more, tab separated, with a header.

What its preprocessing writes for every data set, as do those who compare with it (GRU4Rec, Serenade).
`UserId` is used where it is there, else a session is a user. Times are epoch seconds. The files list
session after session, so they are sorted by time.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from state.event import Event, EventItem
from stream.formats.base import FormatError, Rejects, fields_of, header_of, moment, parsed, required
from stream.formats.sorting import by_time

COLUMNS: Final = ("SessionId", "ItemId", "Time")
"""The columns that are needed, in any order."""
USER: Final = "UserId"
SEPARATOR: Final = "\t"


def load(lines: Iterable[bytes], rejects: Rejects) -> Iterator[Event]:
    """Clicks by time.

    Raises:
        FormatError: A column is missing.
    """
    rest = iter(lines)
    names = header_of(rest, SEPARATOR)
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        message = (
            f"not a file prepared by session-rec: the first line has no column {', '.join(missing)} "
            "(tab separated)"
        )
        raise FormatError(message)

    def event(text: str, number: int) -> Event:
        fields = dict(zip(names, fields_of(text, names, SEPARATOR), strict=True))
        session = required(fields["SessionId"], "user SessionId")
        user = fields.get(USER, "")
        return Event(
            event_id=f"session-rec-{number}",
            type="click",
            user_id=user or f"session-{session}",
            session_id=session,
            time=moment(fields["Time"]),
            items=(EventItem(required(fields["ItemId"], "ItemId")),),
        )

    yield from by_time(parsed(rest, rejects, event, first=2))
