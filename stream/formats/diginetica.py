"""Diginetica (CIKM Cup 2016): raw `train-item-views.csv` or `train-purchases.csv`; the header decides.

A row's time is its day at midnight UTC plus `timeframe`, milliseconds since the session's first
query: the data set tells no time of day, so all sessions of a day begin together. Its rows are in no
order, so the file is sorted in memory.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from state.event import Event, EventItem
from stream.formats.base import BadLine, FormatError, Rejects, baskets, part_id, required, text_of
from stream.times import parse_iso

VIEWS: Final = ("session_id", "user_id", "item_id", "timeframe", "eventdate")
PURCHASES: Final = ("sessionId", "userId", "timeframe", "eventdate", "ordernumber", "itemId")
CANONICAL: Final[Mapping[str, str]] = {
    "sessionId": "session_id",
    "userId": "user_id",
    "itemId": "item_id",
    "ordernumber": "order",
}
MAX_ROWS: Final = 5_000_000
"""Rows sorted in memory, about 2 GB; the whole data set has 1.2 million views."""


class Row(NamedTuple):
    """One view, or one item of an order; compares by time."""

    time: int
    line: int
    session: str
    user: str
    item: str
    order: str
    """Empty for a view."""


def load(lines: Iterable[bytes], rejects: Rejects, *, max_rows: int = MAX_ROWS) -> Iterator[Event]:
    """Views, or one purchase per order, by time.

    A user is the user id where there is one, else the session.

    Raises:
        FormatError: The header is of neither file, or there are more than `max_rows` rows.
    """
    numbered = enumerate(lines, 1)
    names = _header(next(numbered, (1, b""))[1])
    rows = []
    for number, line in numbered:
        try:
            row = _row(text_of(line), names, number)
        except BadLine as bad:
            rejects.add(number, bad.reason, bad.detail)
            continue
        if row is None:
            continue
        rows.append(row)
        if len(rows) > max_rows:
            message = f"more than {max_rows} rows cannot be sorted in memory: split the file by eventdate"
            raise FormatError(message)
    rows.sort()
    yield from _purchases(rows) if "order" in names else map(_view, rows)


def _header(line: bytes) -> list[str]:
    columns = tuple(line.decode(errors="replace").strip().removeprefix("\ufeff").split(";"))
    if columns not in {VIEWS, PURCHASES}:
        message = (
            f"not a Diginetica file: the first line must be {';'.join(VIEWS)} or {';'.join(PURCHASES)}, "
            f"not {';'.join(columns)[:100]!r}"
        )
        raise FormatError(message)
    return [CANONICAL.get(column, column) for column in columns]


def _row(text: str, names: Sequence[str], number: int) -> Row | None:
    if not text:
        return None
    values = text.split(";")
    if len(values) != len(names):
        reason = "wrong_columns"
        raise BadLine(reason, f"{len(values)} columns where {';'.join(names)} is expected")
    fields = dict(zip(names, values, strict=True))
    session, user = fields["session_id"], fields["user_id"]
    return Row(
        _time(fields["eventdate"], fields["timeframe"]),
        number,
        session,
        f"diginetica-{user}"
        if user not in {"", "NA"}
        else f"diginetica-s{required(session, 'user session_id')}",
        required(fields["item_id"], "item_id"),
        fields.get("order", ""),
    )


def _time(date: str, timeframe: str) -> int:
    try:
        return parse_iso(date) + int(timeframe)
    except (ValueError, OverflowError) as error:
        reason = "wrong_time"
        raise BadLine(reason, error) from None


def _view(row: Row) -> Event:
    return Event(
        event_id=f"diginetica-{row.line}",
        type="view",
        user_id=row.user,
        session_id=row.session,
        time=row.time,
        items=(EventItem(row.item),),
    )


def _purchases(rows: Sequence[Row]) -> Iterator[Event]:
    """Orders by the time of their first item."""
    by_order = sorted(rows, key=lambda row: (row.session, row.order))
    orders = [tuple(group) for _, group in groupby(by_order, lambda row: (row.session, row.order))]
    for order in sorted(orders):
        first = order[0]
        for number, items in baskets([EventItem(row.item) for row in order]):
            yield Event(
                event_id=part_id(f"diginetica-{first.line}", number),
                type="purchase",
                user_id=first.user,
                session_id=first.session,
                time=first.time,
                items=items,
                order_id=first.order,
            )
