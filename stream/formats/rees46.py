"""REES46 (multi-category store and its sisters): a month of events, with category, brand and price.

Raw `2019-Oct.csv` and the like, in time order already. A row is an event: there is nothing that says which
rows of a purchase belong together.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from state.catalogue import CatalogueItem
from state.event import Event, EventItem
from stream.formats.base import (
    FormatError,
    Rejects,
    fields_of,
    header_of,
    known_type,
    moment,
    parsed,
    price_of,
    required,
)

TYPES: Final[Mapping[str, str]] = {
    "view": "view",
    "cart": "add_to_cart",
    "remove_from_cart": "remove_from_cart",
    "purchase": "purchase",
}
COLUMNS: Final = (
    "event_time",
    "event_type",
    "product_id",
    "category_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
)


class Product(NamedTuple):
    """What a row says of its item."""

    item: str
    category: str
    brand: str
    price: float | None


def load(lines: Iterable[bytes], rejects: Rejects) -> Iterator[Event]:
    """One event per line, in the order of the file.

    Raises:
        FormatError: The header is another one.
    """
    rest = iter(lines)
    _check(header_of(rest))
    return parsed(rest, rejects, _event, first=2)


def items(lines: Iterable[bytes], rejects: Rejects) -> Iterator[CatalogueItem]:
    """Each item with the latest category, brand and price; the category is its code where it has one.

    Raises:
        FormatError: The header is another one.
    """
    rest = iter(lines)
    _check(header_of(rest))
    latest = {product.item: product for product in parsed(rest, rejects, _product, first=2)}
    for product in latest.values():
        yield CatalogueItem(
            item_id=product.item,
            category=product.category or None,
            brand=product.brand or None,
            price=product.price,
        )


def _check(names: list[str]) -> None:
    if tuple(names) != COLUMNS:
        message = (
            f"not a REES46 file: the first line must be {','.join(COLUMNS)}, not {','.join(names)[:100]!r}"
        )
        raise FormatError(message)


def _event(text: str, number: int) -> Event:
    time, kind, item, _, _, _, price, user, session = fields_of(text, COLUMNS)
    return Event(
        event_id=f"rees46-{number}",
        type=known_type(kind, TYPES),
        user_id=required(user, "user_id"),
        session_id=session or None,
        time=moment(time),
        items=(EventItem(required(item, "product_id"), 1.0, price_of(price)),),
    )


def _product(text: str, number: int) -> Product:
    del number
    _, _, item, category, code, brand, price, _, _ = fields_of(text, COLUMNS)
    return Product(required(item, "product_id"), code or category, brand, price_of(price))
