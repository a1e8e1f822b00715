"""Candidates for a slate: all sources scored, scaled, weighted, filtered and ranked in one kernel call.

score(x) = repeat(x) * sum over sources of weight_s * score_s(x) / max(score_s), where repeat(x) is
`repeat_current_weight` or `repeat_earlier_weight` for items of the current session, else 1.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from state.kernel import kernel
from state.retrieval.arrays import Bytes, Floats, Ints
from state.retrieval.box import Box
from state.retrieval.flags import CURRENT, EARLIER, EXCLUDED
from state.retrieval.history import add_history
from state.retrieval.popularity import add_popular
from state.retrieval.rules import add_rules
from state.retrieval.selection import select_top
from state.retrieval.sessions import add_neighbours
from state.retrieval.weights import SOURCES

if TYPE_CHECKING:
    from state.models import Models

__all__ = ["SOURCES", "Candidates", "Query", "rank_candidates", "retrieve"]


class Query(NamedTuple):
    """What a slate is asked for. Unknown items are ignored."""

    session: tuple[str, ...]
    """Items of the current session, oldest first; repeats are welcome, the last place counts."""
    history: tuple[str, ...] = ()
    """Items of former sessions, oldest first."""
    exclude: frozenset[str] | tuple[str, ...] = ()
    """Items that must not come back, such as the ones just bought."""
    now: int = 0
    """Time of the decision, epoch milliseconds. All sources here age forward, which ranks the same at every
    moment; it is for sources that know the hour."""
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


def retrieve(models: "Models", query: Query) -> Candidates:
    """The best `query.size` candidates for this query, fewer where the models know fewer."""
    size = max(0, min(query.size, models.n_items))
    items = np.empty(size, np.int32)
    scores = np.empty(size, np.float32)
    contributions = np.empty((size, len(SOURCES)), np.float32)
    found = rank_candidates(
        models.box,
        models.dense_ids(query.session[::-1]),
        models.dense_ids(query.history[::-1]),
        models.dense_ids(query.exclude),
        models.untried(),
        models.session_sequence(query.session_key),
        items,
        scores,
        contributions,
    )
    return Candidates(items[:found], scores[:found], contributions[:found])


@kernel
def rank_candidates(
    box: Box,
    session: Ints,
    history: Ints,
    exclude: Ints,
    untried: Ints,
    own: int,
    items: Ints,
    scores: Floats,
    contributions: Floats,
) -> int:
    """Fill `items`, `scores`, `contributions`, all [size] rows, with the best candidates; returns how many.

    Lists of items are dense ids, distinct, newest first. `untried` items come last, with score 0,
    where the sources do not fill the slate; `own` is as in `sessions.add_neighbours`.
    """
    flags, touched = box.scratch.flags, box.scratch.touched
    _mark(flags, session, exclude)
    count = _propose(box, session, history, own)
    factors = _scale(box.scratch.scores, touched, count, box.weights.blend)
    kept = _keep(box, count)
    found = _rank(box, kept, factors, items, scores)
    for place in range(found):
        repeat = _repeat(flags[items[place]], box.weights.repeat_current, box.weights.repeat_earlier)
        for source in range(factors.size):
            share = factors[source] * box.scratch.scores[items[place], source]
            contributions[place, source] = repeat * share
    filled = _fill(untried, flags, items, found)
    scores[found:filled] = 0.0
    contributions[found:filled] = 0.0
    _clear(box, session, exclude, count)
    return filled


@kernel
def _mark(flags: Bytes, session: Ints, exclude: Ints) -> None:
    for back in range(session.size):
        flags[session[back]] |= CURRENT if back == 0 else EARLIER
    for item in exclude:
        flags[item] |= EXCLUDED


@kernel
def _propose(box: Box, session: Ints, history: Ints, own: int) -> int:
    """Let every source score its items; returns how many were touched."""
    weights = box.weights
    scores, flags, touched = box.scratch.scores, box.scratch.flags, box.scratch.touched
    # The neighbours come first: they weigh all items touched so far by idf.
    count = add_neighbours(
        box.sessions, weights.sessions, box.scratch.sessions, session, own, scores, flags, touched, 0
    )
    count = add_rules(box.rules, weights.rules, session, scores, flags, touched, count)
    count = add_popular(box.popularity, scores, flags, touched, count)
    return add_history(weights.history, history, scores, flags, touched, count)


@kernel
def _scale(by_item: Floats, touched: Ints, count: int, weights: Floats) -> Floats:
    """[sources] weight over the largest score, for each source."""
    factors = np.zeros(weights.size, np.float32)
    for source in range(weights.size):
        top = np.float32(0.0)
        for i in range(count):
            top = max(top, by_item[touched[i], source])
        if top > 0.0:
            factors[source] = weights[source] / top
    return factors


@kernel
def _repeat(flag: int, current: float, earlier: float) -> float:
    if flag & CURRENT:
        return current
    if flag & EARLIER:
        return earlier
    return 1.0


@kernel
def _keep(box: Box, count: int) -> int:
    """Move what may be shown to the front of `touched`; returns how many."""
    touched, flags, recommendable = box.scratch.touched, box.scratch.flags, box.popularity.recommendable
    current, earlier = box.weights.repeat_current, box.weights.repeat_earlier
    kept = 0
    for i in range(count):
        item = touched[i]
        flag = flags[item]
        if recommendable[item] and not flag & EXCLUDED and _repeat(flag, current, earlier) > 0.0:
            touched[i] = touched[kept]
            touched[kept] = item
            kept += 1
    return kept


@kernel
def _rank(box: Box, kept: int, factors: Floats, items: Ints, scores: Floats) -> int:
    """Write the best of the first `kept` touched items to `items` and `scores`; returns how many."""
    touched, flags, by_item = box.scratch.touched, box.scratch.flags, box.scratch.scores
    values, ranked = box.scratch.values, box.scratch.ranked
    current, earlier = box.weights.repeat_current, box.weights.repeat_earlier
    for i in range(kept):
        item = touched[i]
        score = np.float32(0.0)
        for source in range(factors.size):
            score += factors[source] * by_item[item, source]
        values[i] = _repeat(flags[item], current, earlier) * score
    found = select_top(values, kept, items.size, ranked, box.scratch.sessions.buckets)
    _sort(touched, values, ranked, found, items, scores)
    return found


@kernel
def _sort(touched: Ints, values: Floats, ranked: Ints, found: int, items: Ints, scores: Floats) -> None:
    """Insert the selected items in order: score falling, then dense id rising."""
    for i in range(found):
        item = touched[ranked[i]]
        score = values[ranked[i]]
        place = i
        while place > 0 and (
            scores[place - 1] < score or (scores[place - 1] == score and items[place - 1] > item)
        ):
            scores[place] = scores[place - 1]
            items[place] = items[place - 1]
            place -= 1
        scores[place] = score
        items[place] = item


@kernel
def _fill(untried: Ints, flags: Bytes, items: Ints, found: int) -> int:
    """Add untried items after the `found` ranked ones; returns how many there are then."""
    for item in untried:
        if found < items.size and flags[item] == 0:
            items[found] = item
            found += 1
    return found


@kernel
def _clear(box: Box, session: Ints, exclude: Ints, count: int) -> None:
    """Leave the work space as the next query needs it."""
    flags, touched = box.scratch.flags, box.scratch.touched
    for item in session:
        flags[item] = 0
    for item in exclude:
        flags[item] = 0
    for i in range(count):
        flags[touched[i]] = 0
        box.scratch.scores[touched[i]] = 0.0
