"""How good lists are: hit rate, MRR, NDCG, recall, MAP, coverage and popularity at 5, 10 and 20.

Two questions are asked of each list, as session-rec does. HR and MRR ask for the next event's items. NDCG,
recall and MAP ask for the different items of the rest of the session, the next event's included, `REST`
events' items at most. With rel_j whether the item at place j is one of R such items:

    recall@k = sum_j rel_j / R
    MAP@k    = mean of sum_j rel_j (sum_{i <= j} rel_i) / j / min(R, k)
    NDCG@k   = sum_j rel_j / log2(j + 1) / sum_{j <= min(R, k)} 1 / log2(j + 1)
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from state.evaluation.log import Bools
from state.evaluation.protocols import Questions
from state.kernel import kernel
from state.retrieval.arrays import Doubles, Ints, Longs

CUTS: Final = (5, 10, 20)
"""Lengths of lists that are judged."""
METRICS: Final = ("hr", "mrr", "ndcg", "recall", "map")
REST: Final = 100
"""Items of the rest of a session that are asked for at most; the next event's always."""
COLD: Final = 5
"""An item learned fewer times is cold."""


class Targets(NamedTuple):
    """What the lists are asked for: query after query, different items only."""

    ends: Longs
    """[n] end of each query's targets."""
    item: Ints
    """[m] item number."""
    following: Bools
    """[m] whether it is the next event's."""
    seen: Bools
    """[m] whether the query holds it: in the session or the user's history."""
    learned: Ints
    """[m] interactions with it that had been learned when the query was asked."""


class Judged(NamedTuple):
    """Which places of each list are right."""

    following: Bools
    """[n, size] the item is the next event's."""
    rest: Bools
    """[n, size] the item is one of the rest of the session."""
    wanted: Ints
    """[n] different items of the rest of the session."""
    counted: Bools
    """[n] whether the query has a target of the next event."""


def targets_of(questions: Questions) -> Targets:
    """What each query asks for."""
    log = questions.log
    bounds = questions.start, questions.next_end, questions.rest_end
    room = int(np.maximum(np.minimum(bounds[2] - bounds[0], REST), bounds[1] - bounds[0]).sum())
    ends = np.zeros(len(questions.queries), np.int64)
    item, following = np.zeros(room, np.int32), np.zeros(room, np.bool_)
    learned = np.zeros(room, np.int32)
    stamps = np.zeros(len(log.names), np.int64)
    counts = np.zeros(len(log.names), np.int32)
    used = _fill_targets(
        log.item, questions.by_session, *bounds, questions.learned, stamps, counts,
        ends, item, following, learned,
    )  # fmt: skip
    item, following, learned = item[:used], following[:used], learned[:used]
    seen = np.zeros(used, np.bool_)
    first = 0
    names = log.names
    for query, end in zip(questions.queries, ends.tolist(), strict=True):
        known = {*query.session, *query.history}
        seen[first:end] = [names[number] in known for number in item[first:end].tolist()]
        first = end
    return Targets(ends, item, following, seen, learned)


@kernel
def _fill_targets(
    items: Ints,
    by_session: Longs,
    start: Longs,
    next_end: Longs,
    rest_end: Longs,
    until: Longs,
    stamps: Longs,
    counts: Ints,
    ends: Longs,
    item: Ints,
    following: Bools,
    learned: Ints,
) -> int:
    """Fill the columns of `Targets`; `stamps` and `counts` [items] are work space of zeros."""
    used = row = 0
    for n in range(start.size):
        while row < until[n]:
            counts[items[row]] += 1
            row += 1
        for place in range(start[n], max(next_end[n], min(rest_end[n], start[n] + REST))):
            number = items[by_session[place]]
            if stamps[number] <= n:
                stamps[number] = n + 1
                item[used] = number
                following[used] = place < next_end[n]
                learned[used] = counts[number]
                used += 1
        ends[n] = used
    return used


def judge(targets: Targets, lists: Ints, kept: Bools | None = None) -> Judged:
    """Compare lists with what was asked for.

    Args:
        targets: Of the questions.
        lists: [n, size] of `protocols.run`.
        kept: [m] targets that count; all where not given.
    """
    rows = targets.ends.size
    following, rest = np.zeros(lists.shape, np.bool_), np.zeros(lists.shape, np.bool_)
    wanted, counted = np.zeros(rows, np.int32), np.zeros(rows, np.bool_)
    top = max(targets.item.max(initial=0), lists.max(initial=0)) + 1
    marks = np.zeros(top, np.int8)
    keep = np.ones(targets.item.size, np.bool_) if kept is None else kept
    _judge(
        targets.ends, targets.item, targets.following, keep, lists, marks, following, rest, wanted, counted
    )
    return Judged(following, rest, wanted, counted)


@kernel
def _judge(
    ends: Longs,
    item: Ints,
    is_next: Bools,
    keep: Bools,
    lists: Ints,
    marks: Ints,
    following: Bools,
    rest: Bools,
    wanted: Ints,
    counted: Bools,
) -> None:
    """Fill the columns of `Judged`; `marks` [items] is work space of zeros."""
    start = 0
    for n in range(ends.size):
        for m in range(start, ends[n]):
            if keep[m]:
                marks[item[m]] = 2 if is_next[m] else 1
                wanted[n] += 1
                counted[n] |= is_next[m]
        for place in range(lists.shape[1]):
            number = lists[n, place]
            if number >= 0 and marks[number]:
                rest[n, place] = True
                following[n, place] = marks[number] == 2
        for m in range(start, ends[n]):
            marks[item[m]] = 0
        start = ends[n]


def scores(judged: Judged) -> dict[str, Doubles]:
    """[n] each metric of each list by name, such as `hr@20`; only those of counted queries mean anything."""
    found: dict[str, Doubles] = {}
    size = judged.rest.shape[1]
    places = np.arange(1, size + 1)
    gains = 1.0 / np.log2(places + 1.0)
    ideal = np.concatenate([[1.0], np.cumsum(gains)])
    hits = np.cumsum(judged.rest, axis=1)
    precise = np.cumsum(judged.rest * hits / places, axis=1)
    gained = np.cumsum(judged.rest * gains, axis=1)
    first = np.where(judged.following.any(axis=1), judged.following.argmax(axis=1) + 1, size + 1)
    wanted = np.maximum(judged.wanted, 1)
    for cut in CUTS:
        last = min(cut, size) - 1
        hit = first <= cut
        best = np.minimum(wanted, cut)
        found[f"hr@{cut}"] = hit.astype(np.float64)
        found[f"mrr@{cut}"] = np.where(hit, 1.0 / first, 0.0)
        found[f"ndcg@{cut}"] = gained[:, last] / ideal[np.minimum(best, size)]
        found[f"recall@{cut}"] = hits[:, last] / wanted
        found[f"map@{cut}"] = precise[:, last] / best
    return found


def spread(lists: Ints, learned: Longs) -> Mapping[str, float]:
    """How widely the lists reach, at each of `CUTS`.

    `coverage@k` is the share of the items learned so far that are in at least one list; `popularity@k` the
    mean, over the places of all lists, of an item's interactions over those of the most popular one.

    Args:
        lists: [n, size] item numbers.
        learned: [items] interactions learned of each item by the end.
    """
    found = {}
    known = max(1, int(np.count_nonzero(learned)))
    most = max(1, int(learned.max(initial=0)))
    for cut in CUTS:
        shown = lists[:, :cut]
        shown = shown[(shown >= 0) & (shown < learned.size)]
        found[f"coverage@{cut}"] = float(np.unique(shown).size / known)
        found[f"popularity@{cut}"] = float(learned[shown].mean() / most) if shown.size else 0.0
    return found
