"""Files with columns of the shop's own naming: which column is what, and rows as events and items."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from state.catalogue import CatalogueItem
from state.event import EVENT_TYPES, Event, EventItem, EventRules
from stream.formats.base import (
    BadLine,
    FormatError,
    in_order,
    known_type,
    moment,
    price_of,
    required,
)

ROLES: Final[Mapping[str, str]] = {
    "session": "session id; without it sessions are by inactivity",
    "user": "user id; without it each session is a user",
    "item": "item id; must be named",
    "time": "ISO 8601, epoch seconds or milliseconds; without it the order of the file counts",
    "type": "event type; without it all are clicks",
    "quantity": "pieces",
    "price": "price of one piece, also the item's in the catalogue",
    "title": "the item's title",
    "category": "the item's category",
    "brand": "the item's brand",
}
CATALOGUE_ROLES: Final = ("title", "category", "brand", "price")
TYPES: Final[Mapping[str, str]] = {
    **{name: name for name in EVENT_TYPES},
    **dict.fromkeys(("pv", "views", "pageview", "detail"), "view"),
    **dict.fromkeys(("clicks",), "click"),
    **dict.fromkeys(("cart", "carts", "addtocart", "add-to-cart", "add", "basket"), "add_to_cart"),
    **dict.fromkeys(("removefromcart", "remove-from-cart", "remove"), "remove_from_cart"),
    **dict.fromkeys(("buy", "buys", "order", "orders", "purchases", "transaction"), "purchase"),
    **dict.fromkeys(("fav", "favorite", "favourite", "likes", "wishlist"), "like"),
}
"""Event types by the names that logs give them, in lower case."""


class Product(NamedTuple):
    """What the rows say of an item."""

    title: str
    category: str
    brand: str
    price: float | None


def parse_columns(texts: Iterable[str]) -> dict[str, str]:
    """`role=name` options, each of them one pair or several with commas between, as names by role.

    Raises:
        FormatError: Something is no such pair, an unknown role or named twice.
    """
    columns: dict[str, str] = {}
    for pair in (part.strip() for text in texts for part in text.split(",")):
        role, _, name = pair.partition("=")
        if not name or role not in ROLES:
            message = f"column {pair!r} must be ROLE=NAME; roles are {', '.join(ROLES)}"
            raise FormatError(message)
        if role in columns:
            message = f"column {role} is named twice: {columns[role]} and {name}"
            raise FormatError(message)
        columns[role] = name
    return columns


def check_columns(columns: Mapping[str, str], present: Sequence[str]) -> None:
    """Check that what is needed is named, and what is named is there.

    Raises:
        FormatError: It is not so.
    """
    if "item" not in columns or not {"session", "user"} & columns.keys():
        message = (
            "say which columns are the item's and the session's or user's: --column item=... --column "
            f"session=... (the file has {', '.join(present)[:300]})"
        )
        raise FormatError(message)
    missing = [f"{role}={name}" for role, name in columns.items() if name not in present]
    if missing:
        message = f"there is no column {', '.join(missing)}; the file has {', '.join(present)[:300]}"
        raise FormatError(message)


def row_event(values: Mapping[str, str], number: int, prefix: str) -> Event:
    """The event of one row.

    Args:
        values: Texts by role; empty ones are unknown.
        number: The row's place in the file, from 1.
        prefix: Begins the event id.

    Raises:
        BadLine: It is none.
    """
    session = values.get("session", "")
    user = values.get("user", "") or (f"session-{session}" if session else "")
    kind = values.get("type", "").strip().lower()
    time = moment(values["time"]) if "time" in values else in_order(number)
    return Event(
        event_id=f"{prefix}-{number}",
        type=known_type(kind, TYPES) if kind else "click",
        user_id=required(user, "user and session"),
        session_id=session or None,
        time=time,
        items=(
            EventItem(
                required(values["item"], "item"),
                _quantity(values.get("quantity", "")),
                price_of(values.get("price", "")),
            ),
        ),
    )


def catalogue_of(rows: Iterable[Mapping[str, str]]) -> Iterator[CatalogueItem]:
    """Each item with the latest of what its rows say; none where no column of the catalogue is named."""
    latest: dict[str, Product] = {}
    for values in rows:
        item = values["item"]
        if not item or not any(role in values for role in CATALOGUE_ROLES):
            continue
        known = latest.get(item, Product("", "", "", None))
        try:
            price = price_of(values.get("price", ""))
        except BadLine:
            price = None
        latest[item] = Product(
            values.get("title", "") or known.title,
            values.get("category", "") or known.category,
            values.get("brand", "") or known.brand,
            price or known.price,
        )
    for item, product in latest.items():
        yield CatalogueItem(
            item_id=item,
            title=product.title or None,
            category=product.category or None,
            brand=product.brand or None,
            price=product.price,
        )


def _quantity(text: str) -> float:
    if not text:
        return 1.0
    try:
        pieces = float(text)
    except ValueError:
        pieces = 0.0
    if not 0 < pieces <= EventRules().max_quantity:
        reason = "wrong_value"
        raise BadLine(reason, f"quantity {text!r}")
    return pieces
