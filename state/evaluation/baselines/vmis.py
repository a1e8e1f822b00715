"""VMIS-kNN, as Serenade serves it.

Only the last `last_items` events of the session count, and of each item only the `recent` sessions that held
it last; all together no more than `recent` sessions are compared. With L events left, i_x from 1 and j* from
1 for the newest:

    sim(n) = sum over shared x of i_x / L
    score(x) = sum over the `neighbours` most similar n of sim(n) (1 - 0.1 j*) idf(x)

idf(x) = ln(rows / rows of x); the most recent item is never listed.

Source: Kersbergen, Sprangers, Schelter, Serenade (SIGMOD 2022), and its published code (bolcom/serenade).
"""

from collections.abc import Iterable, Sequence

import numpy as np

from state.evaluation.baselines.index import Index, IndexBuilder
from state.evaluation.baselines.neighbours import take_best
from state.kernel import kernel
from state.retrieval.arrays import Doubles, Ints
from state.retrieval.blend import Query
from state.slate import Delta


class Vmis:
    """VMIS-kNN; it is rebuilt whenever it has learned something and is asked.

    Args:
        recent: m.
        neighbours: k.
        last_items: Events of the session that count.
    """

    def __init__(self, *, recent: int = 500, neighbours: int = 50, last_items: int = 2) -> None:
        self._recent = recent
        self._neighbours = neighbours
        self._last_items = last_items
        self._builder = IndexBuilder()

    @property
    def item_ids(self) -> Sequence[str]:
        """Item id by number."""
        return self._builder.items.strings

    def learn(self, deltas: Iterable[Delta]) -> None:
        """Collect sessions."""
        self._builder.learn(deltas)

    def rank(self, queries: Sequence[Query], size: int) -> Ints:
        """The best items for each query; without a neighbour, none."""
        index = self._builder.index
        rows = max(1, int(index.counts.sum()))
        idf = np.log(rows / np.maximum(1, index.counts))
        ranks = self._builder.ranks
        similarity, score = np.zeros(index.times.size), np.zeros(index.counts.size)
        lists = np.full((len(queries), size), -1, np.int32)
        for row, query in enumerate(queries):
            session = np.array(self._builder.numbers(query.session[-self._last_items :]), np.int32)
            if session.size:
                _rank(
                    index, idf, ranks, session, similarity, score, self._recent, self._neighbours, lists[row]
                )
        return lists


@kernel
def _rank(
    index: Index,
    idf: Doubles,
    ranks: Ints,
    session: Ints,
    similarity: Doubles,
    score: Doubles,
    recent: int,
    neighbours: int,
    best: Ints,
) -> None:
    """Write the best items to `best`, which holds -1; `similarity` and `score` are work space of zeros."""
    met = _meet(index, session, recent, similarity)
    values = np.empty(met.size)
    for n in range(met.size):
        values[n] = similarity[met[n]]
        similarity[met[n]] = 0.0
    touched = np.empty(score.size, np.int32)
    count = 0
    for n in np.argsort(-values, kind="mergesort")[:neighbours]:
        items = index.items[index.session_ends[met[n]] : index.session_ends[met[n] + 1]]
        back = _steps_back(session, items)
        for item in items:
            if item != session[-1]:
                if score[item] == 0.0:
                    touched[count] = item
                    count += 1
                score[item] += values[n] * (1.0 - 0.1 * back) * idf[item]
    take_best(touched[:count], score, ranks, best)


@kernel
def _meet(index: Index, session: Ints, recent: int, similarity: Doubles) -> Ints:
    """The sessions that are compared, newest first; their `similarity` is set."""
    met = np.empty(0, np.int32)
    for back in range(session.size):
        item = session[session.size - 1 - back]
        if back and np.any(session[session.size - back :] == item):
            continue
        start, end = index.item_ends[item], index.item_ends[item + 1]
        own = index.sessions[max(start, end - recent) : end]
        everything = np.empty(met.size + own.size, np.int32)
        everything[: met.size] = -met
        count = met.size
        for n in own:
            if similarity[n] == 0.0:
                everything[count] = -n
                count += 1
            similarity[n] += (session.size - back) / session.size
        everything = -np.sort(everything[:count])
        for n in everything[recent:]:
            similarity[n] = 0.0
        met = everything[:recent]
    return met


@kernel
def _steps_back(session: Ints, items: Ints) -> int:
    """Steps back from the end of the session to the newest item that is among `items`, from 1."""
    for back in range(session.size):
        if np.any(items == session[session.size - 1 - back]):
            return back + 1
    return session.size
