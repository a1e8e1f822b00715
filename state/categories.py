"""Categories of the catalogue's items as dense integers, for kernels."""

from typing import Final

import numpy as np

from state.interner import Interner
from state.retrieval.arrays import Ints

NONE: Final = 0
"""Code of an item without a category."""


class Categories:
    """The category of each item by its dense id.

    Examples:
        >>> categories = Categories()
        >>> categories.put(2, "shoes/trail")
        >>> categories.codes(4)[:4].tolist(), categories.names
        ([0, 0, 1, 0], ['', 'shoes/trail'])
    """

    def __init__(self) -> None:
        self._names = Interner([""])
        self._codes = np.zeros(0, np.int32)

    @property
    def names(self) -> list[str]:
        """Category by code; do not change it. It only grows."""
        return self._names.strings

    def put(self, item: int, category: str | None) -> None:
        """Say which category an item is in; None or empty for none."""
        self.codes(item + 1)[item] = self._names.intern(category or "")

    def codes(self, items: int) -> Ints:
        """[at least `items`] code of each item's category, `NONE` where nothing is known."""
        if items > self._codes.size:
            grown = np.full(max(1024, 2 * items), NONE, np.int32)
            grown[: self._codes.size] = self._codes
            self._codes = grown
        return self._codes
