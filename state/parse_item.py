"""The wire contract of a catalogue item: from decoded fields to a `CatalogueItem`, or the reason why not."""

from typing import Any, Final

from msgspec import Struct, ValidationError, convert

from state.catalogue import CatalogueItem
from state.errors import InvalidEvent, InvalidItem
from state.event import EventRules
from state.parse import WireId, id_text

ITEM_RULES: Final = EventRules()
"""Limits of a catalogue record: `max_bytes`, `max_id` and `max_amount`."""


class WireCatalogueItem(Struct):
    """Every known field of a catalogue item, as JSON carries it."""

    item_id: WireId = None
    title: str | None = None
    category: str | None = None
    brand: str | None = None
    price: float | None = None
    available: bool = True
    attributes: dict[str, Any] | None = None


CATALOGUE_FIELDS: Final = frozenset(WireCatalogueItem.__struct_fields__)


def parse_item(key: str | None, fields: dict[str, Any]) -> CatalogueItem:
    """Check a catalogue item's decoded fields.

    Args:
        key: The record's key. It says which item this is, since compaction and tombstones go by it.
        fields: The JSON object; fields without a name here join `attributes`.

    Raises:
        InvalidItem: With one of `state.errors.REASONS`.
    """
    try:
        wire = convert(fields, WireCatalogueItem)
    except (ValidationError, OverflowError) as error:
        reason = "wrong_type"
        raise InvalidItem(reason, str(error)) from None
    item_id = _item_id(key, wire.item_id)
    if wire.price is not None and not 0 <= wire.price <= ITEM_RULES.max_amount:
        reason, detail = "wrong_value", f"price {wire.price!r} is not in [0, {ITEM_RULES.max_amount:g}]"
        raise InvalidItem(reason, detail)
    unknown = {name: value for name, value in fields.items() if name not in CATALOGUE_FIELDS}
    return CatalogueItem(
        item_id=item_id,
        title=wire.title,
        category=wire.category,
        brand=wire.brand,
        price=wire.price,
        available=wire.available,
        attributes={**(wire.attributes or {}), **unknown},
    )


def _item_id(key: str | None, given: WireId) -> str:
    try:
        known, said = id_text(key, "key", ITEM_RULES), id_text(given, "item_id", ITEM_RULES)
    except InvalidEvent as error:
        raise InvalidItem(error.reason, error.detail) from None
    item_id = known or said
    if item_id is None:
        reason, detail = "missing_item", "neither a key nor an item_id"
        raise InvalidItem(reason, detail)
    if said not in {None, item_id}:
        reason, detail = "wrong_id", f"item_id {said!a} under the key {item_id!a}"
        raise InvalidItem(reason, detail)
    return item_id
