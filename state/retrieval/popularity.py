"""Decayed popularity, with the most popular recommendable items always at hand: of all, and of each category.

Scores count forward (`sessions`), so between two rescalings they only grow, and a pool of top items is
kept exact by comparing each item that grew with the pool's floor: every recommendable item in the
pool scores at least the floor, every one outside at most the floor. Pool 0 is of all items, the others
are of one category each.
"""

from math import exp
from typing import Final, NamedTuple

import numpy as np

from state.kernel import kernel, kernel_part
from state.retrieval.arrays import DAY_MS, Bytes, Doubles, Floats, Ints, Longs
from state.retrieval.config import ModelConfig
from state.retrieval.flags import TOUCHED

COLUMN: Final = 2
"""This source's column in the scores by item."""
MAX_CATEGORIES: Final = 1 << 16
"""Pools of categories; items of further categories count as of none."""
_IN_ALL: Final = 1
_IN_CATEGORY: Final = 2


class Popularity(NamedTuple):
    """Scores of all items, and the pools."""

    score: Doubles
    """[items] sum of type weight * e^{(t - origin)/tau}."""
    recommendable: Bytes
    """[items] 1 where the catalogue allows the item."""
    category: Ints
    """[items] number of the item's category, which is that of its pool; 0 for none."""
    pooled: Bytes
    """[items] 1 where the item is in pool 0, plus 2 where it is in its category's."""
    pool: Ints
    """[pools, popularity_pool] items, in no order."""
    counters: Longs
    """[pools] items in the pool."""
    floor: Doubles
    """[pools] see the module."""


DIMENSIONS: Final = {
    "score": "items",
    "recommendable": "items",
    "category": "items",
    "pooled": "items",
    "pool": "pools",
    "counters": "pools",
    "floor": "pools",
}


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
        category=np.zeros(0, np.int32),
        pooled=np.zeros(0, np.int8),
        pool=np.zeros((1, config.popularity_pool), np.int32),
        counters=np.zeros(1, np.int64),
        floor=np.zeros(1, np.float64),
    )


def popularity_weights(config: ModelConfig) -> PopularityWeights:
    """Tables for this configuration."""
    return PopularityWeights(
        decay=config.popularity_decay_days * DAY_MS, types=np.array(config.type_weights, np.float64)
    )


@kernel_part
def observe_popularity(
    popularity: Popularity, weights: PopularityWeights, origin: int, item: int, time: int, type_code: int
) -> None:
    """Fold one interaction; a type code of a later schema counts nothing."""
    if 0 <= type_code < weights.types.size:
        popularity.score[item] += weights.types[type_code] * exp((time - origin) / weights.decay)
        offer(popularity, item)


@kernel_part
def offer(popularity: Popularity, item: int) -> None:
    """Put a recommendable item into the pools that it belongs in."""
    if popularity.recommendable[item]:
        _offer_to(popularity, item, 0, _IN_ALL)
        if popularity.category[item] > 0:
            _offer_to(popularity, item, popularity.category[item], _IN_CATEGORY)


@kernel_part
def _offer_to(popularity: Popularity, item: int, number: int, mark: int) -> None:
    score, pooled = popularity.score, popularity.pooled
    if pooled[item] & mark or score[item] <= popularity.floor[number]:
        return
    pool = popularity.pool[number]
    place = popularity.counters[number]
    if place == pool.size:
        place = 0
        for i in range(pool.size):
            if score[pool[i]] < score[pool[place]]:
                place = i
        popularity.floor[number] = score[pool[place]]
        if score[item] <= popularity.floor[number]:
            return
        pooled[pool[place]] &= ~mark
    else:
        popularity.counters[number] += 1
    pool[place] = item
    pooled[item] |= mark


def withdraw(popularity: Popularity, item: int) -> None:
    """Take an item that is no longer recommendable out of its pools."""
    popularity.recommendable[item] = 0
    _leave(popularity, item, 0, _IN_ALL)
    _leave(popularity, item, int(popularity.category[item]), _IN_CATEGORY)


def assign(popularity: Popularity, item: int, category: int) -> None:
    """Say of which category an item is; 0 for none."""
    former = int(popularity.category[item])
    if former != category:
        # First, so that no pool that is filled again takes the item back in.
        popularity.category[item] = category
        _leave(popularity, item, former, _IN_CATEGORY)
        offer(popularity, item)


def _leave(popularity: Popularity, item: int, number: int, mark: int) -> None:
    if not popularity.pooled[item] & mark:
        return
    count = int(popularity.counters[number])
    pool = popularity.pool[number]
    place = int(np.flatnonzero(pool[:count] == item)[0])
    pool[place] = pool[count - 1]
    popularity.pooled[item] &= ~mark
    popularity.counters[number] -= 1
    # So many were taken out that others, not offered since, belong in.
    if popularity.floor[number] > 0.0 and 2 * (count - 1) < pool.size:
        _refill(popularity, number, mark)


def refill(popularity: Popularity) -> None:
    """Fill pool 0 from all items and empty the others: where a catalogue begins or ends."""
    popularity.counters[:] = 0
    popularity.floor[:] = 0.0
    popularity.pooled[:] = 0
    _refill(popularity, 0, _IN_ALL)


def _refill(popularity: Popularity, number: int, mark: int) -> None:
    """Fill a pool from all items: O(items)."""
    allowed = popularity.recommendable != 0
    if number:
        allowed &= popularity.category == number
    found = np.flatnonzero(allowed & (popularity.score > 0.0))
    size = popularity.pool.shape[1]
    ranked = found[np.argsort(-popularity.score[found], kind="stable")[:size]]
    former = popularity.pool[number, : popularity.counters[number]]
    popularity.pooled[former] &= ~mark
    popularity.pooled[ranked] |= mark
    popularity.pool[number, : ranked.size] = ranked
    popularity.counters[number] = ranked.size
    popularity.floor[number] = popularity.score[ranked[-1]] if ranked.size == size else 0.0


def untried(popularity: Popularity) -> Ints:
    """Recommendable items without any interaction, at most a pool full, for shops that have little else."""
    found = np.flatnonzero((popularity.recommendable != 0) & (popularity.score == 0.0))
    return found[: popularity.pool.shape[1]].astype(np.int32)


@kernel
def relative_scores(popularity: Popularity) -> Floats:
    """[items in pool 0] score over the largest, in the pool's order: the same for every query."""
    count = popularity.counters[0]
    relative = np.zeros(count, np.float32)
    top = 0.0
    for i in range(count):
        top = max(top, popularity.score[popularity.pool[0, i]])
    if top > 0.0:
        for i in range(count):
            relative[i] = popularity.score[popularity.pool[0, i]] / top
    return relative


@kernel_part
def add_popular(
    popularity: Popularity, relative: Floats, scores: Floats, flags: Bytes, touched: Ints, count: int
) -> int:
    """Score the items of pool 0 by `relative_scores`. Other arguments: see `sessions.add_neighbours`."""
    for i in range(relative.size):
        item = popularity.pool[0, i]
        if flags[item] & TOUCHED == 0:
            flags[item] |= TOUCHED
            touched[count] = item
            count += 1
        scores[item, COLUMN] += relative[i]
    return count
