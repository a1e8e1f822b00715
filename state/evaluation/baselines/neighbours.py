"""Session nearest neighbours as published: SKNN, VSKNN, STAN and VSTAN, one scheme with four sets of weights.

Of the sessions that share an item with the current one, the `sample` most recent are looked at and the
`neighbours` most similar vote. With L events in the current session, i_x the place of an item's last event
in it and j* the steps back from its end to the most recent item shared with session n:

    sim(n) = sum over shared x of match(i_x, L) / sqrt|n|, aged by e^{(t_n - t) / decay}
    score(x) = sum over n of sim(n) vote(j*) e^{-|place_n(x) - place_n(i*)| / place_decay}
               times 1 + idf_weight idf(x)

with i* the last item of n that is in the current session too and idf(x) = ln(sessions / events of x). What a
method does not have is left out. Factors that are the same for all n, such as the current session's length,
are left out too.

Sources: Jannach, Ludewig (RecSys 2017), SKNN; Ludewig, Jannach (UMUAI 2018), VSKNN; Garg et al. (SIGIR 2019),
STAN; Ludewig et al. (UMUAI 2021), VSTAN; formulas as their published code (rn5l/session-rec) has them.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct

from state.evaluation.baselines.index import Index, IndexBuilder
from state.kernel import kernel
from state.retrieval.arrays import DAY_MS, Bytes, Doubles, Ints
from state.retrieval.blend import Query
from state.slate import Delta

MAX_STEPS: Final = 1_024
"""Steps back that a session's items are told apart by; older ones count as the last of them."""


class Method(Struct, frozen=True, kw_only=True):
    """One method's weights. Steps and places are counted in events."""

    neighbours: int
    """k."""
    sample: int
    """Most recent sessions that are looked at."""
    match: Callable[[Doubles, float], Doubles]
    """Weight of shared items by their places [n] in the current session, from 1, and its length."""
    cosine: bool = False
    """Whether similarity is divided by the root of the neighbour's different items."""
    vote: Callable[[Doubles], Doubles] = np.ones_like
    """Weight of a neighbour by j*, from 1."""
    decay_days: float = np.inf
    place_decay: float = np.inf
    idf_weight: float = 0.0


def exponential(steps: float) -> Callable[[Doubles, float], Doubles]:
    """e^{(i - L) / steps}."""
    return lambda place, length: np.exp((place - length) / steps)


class Neighbours:
    """A session neighbour method; it is rebuilt whenever it has learned something and is asked.

    Args:
        method: Its weights.
    """

    def __init__(self, method: Method) -> None:
        self._method = method
        self._builder = IndexBuilder()
        self._tables: _Tables | None = None

    @property
    def item_ids(self) -> Sequence[str]:
        """Item id by number."""
        return self._builder.items.strings

    def learn(self, deltas: Iterable[Delta]) -> None:
        """Collect sessions."""
        self._builder.learn(deltas)
        self._tables = None

    def rank(self, queries: Sequence[Query], size: int) -> Ints:
        """The best items for each query; without a neighbour, none."""
        if self._tables is None:
            self._tables = _tables(self._builder, self._method)
        index, method, tables = self._builder.index, self._method, self._tables
        lists = np.full((len(queries), size), -1, np.int32)
        for row, query in enumerate(queries):
            session = self._builder.numbers(query.session)
            places = {number: place for place, number in enumerate(session, 1)}
            if places:
                items = np.array(list(places), np.int32)
                at = np.array(list(places.values()), np.float64)
                length = float(len(session))
                shared = _Current(items, method.match(at, length), (length - at).astype(np.int32))
                _rank(index, tables, shared, method.sample, method.neighbours, lists[row])
        return lists


class _Tables(NamedTuple):
    """A method's weights for one index."""

    factor: Doubles
    """[sessions] what a similarity is multiplied by."""
    vote: Doubles
    """[MAX_STEPS] by steps back, from 0."""
    nearness: Doubles
    """[MAX_STEPS] by the distance of two places."""
    idf: Doubles
    """[items]"""
    idf_weight: float
    ranks: Ints
    """[items] order of equals."""
    similarity: Doubles
    """[sessions] work space of zeros, like the next two."""
    score: Doubles
    """[items]"""
    marks: Bytes
    """[items]"""
    back: Ints
    """[items] work space of -1."""


class _Current(NamedTuple):
    """The current session."""

    items: Ints
    """[n] different items."""
    match: Doubles
    """[n] their weights."""
    back: Ints
    """[n] steps back of each, from 0."""


def _tables(builder: IndexBuilder, method: Method) -> _Tables:
    index = builder.index
    steps = np.arange(MAX_STEPS, dtype=np.float64)
    sizes = np.maximum(1, np.diff(index.session_ends))
    age = (index.times - index.times.max(initial=0)) / (method.decay_days * DAY_MS)
    sessions = max(1, index.times.size)
    return _Tables(
        factor=np.exp(age) / np.sqrt(sizes if method.cosine else np.ones_like(sizes)),
        vote=method.vote(steps + 1),
        nearness=np.exp(-steps / method.place_decay),
        idf=np.log(sessions / np.maximum(1, index.counts)),
        idf_weight=method.idf_weight,
        ranks=builder.ranks,
        similarity=np.zeros(index.times.size),
        score=np.zeros(index.counts.size),
        marks=np.zeros(index.counts.size, np.int8),
        back=np.full(index.counts.size, -1, np.int32),
    )


@kernel
def _rank(index: Index, tables: _Tables, current: _Current, sample: int, neighbours: int, best: Ints) -> None:
    """Write the best items of one query to `best`, which holds -1."""
    looked_at, values = _meet(index, tables, current, sample)
    # Equals: the most recent first, as they stand in `looked_at`.
    nearest = np.argsort(-values, kind="mergesort")[:neighbours]
    for n in range(current.items.size):
        tables.back[current.items[n]] = current.back[n]
    touched = np.empty(tables.score.size, np.int32)
    count = 0
    for n in nearest:
        session = looked_at[n]
        entries = range(index.session_ends[session], index.session_ends[session + 1])
        back, star = MAX_STEPS - 1, 0
        for entry in entries:
            steps = tables.back[index.items[entry]]
            if steps >= 0:
                back, star = min(back, steps), max(star, index.places[entry])
        for entry in entries:
            item = index.items[entry]
            if tables.marks[item] == 0:
                tables.marks[item] = 1
                touched[count] = item
                count += 1
            apart = min(MAX_STEPS - 1, abs(index.places[entry] - star))
            # In the order of the published code: equal scores are equal only to the last bit.
            share = values[n] * tables.nearness[apart]
            share += share * tables.idf[item] * tables.idf_weight
            tables.score[item] += share * tables.vote[back]
    for item in current.items:
        tables.back[item] = -1
    for item in touched[:count]:
        tables.marks[item] = 0
    take_best(touched[:count], tables.score, tables.ranks, best)


@kernel
def _meet(index: Index, tables: _Tables, current: _Current, sample: int) -> tuple[Ints, Doubles]:
    """The most recent sessions that share an item, newest first, and their similarities."""
    room = 0
    for item in current.items:
        room += index.item_ends[item + 1] - index.item_ends[item]
    met = np.empty(room, np.int32)
    count = 0
    for n in range(current.items.size):
        item = current.items[n]
        for session in index.sessions[index.item_ends[item] : index.item_ends[item + 1]]:
            if tables.similarity[session] == 0.0:
                # Negative, so that sorting puts the newest first.
                met[count] = -session
                count += 1
            tables.similarity[session] += current.match[n]
    met = np.sort(met[:count])
    values = np.empty(min(count, sample))
    for n in range(values.size):
        values[n] = tables.similarity[-met[n]] / current.items.size * tables.factor[-met[n]]
    for session in met:
        tables.similarity[-session] = 0.0
    return -met[: values.size], values


@kernel
def take_best(touched: Ints, score: Doubles, ranks: Ints, best: Ints) -> None:
    """Write the touched items with the highest scores above 0 to `best`, equals by their `ranks`.

    Leaves `score` at 0 for all of them.
    """
    found = 0
    for item in touched:
        if score[item] <= 0.0:
            continue
        place = min(found, best.size - 1)
        if found == best.size and not _before(item, best[place], score, ranks):
            continue
        while place > 0 and _before(item, best[place - 1], score, ranks):
            best[place] = best[place - 1]
            place -= 1
        best[place] = item
        found = min(found + 1, best.size)
    for item in touched:
        score[item] = 0.0


@kernel
def _before(item: int, other: int, score: Doubles, ranks: Ints) -> bool:
    return score[item] > score[other] or (score[item] == score[other] and ranks[item] < ranks[other])
