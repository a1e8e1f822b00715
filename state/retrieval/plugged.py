"""Candidates of sources from outside, blended with those of the shared models.

What a plugged-in source s proposes is scaled and weighted like every other:

    score(x) = score of the others + repeat(x) * weight_s * score_s(x) / max(score_s)

The others are the best candidates of the blend: an item below them that a source brings back has that
source's share alone.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.kernel import kernel
from state.models import Models
from state.retrieval.arrays import Bytes, Floats, Ints, Longs
from state.retrieval.blend import Query, Ranked
from state.retrieval.source import CandidateSource, Proposals

_EXCLUDED, _EARLIER, _CURRENT = 1, 2, 4


class Plugged(NamedTuple):
    """A source in use."""

    name: str
    """In the provenance of items."""
    weight: float
    """Above 0; session neighbours have 1."""
    source: CandidateSource


class PluggedSources:
    """All sources in use, asked and blended.

    Args:
        plugged: In the order of their columns.
        models: Whose candidates theirs are blended with; only read.
    """

    def __init__(self, plugged: Sequence[Plugged], models: Models) -> None:
        self.plugged: Final = tuple(plugged)
        self._models = models
        self._flags: Bytes = np.zeros(0, np.int8)
        self._places: Ints = np.zeros(0, np.int32)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sources in use, in the order of their columns."""
        return tuple(each.name for each in self.plugged)

    def blend(self, queries: Sequence[Query], ranked: Ranked, size: int) -> Ranked:
        """The best `size` of these candidates and the sources' own, in order; equals stay in theirs.

        Contributions have a column more for each source. Without sources it is what was given.
        """
        if not self.plugged:
            return ranked
        answers = [each.source.score(queries) for each in self.plugged]
        room = sum(max((len(said.item_ids) for said in answer), default=0) for answer in answers)
        wide = _widened(ranked, room, len(self.plugged))
        self._make_room()
        excluded, excluded_ends = self._entries(query.exclude for query in queries)
        session, session_ends = self._entries(query.session for query in queries)
        config = self._models.config
        for number, answer in enumerate(answers):
            proposed, ends = self._entries(said.item_ids for said in answer)
            _add(
                *wide,
                ranked.contributions.shape[2] + number,
                proposed,
                ends,
                _shares(answer, proposed, ends, self.plugged[number].weight),
                excluded,
                excluded_ends,
                session,
                session_ends,
                self._models.popularity.recommendable,
                np.array([config.repeat_current_weight, config.repeat_earlier_weight], np.float32),
                self._flags,
                self._places,
            )
        return _settled(*wide, min(size, wide.scores.shape[1]))

    def _make_room(self) -> None:
        items = self._models.n_items
        if items > self._flags.size:
            self._flags, self._places = np.zeros(2 * items, np.int8), np.full(2 * items, -1, np.int32)

    def _entries(self, parts: Iterable[Iterable[str]]) -> tuple[Ints, Longs]:
        """Dense ids of all parts, -1 for an unknown item, and the end of each part [n]."""
        id_of = self._models.items.ids.get
        entries: list[int] = []
        ends: list[int] = []
        for part in parts:
            entries += [id_of(item_id, -1) for item_id in part]
            ends.append(len(entries))
        return np.array(entries, np.int32), np.array(ends, np.int64)


def _shares(answer: Sequence[Proposals], proposed: Ints, ends: Longs, weight: float) -> Floats:
    """Each proposal's part of its item's score, but for repeats: scaled to the query's best known one."""
    scores = np.array([score for said in answer for score in said.scores], np.float64)
    scores[proposed < 0] = 0.0
    starts = np.append(0, ends[:-1])
    tops = np.array([scores[start:end].max(initial=0.0) for start, end in zip(starts, ends, strict=True)])
    tops[tops == 0.0] = 1.0
    shares: Floats = (weight * scores / np.repeat(tops, ends - starts)).astype(np.float32)
    return shares


def _widened(ranked: Ranked, more: int, columns: int) -> Ranked:
    """A copy with room for `more` candidates a row and for the shares of so many sources."""
    rows, most, sources = ranked.contributions.shape
    return Ranked(
        _padded(ranked.items, (rows, most + more)),
        _padded(ranked.scores, (rows, most + more)),
        _padded(ranked.contributions, (rows, most + more, sources + columns)),
        ranked.counts.copy(),
    )


def _padded(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """A larger copy, zeros behind each axis; `numpy.pad` takes much longer."""
    wide = np.zeros(shape, array.dtype)
    wide[tuple(map(slice, array.shape))] = array
    return wide


@kernel
def _add(
    items: Ints,
    scores: Floats,
    contributions: Floats,
    counts: Ints,
    column: int,
    proposed: Ints,
    ends: Longs,
    shares: Floats,
    excluded: Ints,
    excluded_ends: Longs,
    session: Ints,
    session_ends: Longs,
    recommendable: Bytes,
    repeats: Floats,
    flags: Bytes,
    places: Ints,
) -> None:
    """Add one source's shares to the candidates, which are a `Ranked`; new ones come at the end of each row.

    `proposed`, `excluded` and `session` are dense ids, -1 for an unknown item, of all rows, with the end of
    each row. `repeats` [2] are the factors on the current and on the session's earlier items. `flags` [items]
    is 0 and `places` [items] -1 between calls.
    """
    start = excluded_start = session_start = 0
    for row in range(counts.size):
        out = excluded[excluded_start : excluded_ends[row]]
        seen = session[session_start : session_ends[row]]
        _mark(out, seen, flags)
        count = counts[row]
        for place in range(count):
            places[items[row, place]] = place
        for i in range(start, ends[row]):
            item = proposed[i]
            if item < 0 or not recommendable[item]:
                continue
            share = shares[i] * _repeat(flags[item], repeats)
            if share > 0.0:
                if places[item] < 0:
                    places[item] = count
                    items[row, count] = item
                    count += 1
                scores[row, places[item]] += share
                contributions[row, places[item], column] = share
        counts[row] = count
        places[items[row, :count]] = -1
        _clear(out, flags)
        _clear(seen, flags)
        start, excluded_start, session_start = ends[row], excluded_ends[row], session_ends[row]


@kernel
def _mark(out: Ints, seen: Ints, flags: Bytes) -> None:
    """Set the flags of a user's own items."""
    for item in out:
        if item >= 0:
            flags[item] |= _EXCLUDED
    newest = -1
    for item in seen:
        if item >= 0:
            flags[item] |= _EARLIER
            newest = item
    if newest >= 0:
        flags[newest] |= _CURRENT


@kernel
def _clear(entries: Ints, flags: Bytes) -> None:
    for item in entries:
        if item >= 0:
            flags[item] = 0


@kernel
def _repeat(flag: int, repeats: Floats) -> float:
    """Factor on an item's score; 0 for one that must not come back."""
    if flag & _EXCLUDED:
        return 0.0
    if flag & _CURRENT:
        return float(repeats[0])
    return float(repeats[1]) if flag & _EARLIER else 1.0


@kernel
def _settled(items: Ints, scores: Floats, contributions: Floats, counts: Ints, size: int) -> Ranked:
    """The best `size` of each row in order; equals stay in theirs."""
    rows, columns = counts.size, contributions.shape[2]
    kept = Ranked(
        np.empty((rows, size), np.int32),
        np.zeros((rows, size), np.float32),
        np.empty((rows, size, columns), np.float32),
        np.empty(rows, np.int32),
    )
    for row in range(rows):
        order = np.argsort(-scores[row, : counts[row]], kind="mergesort")[:size]
        kept.counts[row] = order.size
        for place in range(order.size):
            kept.items[row, place] = items[row, order[place]]
            kept.scores[row, place] = scores[row, order[place]]
            kept.contributions[row, place] = contributions[row, order[place]]
    return kept
