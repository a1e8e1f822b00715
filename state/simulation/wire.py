"""From the shop's arrays to what the engine reads: events and catalogue items."""

from collections.abc import Callable
from typing import Any, Final

from state.catalogue import CatalogueItem
from state.event import EVENT_TYPES, Event, EventItem
from state.simulation.actions import PURCHASE, Actions
from state.simulation.catalogue import Catalogue
from state.simulation.names import brand_name, category_name

CURRENCY: Final = "EUR"


def user_name(shopper: int) -> str:
    """User id of the shopper with this index."""
    return f"shopper-{shopper}"


def event_list(
    actions: Actions, item_ids: list[str], slate_name: Callable[[int], str | None], run: str
) -> list[Event]:
    """The events that these rows are: one for each row with `line` 0.

    Args:
        actions: Rows of whole events.
        item_ids: [items]
        slate_name: Name of the slate with a number; None where it is forgotten.
        run: Part of every event id, so that two runs of a shop share none.
    """
    columns = [column.tolist() for column in actions]
    events: list[Event] = []
    for row, (time, shopper, session, number, code, item, position, slate, _, price, line) in enumerate(
        zip(*columns, strict=True)
    ):
        if line:
            continue
        user = f"shopper-{shopper}"
        event_id = f"{run}-{shopper}-{session}-{number}"
        if code == PURCHASE:
            order = _order(columns, row, item_ids, event_id)
        elif item < 0:
            order = _NO_ITEM
        else:
            order = {"items": (EventItem(item_ids[item], 1.0, round(price, 2)),), "currency": CURRENCY}
        events.append(
            Event(
                event_id=event_id,
                type=EVENT_TYPES[code],
                user_id=user,
                time=time,
                session_id=f"{user}-{session}",
                slate_id=slate_name(slate) if slate else None,
                position=position or None,
                **order,
            )
        )
    return events


_NO_ITEM: Final[dict[str, Any]] = {}


def _order(columns: list[list[Any]], row: int, item_ids: list[str], event_id: str) -> dict[str, Any]:
    """Fields of a purchase whose lines begin at this row."""
    item, quantity, price, line = columns[5], columns[8], columns[9], columns[10]
    end = row + 1
    while end < len(line) and line[end]:
        end += 1
    items = tuple(EventItem(item_ids[item[i]], quantity[i], round(price[i], 2)) for i in range(row, end))
    value = round(sum(bought.quantity * (bought.price or 0.0) for bought in items), 2)
    return {"items": items, "value": value, "currency": CURRENCY, "order_id": f"order-{event_id}"}


def catalogue_item(catalogue: Catalogue, item_id: str, index: int) -> CatalogueItem:
    """What the shop says of an item now."""
    item = catalogue.items[index]
    category, brand = category_name(int(item.category)), brand_name(int(item.brand))
    return CatalogueItem(
        item_id=item_id,
        title=f"{brand} {category} {item_id.rpartition('-')[2]}",
        category=category,
        brand=brand,
        price=round(float(item.price), 2),
        available=bool(item.available),
    )


def item_names(catalogue: Catalogue) -> list[str]:
    """Ids [items]: the category's name and a number within it, from 1."""
    names = []
    counted: dict[int, int] = {}
    for category in catalogue.items.category.tolist():
        counted[category] = counted.get(category, 0) + 1
        names.append(f"{category_name(category)}-{counted[category]}")
    return names
