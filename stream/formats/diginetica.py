"""Diginetica (CIKM Cup 2016): raw `train-item-views.csv` or `train-purchases.csv`; the header decides.

As its catalogue `product-categories.csv` or `products.csv`.

A row's time is its day at midnight UTC plus `timeframe`, milliseconds since the session's first
query: the data set tells no time of day, so all sessions of a day begin together. Its rows are in no
order, so they are sorted by time.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from state.catalogue import CatalogueItem
from state.event import Event, EventItem
from stream.formats.base import (
    BadLine,
    FormatError,
    Rejects,
    baskets,
    fields_of,
    header_of,
    parsed,
    part_id,
    required,
)
from stream.formats.sorting import by_time
from stream.times import parse_iso

SEPARATOR: Final = ";"
VIEWS: Final = ("session_id", "user_id", "item_id", "timeframe", "eventdate")
PURCHASES: Final = ("sessionId", "userId", "timeframe", "eventdate", "ordernumber", "itemId")
CANONICAL: Final[Mapping[str, str]] = {
    "sessionId": "session_id",
    "userId": "user_id",
    "itemId": "item_id",
    "ordernumber": "order",
}
CATEGORIES: Final = ("itemId", "categoryId")
PRODUCTS: Final = ("itemId", "pricelog2", "product.name.tokens")
NOTE: Final = (
    "no time of day: all sessions of a day begin at midnight, so hours mean nothing, and events of different "
    "sessions are in order by days only."
)


class Row(NamedTuple):
    """One view, or one item of an order; compares by time."""

    time: int
    line: int
    session: str
    user: str
    item: str
    order: str
    """Empty for a view."""


def load(lines: Iterable[bytes], rejects: Rejects) -> Iterator[Event]:
    """Views, or one purchase per order, by time.

    A user is the user id where there is one, else the session.

    Raises:
        FormatError: The header is of neither file.
    """
    rest = iter(lines)
    names = [CANONICAL.get(column, column) for column in _known_header(rest, (VIEWS, PURCHASES))]
    rows = parsed(rest, rejects, lambda text, number: _row(text, names, number), first=2)
    yield from _purchases(sorted(rows)) if "order" in names else by_time(map(_view, rows))


def items(lines: Iterable[bytes], rejects: Rejects) -> Iterator[CatalogueItem]:
    """Each item with its category; or with its price (2 to the power of `pricelog2`) and hashed name.

    Raises:
        FormatError: The header is of neither file.
    """
    rest = iter(lines)
    names = _known_header(rest, (CATEGORIES, PRODUCTS))
    parse = _category if len(names) == len(CATEGORIES) else _product
    yield from parsed(rest, rejects, parse, first=2)


def _known_header(lines: Iterator[bytes], known: Sequence[tuple[str, ...]]) -> list[str]:
    columns = header_of(lines, SEPARATOR)
    if tuple(columns) not in known:
        expected = " or ".join(SEPARATOR.join(names) for names in known)
        message = (
            f"not a Diginetica file: the first line must be {expected}, not {SEPARATOR.join(columns)[:100]!r}"
        )
        raise FormatError(message)
    return columns


def _row(text: str, names: Sequence[str], number: int) -> Row:
    fields = dict(zip(names, fields_of(text, names, SEPARATOR), strict=True))
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


def _category(text: str, number: int) -> CatalogueItem:
    del number
    item, category = fields_of(text, CATEGORIES, SEPARATOR)
    return CatalogueItem(item_id=required(item, "itemId"), category=category or None)


def _product(text: str, number: int) -> CatalogueItem:
    del number
    item, log_price, tokens = fields_of(text, PRODUCTS, SEPARATOR)
    try:
        price = 2.0 ** float(log_price)
    except (ValueError, OverflowError) as error:
        reason = "wrong_value"
        raise BadLine(reason, f"pricelog2: {error}") from None
    title = " ".join(f"w{token}" for token in tokens.split(",") if token)
    return CatalogueItem(item_id=required(item, "itemId"), title=title or None, price=price)


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
