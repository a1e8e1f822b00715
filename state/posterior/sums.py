"""Sums over exposures and over rewards, by scenario and time: all that the posterior keeps of them.

Additive, so the order in which records come does not matter, and their size does not depend on traffic.
Contexts count as they are, in bytes: their sums are whole numbers, and exact.

Rows: each scenario has `waiting + SPANS` of them. First a ring of the buckets that wait for maturity, bucket
k at `k % waiting`; then a ring of hours of slates for what has matured, hour h at `waiting + h % SPANS`.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.event import EVENT_TYPES
from state.kernel import kernel
from state.policy.context import CONTEXT_SIZE
from state.retrieval.arrays import Doubles, Longs

TYPES: Final = len(EVENT_TYPES)
SPAN_MS: Final = 3_600_000
"""An hour."""
SPANS: Final = 32 * 24
"""What is older is forgotten."""

Contexts = NDArray[np.uint8]


class Sums(NamedTuple):
    """Sums of one row each [rows, ...]."""

    outer: Doubles
    """[rows, d, d] of x x^T over exposures; of the lower triangle only."""
    shown: Doubles
    """[rows, d] of x over exposures."""
    exposures: Doubles
    """[rows] how many."""
    since: Doubles
    """[rows] of seconds from the beginning of the hour to the slate, over exposures."""
    earned: Doubles
    """[rows, types, d] of reward times x over rewards, by event type."""
    squares: Doubles
    """[rows, types] of reward squared."""


def new_sums(scenarios: int, waiting: int) -> Sums:
    """Sums of nothing."""
    rows, d = scenarios * (waiting + SPANS), CONTEXT_SIZE
    shapes = (rows, d, d), (rows, d), (rows,), (rows,), (rows, TYPES, d), (rows, TYPES)
    return Sums(*(np.zeros(shape) for shape in shapes))


def grown(sums: Sums, scenarios: int, waiting: int) -> Sums:
    """A copy with room for more scenarios."""
    larger = new_sums(scenarios, waiting)
    for new, old in zip(larger, sums, strict=True):
        new[: len(old)] = old
    return larger


def by_scenario(sums: Sums, waiting: int) -> Sums:
    """The same arrays as [scenarios, waiting + SPANS, ...]."""
    return Sums(*(array.reshape(-1, waiting + SPANS, *array.shape[1:]) for array in sums))


def mature(sums: Sums, waiting: int, buckets: Longs, hours: Longs) -> None:
    """Move buckets to the hours that they are of.

    Args:
        sums: changed in place.
        waiting: buckets of the ring.
        buckets: [n] numbers of the buckets, at most `waiting` of them.
        hours: [n] of each.
    """
    places = buckets % waiting
    for array in by_scenario(sums, waiting):
        for place, hour in zip(places.tolist(), (waiting + hours % SPANS).tolist(), strict=True):
            array[:, hour] += array[:, place]
        array[:, places] = 0.0


def forget(sums: Sums, waiting: int, hours: Longs) -> None:
    """Empty the places of these hours."""
    for array in by_scenario(sums, waiting):
        array[:, waiting + hours % SPANS] = 0.0


@kernel
def add_exposures(sums: Sums, rows: Longs, since: Doubles, contexts: Contexts) -> None:
    """Add exposures.

    Args:
        sums: changed in place.
        rows: [n] row of each.
        since: [n] seconds from the beginning of the hour to the slate.
        contexts: [n, d]
    """
    outer, shown, exposures, seconds = sums.outer, sums.shown, sums.exposures, sums.since
    n, d = contexts.shape
    for i in range(n):
        row = rows[i]
        exposures[row] += 1.0
        seconds[row] += since[i]
        for j in range(d):
            x = float(contexts[i, j])
            if x:
                shown[row, j] += x
                for k in range(j + 1):
                    outer[row, j, k] += x * contexts[i, k]


@kernel
def add_rewards(sums: Sums, rows: Longs, types: Longs, rewards: Doubles, contexts: Contexts) -> None:
    """Add rewards.

    Args:
        sums: changed in place.
        rows: [n] row of each.
        types: [n] code of the event type.
        rewards: [n]
        contexts: [n, d] of the exposures that earned them.
    """
    earned, squares = sums.earned, sums.squares
    n, d = contexts.shape
    for i in range(n):
        row, code, reward = rows[i], types[i], rewards[i]
        squares[row, code] += reward * reward
        for j in range(d):
            earned[row, code, j] += reward * contexts[i, j]
