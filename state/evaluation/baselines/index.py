"""An index of whole sessions, built anew from everything learned: obvious, and not for a stream."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from state.interner import Interner
from state.retrieval.arrays import Ints, Longs
from state.slate import Delta


class Index(NamedTuple):
    """Sessions by the time of their last event, oldest first, and the sessions of each item.

    `session_ends` and `item_ends` begin with a 0: the parts of row i lie between its two entries.
    """

    session_ends: Longs
    """[1 + sessions]"""
    items: Ints
    """[entries] different items of each session."""
    places: Ints
    """[entries] place of the item's last row in its session, repeats counted, from 1."""
    times: Longs
    """[sessions] of the last row, epoch milliseconds."""
    item_ends: Longs
    """[1 + items]"""
    sessions: Ints
    """[entries] sessions of each item, oldest first."""
    counts: Longs
    """[items] rows."""


class IndexBuilder:
    """Collects what deltas teach and makes the index when it is asked for."""

    def __init__(self) -> None:
        self.items = Interner()
        self._item: list[Ints] = []
        self._session: list[Longs] = []
        self._time: list[Longs] = []
        self._index: Index | None = None

    @property
    def index(self) -> Index:
        """Of everything learned so far."""
        if self._index is None:
            self._index = build(*self._columns(), len(self.items))
        return self._index

    def learn(self, deltas: Iterable[Delta]) -> None:
        """Collect; interactions of no session (key 0) are left out."""
        for delta in deltas:
            dense = np.array([self.items.intern(name) for name in delta.items], np.int32)
            session = np.array(delta.session, np.int64)
            self._item.append(dense[np.array(delta.item, np.int64)][session != 0])
            self._session.append(session[session != 0])
            self._time.append(np.array(delta.time, np.int64)[session != 0])
            self._index = None

    def numbers(self, names: Sequence[str]) -> list[int]:
        """Numbers of the known items, in order."""
        ids = self.items.ids
        return [ids[name] for name in names if name in ids]

    @property
    def ranks(self) -> Ints:
        """[items] place of each item in the order of ids, numbers by size: for equals."""
        names = self.items.strings
        ranks = np.empty(len(names), np.int32)
        ranks[sorted(range(len(names)), key=lambda number: (len(names[number]), names[number]))] = np.arange(
            len(names)
        )
        return ranks

    def _columns(self) -> tuple[Ints, Longs, Longs]:
        if not self._item:
            return np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int64)
        return np.concatenate(self._item), np.concatenate(self._session), np.concatenate(self._time)


def build(item: Ints, session: Longs, time: Longs, items: int) -> Index:
    """Make an index of rows in the order they happened.

    Args:
        item: [rows] item number.
        session: [rows] any number.
        time: [rows] epoch milliseconds.
        items: Item numbers are below it.
    """
    keys, inverse = np.unique(session, return_inverse=True)
    last = np.zeros(keys.size, np.int64)
    np.maximum.at(last, inverse, time)
    rank = np.empty(keys.size, np.int64)
    rank[np.argsort(last, kind="stable")] = np.arange(keys.size)
    of_session = rank[inverse]
    order = np.argsort(of_session, kind="stable")
    ordered, sizes = of_session[order], np.bincount(of_session, minlength=keys.size)
    place = np.arange(order.size) - np.repeat(np.cumsum(sizes) - sizes, sizes) + 1
    pair = ordered * max(1, items) + item[order]
    # The last row of each pair, in the order of the sessions and, within one, of their last rows.
    _, latest = np.unique(pair[::-1], return_index=True)
    kept = np.sort(order.size - 1 - latest)
    entry_session, entry_item = ordered[kept], item[order][kept]
    by_item = np.argsort(entry_item, kind="stable")
    return Index(
        session_ends=_ends(entry_session, keys.size),
        items=entry_item.astype(np.int32),
        places=place[kept].astype(np.int32),
        times=np.sort(last, kind="stable"),
        item_ends=_ends(entry_item, items),
        sessions=entry_session[by_item].astype(np.int32),
        counts=np.bincount(item, minlength=items).astype(np.int64),
    )


def _ends(rows: Longs | Ints, count: int) -> Longs:
    return np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=count))]).astype(np.int64)
