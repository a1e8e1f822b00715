"""Candidates after exclusions, boosts, diversity and limits, in one kernel call for all slates of a run.

Diversity: the r-th candidate of a category, in the order of the boosted scores and counted from 0, keeps
(1 - diversity)^r of its score. Sorting by what results is the greedy choice of maximal marginal relevance
with that penalty for redundancy: within a category the order stays, so at each step the largest
score * (1 - diversity)^(those of the category above) is the next one.

Source: Carbonell, Goldstein (1998), The use of MMR, SIGIR: greedy choice by relevance less redundancy.
"""

from typing import Final

import numpy as np

from state.kernel import kernel
from state.retrieval.arrays import Floats, Ints

NO_FACTORS: Final = np.zeros((0, 0, 0), np.float32)
"""In place of the factors of every candidate, where all would be 1."""


@kernel
def rerank_all(
    items: Ints,
    scores: Floats,
    contributions: Floats,
    counts: Ints,
    codes: Ints,
    by_item: Floats,
    by_category: Floats,
    group_of: Ints,
    listed: Ints,
    further: float,
    kept_items: Ints,
    kept_scores: Floats,
    kept_contributions: Floats,
    kept_counts: Ints,
    factors: Floats,
    groups: Ints,
    excluded: Ints,
    passed_over: Ints,
) -> None:
    """Fill the rows of the `kept_` arrays, which are a `Ranked`, and what follows them, as in `Reranked`.

    Args:
        items: [n, most] and the next three: the candidates, as in `Ranked`.
        scores: see `items`.
        contributions: see `items`.
        counts: see `items`.
        codes: [items] category of each item.
        by_item: [items] factor, 0 for an excluded item.
        by_category: [categories] the same.
        group_of: [categories] group of its items, -1 for none.
        listed: [groups] most candidates of a group that are kept.
        further: factor on a further candidate of the same category; 1 is no diversity.
        kept_items: [n, size] and the next three: the candidates that are kept.
        kept_scores: see `kept_items`.
        kept_contributions: see `kept_items`.
        kept_counts: see `kept_items`.
        factors: [n, size, 3] item's boost, category's boost, diversity; 1 on entry.
        groups: [n, size] -1 on entry.
        excluded: [n]
        passed_over: [n]
    """
    most, size = items.shape[1], kept_items.shape[1]
    values, order, diverse = np.empty(most, np.float32), np.empty(most, np.int32), np.ones(most, np.float32)
    held, seen = np.zeros(listed.size, np.int32), np.ones(by_category.size, np.float32)
    for row in range(counts.size):
        count = _boost(items[row, : counts[row]], scores[row], codes, by_item, by_category, values, order)
        excluded[row] = counts[row] - count
        _sort(values, order, count)
        if further < 1.0:
            _diversify(items[row], codes, values, order, count, further, seen, diverse)
            _sort(values, order, count)
        found = left_out = 0
        for place in order[:count]:
            if found == size:
                break
            item = items[row, place]
            code = codes[item]
            group = group_of[code]
            if group >= 0:
                if held[group] == listed[group]:
                    left_out += 1
                    continue
                held[group] += 1
            kept_items[row, found] = item
            kept_scores[row, found] = values[place]
            kept_contributions[row, found] = contributions[row, place]
            factors[row, found, 0] = by_item[item]
            factors[row, found, 1] = by_category[code]
            factors[row, found, 2] = diverse[place]
            groups[row, found] = group
            found += 1
        kept_counts[row] = found
        passed_over[row] = left_out
        for group in groups[row, :found]:
            if group >= 0:
                held[group] = 0


@kernel
def _boost(
    items: Ints,
    scores: Floats,
    codes: Ints,
    by_item: Floats,
    by_category: Floats,
    values: Floats,
    order: Ints,
) -> int:
    """Write the boosted scores to `values` and the places that are not excluded to `order`; how many."""
    count = 0
    for place in range(items.size):
        item = items[place]
        factor = by_item[item] * by_category[codes[item]]
        if factor > 0.0:
            values[place] = scores[place] * factor
            order[count] = place
            count += 1
    return count


@kernel
def _sort(values: Floats, order: Ints, count: int) -> None:
    """Sort the first `count` of `order` by falling value; equals stay. Few are out of place as a rule."""
    for i in range(1, count):
        place = order[i]
        at = i
        while at > 0 and values[order[at - 1]] < values[place]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = place


@kernel
def _diversify(
    items: Ints,
    codes: Ints,
    values: Floats,
    order: Ints,
    count: int,
    further: float,
    seen: Floats,
    diverse: Floats,
) -> None:
    """Write each one's factor to `diverse`, and `values` times it. `seen` [categories] is 1 between calls."""
    for place in order[:count]:
        code = codes[items[place]]
        # What has no category may be anything: it is like nothing else.
        diverse[place] = seen[code] if code > 0 else np.float32(1.0)
        values[place] *= diverse[place]
        seen[code] *= further
    for place in order[:count]:
        seen[codes[items[place]]] = 1.0


@kernel
def count_capped(counts: Ints, groups: Ints, most: Ints, indices: Ints, sizes: Ints) -> Ints:
    """[n] candidates outside each slate whose group the slate has filled."""
    capped, held = np.zeros(counts.size, np.int32), np.zeros(most.size, np.int32)
    for row in range(counts.size):
        for index in indices[row, : sizes[row]]:
            if groups[row, index] >= 0:
                held[groups[row, index]] += 1
        for group in groups[row, : counts[row]]:
            if group >= 0 and held[group] == most[group]:
                capped[row] += 1
        for index in indices[row, : sizes[row]]:
            group = groups[row, index]
            if group >= 0:
                if held[group] == most[group]:
                    capped[row] -= most[group]  # its items in the slate are not outside it
                held[group] = 0
    return capped
