"""Popularity by hour of the day: what is turned to at this time of day, of whichever day.

An hour keeps its most popular items with eviction: in a full row a new item takes the place of the weakest,
so that an item stays only if it comes again before as many others do. Hours are those of UTC: which is
which in the shop's own time does not matter.
"""

from math import exp
from typing import Final, NamedTuple

import numpy as np

from state.kernel import kernel_part
from state.retrieval.arrays import DAY_MS, Bytes, Doubles, Floats, Ints
from state.retrieval.config import ModelConfig
from state.retrieval.flags import TOUCHED
from state.retrieval.rows import find_target, put_entry

COLUMN: Final = 6
"""This source's column in the scores by item."""
HOURS: Final = 24
_HOUR_MS: Final = DAY_MS // HOURS


class Hours(NamedTuple):
    """The most popular items of each hour, in falling order."""

    kept: Ints
    """[24] items in the row."""
    target: Ints
    """[24, hour_room] item."""
    weight: Floats
    """[24, hour_room] sum of type weight * e^{(t - origin)/tau}."""


DIMENSIONS: Final[dict[str, str]] = {}


class HourWeights(NamedTuple):
    """`ModelConfig` as the kernels want it."""

    decay: float
    """Milliseconds in which an interaction's weight grows by e."""
    types: Doubles
    """[types] weight of an interaction by type code."""
    best: int
    """Items of an hour that are scored."""


def new_hours(config: ModelConfig) -> Hours:
    """No items yet."""
    return Hours(
        kept=np.zeros(HOURS, np.int32),
        target=np.zeros((HOURS, config.hour_room), np.int32),
        weight=np.zeros((HOURS, config.hour_room), np.float32),
    )


def hour_weights(config: ModelConfig) -> HourWeights:
    """Tables for this configuration."""
    return HourWeights(
        decay=config.hour_decay_days * DAY_MS,
        types=np.array(config.type_weights, np.float64),
        best=config.popularity_pool,
    )


@kernel_part
def hour_of(time: int) -> int:
    """Hour of the day, UTC, of epoch milliseconds."""
    return int((time // _HOUR_MS) % HOURS)


@kernel_part
def observe_hour(
    hours: Hours, weights: HourWeights, origin: int, item: int, time: int, type_code: int
) -> None:
    """Fold one interaction; a type code of a later schema counts nothing."""
    limit = hours.target.shape[1]
    if limit == 0 or not 0 <= type_code < weights.types.size:
        return
    value = weights.types[type_code] * exp((time - origin) / weights.decay)
    if value == 0.0:
        return
    hour = hour_of(time)
    target, weight, count = hours.target[hour], hours.weight[hour], hours.kept[hour]
    place = find_target(target, 0, count, item)
    if place >= 0:
        value += weight[place]
    else:
        place = min(count, limit - 1)
        hours.kept[hour] = place + 1
    put_entry(target, weight, 0, place, item, value)


@kernel_part
def add_hour(
    hours: Hours,
    weights: HourWeights,
    now: int,
    scores: Floats,
    flags: Bytes,
    touched: Ints,
    count: int,
) -> int:
    """Score the best items of the hour of `now`, epoch milliseconds; 0 is a time that nobody knows.

    Other arguments and result as in `sessions.add_neighbours`.
    """
    if now <= 0:
        return count
    hour = hour_of(now)
    if hours.kept[hour] == 0 or hours.weight[hour, 0] == 0.0:
        return count
    for place in range(min(weights.best, hours.kept[hour])):
        item = hours.target[hour, place]
        if flags[item] & TOUCHED == 0:
            flags[item] |= TOUCHED
            touched[count] = item
            count += 1
        scores[item, COLUMN] += hours.weight[hour, place] / hours.weight[hour, 0]
    return count
