"""What the user turned to before: nothing but repeats."""

from collections.abc import Iterable, Sequence

import numpy as np

from state.interner import Interner
from state.retrieval.arrays import Ints
from state.retrieval.blend import Query
from state.slate import Delta


class Repeats:
    """The user's own items, the latest first; it learns nothing."""

    def __init__(self) -> None:
        self._items = Interner()

    @property
    def item_ids(self) -> Sequence[str]:
        """Item id by number."""
        return self._items.strings

    def learn(self, deltas: Iterable[Delta]) -> None:
        """Nothing: what counts is in the query."""

    def rank(self, queries: Sequence[Query], size: int) -> Ints:
        """Different items of session and history, without those that must not come back."""
        lists = np.full((len(queries), size), -1, np.int32)
        for row, query in enumerate(queries):
            latest = dict.fromkeys([*reversed(query.session), *reversed(query.history)])
            items = [self._items.intern(name) for name in latest if name not in query.exclude][:size]
            lists[row, : len(items)] = items
        return lists
