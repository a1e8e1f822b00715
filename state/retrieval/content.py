"""Items like those of the current session by what the catalogue says of them: the source for a cold start.

Each feature (`features`) has the list of the newest items that have it, so a new item can be retrieved as
soon as it is in the catalogue. What many sessions hold is judged better by what those did: here it fades.
"""

from math import log
from typing import Final, NamedTuple

import numpy as np

from state.kernel import kernel_part
from state.retrieval.arena import block_size, free_block, new_heap, take_block
from state.retrieval.arrays import Bytes, Floats, Ints, Longs
from state.retrieval.config import ModelConfig
from state.retrieval.features import BUCKETS
from state.retrieval.flags import TOUCHED

COLUMN: Final = 7
"""This source's column in the scores by item."""


class Content(NamedTuple):
    """Items by feature, and features by item."""

    features: Ints
    """[items, content_features] ascending."""
    size: Ints
    """[items] features of the item in use; 0 for an item that the catalogue says nothing of."""
    offset: Longs
    """[BUCKETS] block of the feature's items."""
    level: Bytes
    """[BUCKETS] size class of that block."""
    listed: Ints
    """[BUCKETS] items in the block."""
    items_of: Ints
    """[BUCKETS] items that have the feature, listed or not."""
    item: Ints
    """[entries] items, the newest of a feature last."""
    heap: Longs
    counters: Longs
    """[1] items with features."""


DIMENSIONS: Final = {"features": "items", "size": "items", "item": "content"}


class ContentWeights(NamedTuple):
    """`ModelConfig` as the kernels want it."""

    listed: int
    fade: float
    steps: Floats
    """[content_items] e^{-j/decay}."""
    length: Floats
    """[content_features + 1] n^{-1/2}."""


def new_content(config: ModelConfig) -> Content:
    """No items, no features, no room."""
    return Content(
        features=np.zeros((0, config.content_features), np.int32),
        size=np.zeros(0, np.int32),
        offset=np.zeros(BUCKETS, np.int64),
        level=np.zeros(BUCKETS, np.int8),
        listed=np.zeros(BUCKETS, np.int32),
        items_of=np.zeros(BUCKETS, np.int32),
        item=np.zeros(0, np.int32),
        heap=new_heap(),
        counters=np.zeros(1, np.int64),
    )


def content_weights(config: ModelConfig) -> ContentWeights:
    """Table for this configuration."""
    back = np.arange(config.content_items, dtype=np.float64)
    lengths = np.maximum(1.0, np.arange(config.content_features + 1, dtype=np.float64))
    return ContentWeights(
        listed=config.content_listed,
        fade=config.content_fade_sessions,
        steps=np.exp(-back / config.content_decay_steps).astype(np.float32),
        length=(lengths**-0.5).astype(np.float32),
    )


@kernel_part
def describe(content: Content, limit: int, item: int, features: Ints) -> None:
    """Replace an item's features [n], ascending; none at all takes it out.

    An item that has the same features as before keeps its place among the newest. The arena must
    have room for n blocks of `limit` entries.
    """
    if _has(content, item, features):
        return
    for place in range(content.size[item]):
        _unlist(content, content.features[item, place], item)
    content.counters[0] += int(features.size > 0) - int(content.size[item] > 0)
    content.size[item] = features.size
    for place in range(features.size):
        content.features[item, place] = features[place]
        _list(content, features[place], item, limit)


@kernel_part
def _has(content: Content, item: int, features: Ints) -> bool:
    if content.size[item] != features.size:
        return False
    different = 0
    for place in range(features.size):
        different += content.features[item, place] != features[place]
    return different == 0


@kernel_part
def _list(content: Content, feature: int, item: int, limit: int) -> None:
    """Put the item at the end of the feature's list, whose first gives way where it is full."""
    content.items_of[feature] += 1
    listed = content.listed[feature]
    if listed == limit:
        _remove(content, feature, 0)
        listed -= 1
    elif listed == 0:
        content.offset[feature] = take_block(content.item, content.heap, 0, limit)
        content.level[feature] = 0
    elif listed == block_size(content.level[feature], limit):
        old = content.offset[feature]
        new = take_block(content.item, content.heap, content.level[feature] + 1, limit)
        for i in range(listed):
            content.item[new + i] = content.item[old + i]
        free_block(content.item, content.heap, content.level[feature], old)
        content.offset[feature] = new
        content.level[feature] += 1
    content.item[content.offset[feature] + listed] = item
    content.listed[feature] = listed + 1


@kernel_part
def _unlist(content: Content, feature: int, item: int) -> None:
    """Take the item out of the feature's list, if it is still in there."""
    content.items_of[feature] -= 1
    start = content.offset[feature]
    for place in range(content.listed[feature]):
        if content.item[start + place] == item:
            _remove(content, feature, place)
            if content.listed[feature] == 0:
                free_block(content.item, content.heap, content.level[feature], start)
            break


@kernel_part
def _remove(content: Content, feature: int, place: int) -> None:
    start = content.offset[feature]
    left = content.listed[feature] - 1
    for later in range(place, left):
        content.item[start + later] = content.item[start + later + 1]
    content.listed[feature] = left


@kernel_part
def add_content(
    content: Content,
    weights: ContentWeights,
    sessions_of: Ints,
    session: Ints,
    scores: Floats,
    flags: Bytes,
    touched: Ints,
    count: int,
) -> int:
    """Score the items that have features in common with the newest of the current session's.

    The score of x is the sum over items a, j steps back, of e^{-(j-1)/l} times the sum of the idf of their
    common features over sqrt(|a| |x|), divided by 1 + n/fade for an x that n sessions hold (`sessions_of`).
    Other arguments and result as in `sessions.add_neighbours`.
    """
    faded = np.float32(1.0 / weights.fade)
    for back in range(min(session.size, weights.steps.size)):
        current = session[back]
        for place in range(content.size[current]):
            feature = content.features[current, place]
            idf = log((content.counters[0] + 1.0) / content.items_of[feature])
            share = np.float32(weights.steps[back] * weights.length[content.size[current]] * idf)
            start = content.offset[feature]
            for entry in range(start, start + content.listed[feature]):
                item = content.item[entry]
                if flags[item] & TOUCHED == 0:
                    flags[item] |= TOUCHED
                    touched[count] = item
                    count += 1
                scores[item, COLUMN] += (
                    share
                    * weights.length[content.size[item]]
                    / (np.float32(1.0) + faded * np.float32(sessions_of[item]))
                )
    return count
