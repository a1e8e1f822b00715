"""Rows of targets in falling order of weight, inside larger arrays: how rules and hours are kept.

Weights count forward (`sessions`), so between two rescalings an entry only grows, and moves up when it does.
The order is cheap to keep: the weakest entry is the last one, frequent ones are found early, and a query that
wants the strongest targets reads the row's beginning.
"""

import numpy as np

from state.kernel import kernel_part
from state.retrieval.arrays import Floats, Ints

# Places are unsigned here: numba looks at each signed index for a negative one, which keeps loops from
# becoming vector instructions and moves of memory.


@kernel_part
def find_target(target: Ints, start: int, count: int, wanted: int) -> int:
    """Place of a target in the row of `count` entries from `start` on; -1 where it is not."""
    first, one, lanes = np.uint64(start), np.uint64(1), np.uint64(16)
    end = np.uint64(start + count)
    # So many at once, without a way out in between.
    while first + lanes <= end:
        hits = np.int32(0)
        for lane in range(np.uint64(0), lanes):
            hits += np.int32(target[first + lane] == wanted)
        if hits:
            break
        first += lanes
    while first < end:
        if target[first] == wanted:
            return int(np.int64(first) - start)
        first += one
    return -1


@kernel_part
def put_entry(target: Ints, weight: Floats, start: int, place: int, item: int, value: float) -> None:
    """Write an entry at its place of the row from `start` on, or as far up as its weight carries it."""
    first, one, end = np.uint64(start), np.uint64(1), np.uint64(start + place)
    below = end
    while first < below:
        middle = (first + below) >> one
        if weight[middle] < value:
            below = middle
        else:
            first = middle + one
    entry = end
    while entry > first:
        weight[entry] = weight[entry - one]
        entry -= one
    entry = end
    while entry > first:
        target[entry] = target[entry - one]
        entry -= one
    weight[first] = value
    target[first] = item
