"""What the catalogue says of an item, as numbers that two like items share.

A feature is a category, a brand, a price band within the category, a word of the title, or an attribute's
value, hashed to one of `BUCKETS` numbers. Two features in one bucket count as the same: with a few thousand
features that is rare, and items are alike by several.
"""

import re
from collections.abc import Iterator
from math import floor, log2
from typing import Any, Final
from zlib import crc32

from state.catalogue import CatalogueItem

BUCKETS: Final = 1 << 16
_BANDS: Final = 2
"""Price bands per doubling of the price."""
_WORD: Final = re.compile(r"\w{2,}")
_LONGEST: Final = 64
"""Characters of an attribute's value; longer ones are prose, which no two items share."""


def features_of(item: CatalogueItem, limit: int) -> tuple[int, ...]:
    """Different features of an item, ascending, in [0, BUCKETS).

    Where there are more than `limit`, the ones named first stay: category, brand, price band, attributes in
    the shop's order, words of the title.
    """
    found: dict[int, None] = {}
    for name in _names(item):
        if len(found) == limit:
            break
        found[crc32(name.encode("utf-8", "surrogatepass")) % BUCKETS] = None
    return tuple(sorted(found))


def _names(item: CatalogueItem) -> Iterator[str]:
    if item.category is not None:
        yield f"category {item.category}"
    if item.brand is not None:
        yield f"brand {item.brand}"
    if item.price:
        yield f"price {floor(_BANDS * log2(item.price))} of {item.category}"
    for name, value in item.attributes.items():
        yield from (f"{name} {text}" for text in _texts(value))
    for word in _WORD.findall((item.title or "").lower()):
        yield f"word {word}"


def _texts(value: Any) -> Iterator[str]:
    """The values of an attribute that two items can have in common."""
    if isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, str | int | bool) and len(text := str(value).lower()) <= _LONGEST:
        yield text
