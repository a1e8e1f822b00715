"""Decayed popularity, with the most popular recommendable items always at hand.

Scores count forward (`sessions`), so between two rescalings they only grow, and the pool of the top items is
kept exact by comparing each item that grew with the pool's floor: every recommendable item in the
pool scores at least the floor, every one outside at most the floor.
"""

from math import exp
from typing import Final, NamedTuple

import numpy as np

from state.kernel import kernel
from state.retrieval.arrays import DAY_MS, Bytes, Doubles, Floats, Ints, Longs
from state.retrieval.config import ModelConfig
from state.retrieval.flags import TOUCHED

COLUMN: Final = 2
"""This source's column in the scores by item."""


class Popularity(NamedTuple):
    """Scores of all items, and the pool."""

    score: Doubles
    """[items] sum of type weight * e^{(t - origin)/tau}."""
    recommendable: Bytes
    """[items] 1 where the catalogue allows the item."""
    pooled: Bytes
    """[items] 1 where the item is in the pool."""
    pool: Ints
    """[popularity_pool] items, in no order."""
    counters: Longs
    """[1] items in the pool."""
    floor: Doubles
    """[1] see the module."""


DIMENSIONS: Final = {"score": "items", "recommendable": "items", "pooled": "items"}


class PopularityWeights(NamedTuple):
    """`ModelConfig` as the kernels want it."""

    decay: float
    """Milliseconds in which an interaction's weight grows by e."""
    types: Doubles
    """[types] weight of an interaction by type code."""


def new_popularity(config: ModelConfig) -> Popularity:
    """No items yet."""
    return Popularity(
        score=np.zeros(0, np.float64),
        recommendable=np.zeros(0, np.int8),
        pooled=np.zeros(0, np.int8),
        pool=np.zeros(config.popularity_pool, np.int32),
        counters=np.zeros(1, np.int64),
        floor=np.zeros(1, np.float64),
    )


def popularity_weights(config: ModelConfig) -> PopularityWeights:
    """Tables for this configuration."""
    return PopularityWeights(
        decay=config.popularity_decay_days * DAY_MS, types=np.array(config.type_weights, np.float64)
    )


@kernel
def observe_popularity(
    popularity: Popularity, weights: PopularityWeights, origin: int, item: int, time: int, type_code: int
) -> None:
    """Fold one interaction; a type code of a later schema counts nothing."""
    if 0 <= type_code < weights.types.size:
        popularity.score[item] += weights.types[type_code] * exp((time - origin) / weights.decay)
        offer(popularity, item)


@kernel
def offer(popularity: Popularity, item: int) -> None:
    """Put a recommendable item into the pool if it belongs there."""
    if popularity.pooled[item] or not popularity.recommendable[item]:
        return
    if popularity.score[item] <= popularity.floor[0]:
        return
    count = popularity.counters[0]
    place = count
    if count == popularity.pool.size:
        place = 0
        for i in range(count):
            if popularity.score[popularity.pool[i]] < popularity.score[popularity.pool[place]]:
                place = i
        popularity.floor[0] = popularity.score[popularity.pool[place]]
        if popularity.score[item] <= popularity.floor[0]:
            return
        popularity.pooled[popularity.pool[place]] = 0
    else:
        popularity.counters[0] += 1
    popularity.pool[place] = item
    popularity.pooled[item] = 1


def withdraw(popularity: Popularity, item: int) -> None:
    """Take an item that is no longer recommendable out of the pool."""
    popularity.recommendable[item] = 0
    if popularity.pooled[item]:
        count = int(popularity.counters[0])
        place = int(np.flatnonzero(popularity.pool[:count] == item)[0])
        popularity.pool[place] = popularity.pool[count - 1]
        popularity.pooled[item] = 0
        popularity.counters[0] -= 1


def needs_refill(popularity: Popularity) -> bool:
    """Whether so many items were withdrawn that the pool should be filled again from all items."""
    return bool(popularity.floor[0] > 0.0 and popularity.counters[0] * 2 < popularity.pool.size)


def refill(popularity: Popularity) -> None:
    """Fill the pool from all items: O(items), after withdrawals only."""
    scores = np.where(popularity.recommendable != 0, popularity.score, 0.0)
    ranked = np.argsort(-scores, kind="stable")[: popularity.pool.size]
    ranked = ranked[scores[ranked] > 0.0]
    popularity.pooled[:] = 0
    popularity.pooled[ranked] = 1
    popularity.pool[: ranked.size] = ranked
    popularity.counters[0] = ranked.size
    full = ranked.size == popularity.pool.size
    popularity.floor[0] = scores[ranked[-1]] if full else 0.0


def untried(popularity: Popularity) -> Ints:
    """Recommendable items without any interaction, at most a pool full, for shops that have little else."""
    found = np.flatnonzero((popularity.recommendable != 0) & (popularity.score == 0.0))
    return found[: popularity.pool.size].astype(np.int32)


@kernel
def relative_scores(popularity: Popularity) -> Floats:
    """[items in the pool] score over the largest, in the pool's order: the same for every query."""
    count = popularity.counters[0]
    relative = np.zeros(count, np.float32)
    top = 0.0
    for i in range(count):
        top = max(top, popularity.score[popularity.pool[i]])
    if top > 0.0:
        for i in range(count):
            relative[i] = popularity.score[popularity.pool[i]] / top
    return relative


@kernel
def add_popular(
    popularity: Popularity, relative: Floats, scores: Floats, flags: Bytes, touched: Ints, count: int
) -> int:
    """Score the pool's items by `relative_scores`. Other arguments: see `sessions.add_neighbours`."""
    for i in range(relative.size):
        item = popularity.pool[i]
        if flags[item] & TOUCHED == 0:
            flags[item] |= TOUCHED
            touched[count] = item
            count += 1
        scores[item, COLUMN] += relative[i]
    return count
