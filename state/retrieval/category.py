"""Popularity by category: what is popular in the categories that the current session looks at.

Categories are the catalogue's, and so is which item is of which; an item that it does not know has none.
Scores and pools are those of `popularity`.
"""

from typing import Final, NamedTuple

import numpy as np

from state.kernel import kernel_part
from state.retrieval.arrays import Bytes, Floats, Ints
from state.retrieval.config import ModelConfig
from state.retrieval.flags import TOUCHED
from state.retrieval.popularity import Popularity

COLUMN: Final = 5
"""This source's column in the scores by item."""


class CategoryWeights(NamedTuple):
    """`ModelConfig` as the kernel wants it."""

    steps: Floats
    """[category_items] e^{-j/decay}."""


def category_weights(config: ModelConfig) -> CategoryWeights:
    """Table for this configuration."""
    back = np.arange(config.category_items, dtype=np.float64)
    return CategoryWeights(steps=np.exp(-back / config.category_decay_steps).astype(np.float32))


@kernel_part
def interest(popularity: Popularity, weights: CategoryWeights, session: Ints, back: int) -> float:
    """What the session's interest in the category of its item `back` weighs.

    0 where it has none, or where a newer item of the session is of the same.
    """
    category = popularity.category[session[back]]
    if category == 0:
        return 0.0
    for newer in range(back):
        if popularity.category[session[newer]] == category:
            return 0.0
    summed = 0.0
    for older in range(back, min(session.size, weights.steps.size)):
        if popularity.category[session[older]] == category:
            summed += weights.steps[older]
    return summed


@kernel_part
def add_category(
    popularity: Popularity,
    weights: CategoryWeights,
    session: Ints,
    scores: Floats,
    flags: Bytes,
    touched: Ints,
    count: int,
) -> int:
    """Score the popular items of the categories of the current session's items.

    The score of x is its popularity, over that of the most popular item of its category, times the sum of
    e^{-(j-1)/l} over the session's items j steps back of that category.
    Arguments and result as in `sessions.add_neighbours`.
    """
    for back in range(min(session.size, weights.steps.size)):
        weight = interest(popularity, weights, session, back)
        if weight == 0.0:
            continue
        category = popularity.category[session[back]]
        pool = popularity.pool[category, : popularity.counters[category]]
        top = 0.0
        for item in pool:
            top = max(top, popularity.score[item])
        if top == 0.0:
            continue
        for item in pool:
            if flags[item] & TOUCHED == 0:
                flags[item] |= TOUCHED
                touched[count] = item
                count += 1
            scores[item, COLUMN] += weight * popularity.score[item] / top
    return count
