"""YooChoose (RecSys Challenge 2015, RSC15): raw `yoochoose-clicks.dat` or `yoochoose-buys.dat`.

There is no header, the number of columns decides: `session,time,item,category` or
`session,time,item,price,quantity`. A session is a user, since the data set has none. The files list session
after session, so they are sorted by time. Half of the purchases say 0 for price and quantity: unknown.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from typing import Final

from state.event import Event, EventItem
from stream.formats.base import (
    BadLine,
    FormatError,
    Rejects,
    baskets,
    fields_of,
    moment,
    parsed,
    part_id,
    price_of,
    required,
)
from stream.formats.sorting import by_time

CLICKS: Final = ("session", "time", "item", "category")
BUYS: Final = ("session", "time", "item", "price", "quantity")
NO_CATEGORY: Final = "0"


def load(lines: Iterable[bytes], rejects: Rejects) -> Iterator[Event]:
    """Clicks, or one purchase for the rows of a session and time, by time.

    Raises:
        FormatError: The first line has neither four nor five columns.
    """
    rest = iter(lines)
    first = next(rest, None)
    if first is None:
        return
    count = first.count(b",") + 1
    if count not in {len(CLICKS), len(BUYS)}:
        message = (
            f"not a YooChoose file: a line must be {','.join(CLICKS)} or {','.join(BUYS)}, "
            f"and the first one has {count} columns"
        )
        raise FormatError(message)
    rows = chain([first], rest)
    if count == len(CLICKS):
        yield from by_time(parsed(rows, rejects, _click))
    else:
        yield from by_time(_purchases(parsed(rows, rejects, _buy)))


def _click(text: str, number: int) -> Event:
    session, time, item, category = fields_of(text, CLICKS)
    return Event(
        event_id=f"yoochoose-{number}",
        type="click",
        user_id=f"yoochoose-{required(session, 'user session')}",
        session_id=session,
        time=moment(time),
        items=(EventItem(required(item, "item")),),
        context={} if category == NO_CATEGORY else {"category": category},
    )


def _buy(text: str, number: int) -> Event:
    session, time, item, price, quantity = fields_of(text, BUYS)
    return Event(
        event_id=f"yoochoose-buy-{number}",
        type="purchase",
        user_id=f"yoochoose-{required(session, 'user session')}",
        session_id=session,
        time=moment(time),
        items=(EventItem(required(item, "item"), _quantity(quantity), price_of(price)),),
        order_id=f"{session}-{time}",
    )


def _quantity(text: str) -> float:
    try:
        pieces = float(text)
    except ValueError:
        pieces = -1.0
    if not 0 <= pieces <= 1e6:
        reason = "wrong_value"
        raise BadLine(reason, f"quantity {text!r}")
    return pieces or 1.0


def _purchases(rows: Iterator[Event]) -> Iterator[Event]:
    """One event for neighbouring rows of one session and time."""
    for _, group in groupby(rows, lambda event: (event.user_id, event.time)):
        order = list(group)
        first = order[0]
        for number, part in baskets([item for event in order for item in event.items]):
            known = [item.quantity * item.price for item in part if item.price is not None]
            yield Event(
                event_id=part_id(first.event_id, number),
                type=first.type,
                user_id=first.user_id,
                session_id=first.session_id,
                time=first.time,
                items=part,
                value=round(sum(known), 2) if len(known) == len(part) else None,
                order_id=first.order_id,
            )
