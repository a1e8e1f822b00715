"""The most popular items, the same for everyone."""

from collections.abc import Iterable, Sequence

import numpy as np

from state.interner import Interner
from state.retrieval.arrays import Ints
from state.retrieval.blend import Query
from state.slate import Delta


class Popular:
    """Items by how often they were turned to, ever; equals by who came first."""

    def __init__(self) -> None:
        self._items = Interner()
        self._counts = np.zeros(1_024, np.int64)

    @property
    def item_ids(self) -> Sequence[str]:
        """Item id by number."""
        return self._items.strings

    def learn(self, deltas: Iterable[Delta]) -> None:
        """Count."""
        for delta in deltas:
            numbers = np.array([self._items.intern(name) for name in delta.items], np.int64)
            if len(self._items) > self._counts.size:
                self._counts = np.pad(self._counts, (0, 2 * len(self._items)))
            np.add.at(self._counts, numbers[np.array(delta.item, np.int64)], 1)

    def rank(self, queries: Sequence[Query], size: int) -> Ints:
        """The same list for every query."""
        counts = self._counts[: len(self._items)]
        size = min(size, counts.size)
        if not size:
            return np.zeros((len(queries), 0), np.int32)
        # One number that holds both orders, so that only the best have to be sorted.
        keys = counts * counts.size + np.arange(counts.size)[::-1]
        best = np.argpartition(keys, counts.size - size)[counts.size - size :]
        best = best[np.argsort(-keys[best])]
        return np.tile(best.astype(np.int32), (len(queries), 1))
