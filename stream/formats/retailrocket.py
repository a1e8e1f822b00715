"""Retailrocket: raw `events.csv`, and as its catalogue `item_properties_part1.csv` and `..._part2.csv`.

- The file is in no order, so it is sorted by time. Rows of one transaction are one purchase.
- A visitor is a user; sessions are by inactivity, since the data set names none.
- Of an item's properties only `categoryid` and `available` have a name; all others are hashed and left out.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from state.catalogue import CatalogueItem
from state.event import Event, EventItem
from stream.formats.base import (
    BadLine,
    FormatError,
    Rejects,
    baskets,
    fields_of,
    header_of,
    known_type,
    moment,
    parsed,
    part_id,
    required,
)
from stream.formats.sorting import by_time

TYPES: Final[Mapping[str, str]] = {"view": "view", "addtocart": "add_to_cart", "transaction": "purchase"}
COLUMNS: Final = ("timestamp", "visitorid", "event", "itemid", "transactionid")
PROPERTIES: Final = ("timestamp", "itemid", "property", "value")
NAMED: Final = {"categoryid", "available"}


def load(lines: Iterable[bytes], rejects: Rejects) -> Iterator[Event]:
    """Views, carts and one purchase per transaction, by time.

    Raises:
        FormatError: The header is another one.
    """
    rest = iter(lines)
    _check(header_of(rest), COLUMNS)
    yield from by_time(_events(rest, rejects))


def items(lines: Iterable[bytes], rejects: Rejects) -> Iterator[CatalogueItem]:
    """Each item with its latest category and availability; both parts may be read one after the other.

    Raises:
        FormatError: The header is another one.
    """
    rest = iter(lines)
    _check(header_of(rest), PROPERTIES)
    latest: dict[str, dict[str, tuple[int, str]]] = {}
    for item, name, time, value in parsed(rest, rejects, _property, first=2):
        known = latest.setdefault(item, {})
        if name in NAMED and time >= known.get(name, (0, ""))[0]:
            known[name] = time, value
    for item, known in latest.items():
        category = known.get("categoryid", (0, ""))[1]
        yield CatalogueItem(
            item_id=item,
            category=category or None,
            available=known.get("available", (0, "1"))[1] != "0",
        )


def _check(names: list[str], expected: tuple[str, ...]) -> None:
    if tuple(names) != expected:
        message = (
            f"not a Retailrocket file: the first line must be {','.join(expected)}, "
            f"not {','.join(names)[:100]!r}"
        )
        raise FormatError(message)


def _events(lines: Iterator[bytes], rejects: Rejects) -> Iterator[Event]:
    """All but purchases as they come, then the purchases, which are few enough to be collected."""
    orders: dict[tuple[str, str], list[Event]] = {}
    for event in parsed(lines, rejects, _event, first=2):
        if event.order_id is None:
            yield event
        else:
            orders.setdefault((event.user_id, event.order_id), []).append(event)
    for rows in orders.values():
        first = min(rows, key=lambda event: event.time)
        for number, part in baskets([item for event in rows for item in event.items]):
            yield Event(
                event_id=part_id(first.event_id, number),
                type=first.type,
                user_id=first.user_id,
                time=first.time,
                items=part,
                order_id=first.order_id,
            )


def _event(text: str, number: int) -> Event:
    time, visitor, kind, item, transaction = fields_of(text, COLUMNS)
    return Event(
        event_id=f"retailrocket-{number}",
        type=known_type(kind, TYPES),
        user_id=required(visitor, "user visitorid"),
        time=moment(time),
        items=(EventItem(required(item, "itemid")),),
        order_id=transaction or None,
    )


def _property(text: str, number: int) -> tuple[str, str, int, str] | None:
    del number
    if text == ",".join(PROPERTIES):  # the second part's header
        return None
    time, item, name, value = fields_of(text, PROPERTIES)
    if not name:
        reason = "wrong_columns"
        raise BadLine(reason, "no property")
    return required(item, "itemid"), name, moment(time), value
