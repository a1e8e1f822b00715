"""The catalogue, in memory, bounded, to be searched."""

import logging
from collections.abc import Iterable
from itertools import islice
from typing import Final, NamedTuple

from state.catalogue import CatalogueItem
from state.errors import InvalidItem
from stream.api.follower import Records
from stream.codecs import decode_item

log = logging.getLogger(__name__)

CATEGORIES: Final = 40
"""Categories that are named, those with most items first."""


class _Kept(NamedTuple):
    item: CatalogueItem
    text: str
    """What a search looks into, lower case."""


class Page(NamedTuple):
    """Some of the items that were found."""

    items: list[CatalogueItem]
    total: int


class ItemStore:
    """Items by id, in the order in which they came first.

    Args:
        most: beyond which new items are left out, and counted.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: dict[str, _Kept] = {}
        self._categories: dict[str, int] = {}
        self.left_out = 0
        """Items that there was no room for, since the start."""

    def __len__(self) -> int:
        """Items."""
        return len(self._items)

    def take(self, records: Records) -> None:
        """Put records of the topic in; what is no item is left out, as in the models."""
        for record in records:
            item_id = (record.key or b"").decode(errors="replace")
            if record.value is None:
                self._drop(item_id)
                continue
            try:
                self._put(decode_item(record.key, record.value))
            except InvalidItem as error:
                log.warning("item %s left out: %s", item_id, error)

    def get(self, ids: Iterable[str]) -> list[CatalogueItem]:
        """Those of these items that are there."""
        return [self._items[item_id].item for item_id in ids if item_id in self._items]

    def search(self, query: str, category: str, *, start: int, most: int) -> Page:
        """Items that contain every word of the query, available ones alone.

        Args:
            query: words, any case; empty for all.
            category: the item's own; empty for any.
            start: items to pass over.
            most: items to return.
        """
        words = query.lower().split()
        found = [
            kept.item
            for kept in self._items.values()
            if (not category or kept.item.category == category)
            and kept.item.available
            and all(word in kept.text for word in words)
        ]
        return Page(list(islice(found, start, start + most)), len(found))

    def categories(self) -> list[str]:
        """The largest ones, largest first."""
        return sorted(self._categories, key=lambda name: (-self._categories[name], name))[:CATEGORIES]

    def _put(self, item: CatalogueItem) -> None:
        before = self._items.get(item.item_id)
        if before is None and len(self._items) >= self._most:
            self.left_out += 1
            return
        if before is not None:
            self._count(before.item.category, -1)
        self._count(item.category, 1)
        text = " ".join(filter(None, (item.item_id, item.title, item.brand, item.category))).lower()
        self._items[item.item_id] = _Kept(item, text)

    def _drop(self, item_id: str) -> None:
        before = self._items.pop(item_id, None)
        if before is not None:
            self._count(before.item.category, -1)

    def _count(self, category: str | None, amount: int) -> None:
        if category is None:
            return
        left = self._categories.get(category, 0) + amount
        if left > 0:
            self._categories[category] = left
        else:
            self._categories.pop(category, None)
