"""What the shop says of an item."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct


class CatalogueItem(Struct, frozen=True, kw_only=True):
    """One item of the catalogue (topic `items`); a tombstone withdraws it."""

    item_id: str
    title: str | None = None
    category: str | None = None
    brand: str | None = None
    price: float | None = None
    available: bool = True
    """An unavailable item stays in the catalogue and in the models, but is not recommended."""
    attributes: Mapping[str, Any] = {}
    """Whatever else the shop sends, kept as it came."""
