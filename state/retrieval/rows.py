"""Rows of targets in falling order of weight, inside larger arrays: how rules and hours are kept.

Weights count forward (`sessions`), so between two rescalings an entry only grows, and moves up when it does.
The order is cheap to keep: the weakest entry is the last one, frequent ones are found early, and a query that
wants the strongest targets reads the row's beginning.
"""

from typing import Final

from state.kernel import kernel
from state.retrieval.arrays import Floats, Ints

LANES: Final = 16
"""Entries compared at once: a loop of fixed length without an exit becomes vector instructions."""


@kernel
def find_target(target: Ints, start: int, count: int, wanted: int) -> int:
    """Place of a target in the row of `count` entries from `start` on; -1 where it is not."""
    row = target[start : start + count]
    first = 0
    while first + LANES <= count:
        hits = 0
        for lane in range(LANES):
            hits += row[first + lane] == wanted
        if hits:
            break
        first += LANES
    for place in range(first, min(first + LANES, count)):
        if row[place] == wanted:
            return place
    return -1


@kernel
def put_entry(target: Ints, weight: Floats, start: int, place: int, item: int, value: float) -> None:
    """Write an entry at its place of the row from `start` on, or as far up as its weight carries it."""
    entry = start + place
    while entry > start and weight[entry - 1] < value:
        weight[entry] = weight[entry - 1]
        target[entry] = target[entry - 1]
        entry -= 1
    weight[entry] = value
    target[entry] = item
