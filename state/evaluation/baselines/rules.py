"""Rules of pairs: what comes after the last item (SR), what it is looked at together with (co-visitation).

With an item a at g steps before b in the same session,

    SR             rule[a][b] += 1 / g, for g up to 10
    co-visitation  rule[a][b] += 1 and rule[b][a] += 1, for g up to 10

and the rules of the last item alone are the list; before the first event of a session, of the user's last
item.

Source: Ludewig, Jannach (UMUAI 2018), SR with linear weights.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from heapq import nsmallest
from typing import Final

import numpy as np
from msgspec import Struct

from state.interner import Interner
from state.retrieval.arrays import Ints
from state.retrieval.blend import Query
from state.slate import Delta

STEPS: Final = 10
"""How far back in the session a pair reaches."""
MAX_SESSIONS: Final = 1 << 17
"""Sessions that can still go on; then the oldest is taken for ended."""


class Pairs(Struct, frozen=True):
    """How a pair counts."""

    forward: tuple[float, ...]
    """[STEPS] weight of the rule to an item so many steps later, from 1."""
    backward: tuple[float, ...]
    """[STEPS] weight of the rule to an item so many steps earlier."""


SEQUENTIAL: Final = Pairs(tuple(1.0 / step for step in range(1, STEPS + 1)), (0.0,) * STEPS)
TOGETHER: Final = Pairs((1.0,) * STEPS, (1.0,) * STEPS)


class PairRules:
    """Rules of the last item, updated by every event.

    Args:
        pairs: How a pair counts.
    """

    def __init__(self, pairs: Pairs) -> None:
        self._pairs = pairs
        self._items = Interner()
        self._rules: defaultdict[int, defaultdict[int, float]] = defaultdict(lambda: defaultdict(float))
        self._open: dict[int, list[int]] = {}

    @property
    def item_ids(self) -> Sequence[str]:
        """Item id by number."""
        return self._items.strings

    def learn(self, deltas: Iterable[Delta]) -> None:
        """Count the pairs that each interaction makes with those before it."""
        for delta in deltas:
            numbers = [self._items.intern(name) for name in delta.items]
            for item, key in zip(delta.item, delta.session, strict=True):
                if key:
                    self._observe(numbers[item], key)

    def rank(self, queries: Sequence[Query], size: int) -> Ints:
        """The strongest rules of each query's last item."""
        lists = np.full((len(queries), size), -1, np.int32)
        for row, query in enumerate(queries):
            last = (query.session or query.history)[-1:]
            if last and (number := self._items.ids.get(last[0])) is not None:
                rules = self._rules[number].items() if number in self._rules else ()
                best = nsmallest(size, rules, key=lambda rule: (-rule[1], rule[0]))
                lists[row, : len(best)] = [target for target, _ in best]
        return lists

    def _observe(self, item: int, key: int) -> None:
        before = self._open.pop(key, None) or []
        for former, forward, backward in zip(
            reversed(before), self._pairs.forward, self._pairs.backward, strict=False
        ):
            if forward:
                self._rules[former][item] += forward
            if backward:
                self._rules[item][former] += backward
        self._open[key] = [*before[1 - STEPS :], item]
        if len(self._open) > MAX_SESSIONS:
            del self._open[next(iter(self._open))]
