"""Candidates for a slate: all sources scored, scaled, weighted, filtered and ranked in one kernel call.

score(x) = repeat(x) * sum over sources of weight_s * score_s(x) / max(score_s), where repeat(x) is
`repeat_current_weight` or `repeat_earlier_weight` for items of the current session, else 1.
"""

from collections.abc import Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from state.kernel import kernel, kernel_part
from state.retrieval.arrays import Bytes, Floats, Ints, Longs
from state.retrieval.box import Box
from state.retrieval.category import add_category
from state.retrieval.content import Content, add_content
from state.retrieval.flags import CURRENT, EARLIER, EXCLUDED, RECALLED
from state.retrieval.history import add_history
from state.retrieval.hour import Hours, add_hour
from state.retrieval.lessons import as_longs
from state.retrieval.popularity import Popularity, add_popular, relative_scores
from state.retrieval.rules import Rules, add_rules
from state.retrieval.selection import select_top
from state.retrieval.sessions import SessionIndex, add_neighbours
from state.retrieval.two_hop import add_two_hop
from state.retrieval.weights import SOURCES, Scratch, Weights

if TYPE_CHECKING:
    from state.models import Models

__all__ = ["SOURCES", "Candidates", "Query", "Ranked", "retrieve", "retrieve_all"]


COLUMNS: Final = len(SOURCES)
"""A constant, so that loops over the sources are unrolled."""
_KNN, _RULES, _POPULAR, _HISTORY, _TWO_HOP, _CATEGORY, _HOUR, _CONTENT = range(COLUMNS)
_LARGEST: Final = np.int64((1 << 31) - 1)


class Query(NamedTuple):
    """What a slate is asked for. Unknown items are ignored."""

    session: tuple[str, ...]
    """Items of the current session, oldest first; repeats are welcome, the last place counts."""
    history: tuple[str, ...] = ()
    """Items of former sessions, oldest first."""
    exclude: frozenset[str] | tuple[str, ...] = ()
    """Items that must not come back, such as the ones just bought."""
    now: int = 0
    """Time of the decision, epoch milliseconds, for its hour of the day; 0: unknown. All sources age forward,
    which ranks the same at every moment."""
    size: int = 60
    """Candidates wanted."""
    session_key: int = 0
    """The current session's key in the shared models, so that it is not its own neighbour; 0 for none."""


class Candidates(NamedTuple):
    """Ranked candidates: by score, equals by dense id. `Models.item_ids` names the items."""

    items: Ints
    """[n] dense ids."""
    scores: Floats
    """[n] at least 0, not increasing."""
    contributions: Floats
    """[n, len(SOURCES)] each source's part of the score; a row sums to the score."""


class Ranked(NamedTuple):
    """Candidates of many queries, a row for each."""

    items: Ints
    """[n, size] as in `Candidates`, like the next two."""
    scores: Floats
    """[n, size]"""
    contributions: Floats
    """[n, size, len(SOURCES)]"""
    counts: Ints
    """[n] candidates of each query; beyond them a row's scores are 0, the others undefined."""

    def of(self, row: int) -> Candidates:
        """Candidates of one query."""
        count = self.counts[row]
        return Candidates(self.items[row, :count], self.scores[row, :count], self.contributions[row, :count])


class Queries(NamedTuple):
    """Many queries as columns, for one kernel call."""

    entries: Ints
    """[m] dense ids, -1 for an unknown item: each query's `exclude`, `history` and `session`, as given."""
    ends: Longs
    """[n, 3] end of each of the three in `entries`; the first begins where the query before ends."""
    own: Longs
    """[n] as in `sessions.add_neighbours`."""
    now: Longs
    """[n] epoch milliseconds, 0 for unknown."""


def retrieve(models: "Models", query: Query) -> Candidates:
    """The best `query.size` candidates for this query, fewer where the models know fewer."""
    found = retrieve_all(models, [query], query.size)
    return found.of(0)


def retrieve_all(models: "Models", queries: Sequence[Query], size: int) -> Ranked:
    """The best `size` candidates for each query, as `retrieve` finds them; one kernel call for all."""
    rows, size = len(queries), max(0, min(size, models.n_items))
    items = np.empty((rows, size), np.int32)
    scores = np.zeros((rows, size), np.float32)
    contributions = np.empty((rows, size, len(SOURCES)), np.float32)
    counts = np.empty(rows, np.int32)
    columns = _columns(models, queries)
    rank_all(models.box, *columns, models.untried(), items, scores, contributions, counts)
    return Ranked(items, scores, contributions, counts)


def _columns(models: "Models", queries: Sequence[Query]) -> Queries:
    entries: list[str] = []
    ends: list[int] = []
    own: list[int] = []
    times: list[int] = []
    id_of, sequence_of = models.items.ids.get, models.session_sequence
    for session, history, exclude, now, _, session_key in queries:
        for part in (exclude, history, session):
            entries += part
            ends.append(len(entries))
        own.append(sequence_of(session_key))
        times.append(now)
    return Queries(
        as_longs(list(map(id_of, entries, repeat(-1)))).astype(np.int32),
        as_longs(ends).reshape(-1, 3),
        as_longs(own),
        as_longs(times),
    )


@kernel
def rank_all(
    box: Box,
    entries: Ints,
    ends: Longs,
    own: Longs,
    now: Longs,
    untried: Ints,
    items: Ints,
    scores: Floats,
    contributions: Floats,
    counts: Ints,
) -> None:
    """Fill a row [size] of `items`, `scores`, `contributions` for each query; `counts` [n] says how far.

    `entries`, `ends`, `own` and `now` are those of `Queries`, the results those of `Ranked`. `untried` items
    come last, with score 0, where the sources do not fill the slate.
    """
    # Once for all queries: numba counts the references of every array of a part each time it is taken out.
    index, rules, popularity, hours, content = box.sessions, box.rules, box.popularity, box.hours, box.content
    weights, scratch = box.weights, box.scratch
    relative, factors = relative_scores(popularity), np.empty(COLUMNS, np.float32)
    newest, recalled = np.empty(entries.size, np.int32), np.empty(weights.history.steps.size, np.int32)
    flags = scratch.flags
    start = 0
    for n in range(counts.size):
        excluded, former, end = ends[n]
        for item in entries[start:excluded]:
            if item >= 0:
                flags[item] |= EXCLUDED
        history = recalled[: _newest(entries, excluded, former, recalled, flags, RECALLED)]
        session = newest[: _newest(entries, former, end, newest, flags, EARLIER)]
        if session.size:
            flags[session[0]] ^= EARLIER | CURRENT
        count = _score_by_sessions(index, rules, weights, scratch, session, own[n])
        count = _score_by_items(
            index, popularity, hours, content, weights, scratch, relative, session, history, now[n], count
        )
        counts[n] = _rank(
            popularity, weights, scratch, count, untried, factors, items[n], scores[n], contributions[n]
        )
        _clear(scratch, entries[start:end], count)
        start = end


@kernel_part
def _score_by_sessions(
    index: SessionIndex, rules: Rules, weights: Weights, scratch: Scratch, session: Ints, own: int
) -> int:
    """Score by what others did in sessions like this one; returns how many items are touched."""
    scores, flags, touched, blend = scratch.scores, scratch.flags, scratch.touched, weights.blend
    count = 0
    # The neighbours come first: they weigh all items touched so far by idf.
    if blend[_KNN] > 0.0:
        count = add_neighbours(
            index, weights.sessions, scratch.sessions, session, own, scores, flags, touched, 0
        )
    if blend[_RULES] > 0.0 or blend[_TWO_HOP] > 0.0:
        count = add_rules(rules, weights.rules, session, scores, flags, touched, count)
    if blend[_TWO_HOP] > 0.0:
        count = add_two_hop(rules, weights.two_hop, scratch.keys, scores, flags, touched, count)
    return count


@kernel_part
def _score_by_items(
    index: SessionIndex,
    popularity: Popularity,
    hours: Hours,
    content: Content,
    weights: Weights,
    scratch: Scratch,
    relative: Floats,
    session: Ints,
    history: Ints,
    now: int,
    count: int,
) -> int:
    """Score by what is known of items; returns how many are touched then."""
    scores, flags, touched, blend = scratch.scores, scratch.flags, scratch.touched, weights.blend
    if blend[_POPULAR] > 0.0:
        count = add_popular(popularity, relative, scores, flags, touched, count)
    if blend[_CATEGORY] > 0.0:
        count = add_category(popularity, weights.category, session, scores, flags, touched, count)
    if blend[_HOUR] > 0.0:
        count = add_hour(hours, weights.hours, now, scores, flags, touched, count)
    if blend[_CONTENT] > 0.0:
        count = add_content(
            content, weights.content, index.sessions_of, session, scores, flags, touched, count
        )
    if blend[_HISTORY] > 0.0:
        count = add_history(weights.history, history, scores, flags, touched, count)
    return count


@kernel_part
def _clear(scratch: Scratch, entries: Ints, count: int) -> None:
    """Leave the work space as the next query needs it."""
    for entry in entries:
        if entry >= 0:
            scratch.flags[entry] = 0
    for i in range(count):
        item = scratch.touched[i]
        scratch.flags[item] = 0
        for source in range(COLUMNS):
            scratch.scores[item, source] = 0.0


@kernel_part
def _newest(entries: Ints, start: int, end: int, newest: Ints, flags: Bytes, flag: int) -> int:
    """Write the known items of a part of `entries` to `newest`, newest first and each once; returns how many.

    As many as there is room for; they get the flag.
    """
    count = 0
    for i in range(end - 1, start - 1, -1):
        item = entries[i]
        if item >= 0 and flags[item] & flag == 0 and count < newest.size:
            flags[item] |= flag
            newest[count] = item
            count += 1
    return count


@kernel_part
def _rank(
    popularity: Popularity,
    weights: Weights,
    scratch: Scratch,
    count: int,
    untried: Ints,
    factors: Floats,
    items: Ints,
    scores: Floats,
    contributions: Floats,
) -> int:
    """Write the best of the first `count` touched items in order, each with its sources; returns how many.

    `factors` [sources] is work space.
    """
    by_item, flags, touched, values = scratch.scores, scratch.flags, scratch.touched, scratch.values
    _scale(by_item, touched, count, weights.blend, factors)
    current, earlier = weights.repeat_current, weights.repeat_earlier
    kept = 0
    for i in range(count):
        item = touched[i]
        flag = flags[item]
        repeat = _repeat(flag, current, earlier)
        if popularity.recommendable[item] and not flag & EXCLUDED and repeat > 0.0:
            score = np.float32(0.0)
            for source in range(COLUMNS):
                score += factors[source] * by_item[item, source]
            values[kept] = repeat * score
            touched[i] = touched[kept]
            touched[kept] = item
            kept += 1
    found = select_top(values, kept, items.size, scratch.ranked, scratch.sessions.buckets)
    _sort(touched, values, scratch.ranked, found, scratch.keys, items, scores)
    for place in range(found):
        repeat = _repeat(flags[items[place]], current, earlier)
        for source in range(COLUMNS):
            share = factors[source] * by_item[items[place], source]
            contributions[place, source] = repeat * share
    filled = _fill(untried, flags, items, found)
    scores[found:filled] = 0.0
    contributions[found:filled] = 0.0
    return filled


@kernel_part
def _scale(by_item: Floats, touched: Ints, count: int, weights: Floats, factors: Floats) -> None:
    """Write to `factors` [sources] the weight over the largest score, for each source."""
    factors[:] = 0.0
    for i in range(count):
        row = touched[i]
        for source in range(COLUMNS):
            factors[source] = max(factors[source], by_item[row, source])
    for source in range(COLUMNS):
        if factors[source] > 0.0:
            factors[source] = weights[source] / factors[source]


@kernel_part
def _repeat(flag: int, current: float, earlier: float) -> float:
    if flag & CURRENT:
        return current
    if flag & EARLIER:
        return earlier
    return 1.0


@kernel_part
def _sort(
    touched: Ints, values: Floats, ranked: Ints, found: int, keys: Longs, items: Ints, scores: Floats
) -> None:
    """Write the selected items in order: score falling, then dense id rising."""
    bits = values.view(np.int32)
    for i in range(found):
        # Scores are not negative, so their bits rise as they do; both in one number, to compare once.
        key = (np.int64(bits[ranked[i]]) << 32) | (_LARGEST - touched[ranked[i]])
        place = i
        while place > 0 and keys[place - 1] < key:
            keys[place] = keys[place - 1]
            place -= 1
        keys[place] = key
    by_bits = scores.view(np.int32)
    for i in range(found):
        by_bits[i] = keys[i] >> 32
        items[i] = _LARGEST - (keys[i] & _LARGEST)


@kernel_part
def _fill(untried: Ints, flags: Bytes, items: Ints, found: int) -> int:
    """Add untried items after the `found` ranked ones; returns how many there are then."""
    for item in untried:
        if found < items.size and flags[item] == 0:
            items[found] = item
            found += 1
    return found
