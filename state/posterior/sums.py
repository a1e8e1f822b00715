"""Sums over exposures and over rewards, by scenario and time bucket: all that the posterior keeps of them.

Additive, so the order in which records come does not matter, and a bucket's size does not depend on traffic.
Contexts count as they are, in bytes: their sums are whole numbers and exact until they are discounted.

Rows: each scenario has `1 + waiting` of them: the first for all that has matured, then a ring of those that
wait, bucket k at `1 + k % waiting`.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.event import EVENT_TYPES
from state.kernel import kernel
from state.policy.context import CONTEXT_SIZE
from state.retrieval.arrays import Doubles, Longs

TYPES: Final = len(EVENT_TYPES)

Contexts = NDArray[np.uint8]


class Sums(NamedTuple):
    """Sums of one row each [rows, ...]."""

    outer: Doubles
    """[rows, d, d] of x x^T over exposures; of the lower triangle only."""
    shown: Doubles
    """[rows, d] of x over exposures."""
    exposures: Doubles
    """[rows] how many."""
    earned: Doubles
    """[rows, types, d] of reward times x over rewards, by event type."""
    squares: Doubles
    """[rows, types] of reward squared."""


def new_sums(scenarios: int, waiting: int) -> Sums:
    """Sums of nothing."""
    rows, d = scenarios * (1 + waiting), CONTEXT_SIZE
    shapes = (rows, d, d), (rows, d), (rows,), (rows, TYPES, d), (rows, TYPES)
    return Sums(*(np.zeros(shape) for shape in shapes))


def grown(sums: Sums, scenarios: int, waiting: int) -> Sums:
    """A copy with room for more scenarios."""
    larger = new_sums(scenarios, waiting)
    for new, old in zip(larger, sums, strict=True):
        new[: len(old)] = old
    return larger


def mature(sums: Sums, waiting: int, before: int, now: int, decay: float) -> None:
    """Move the buckets after `before`, up to `now`, to what has matured, and discount that.

    Args:
        sums: changed in place.
        waiting: buckets of the ring.
        before: number of the latest bucket that has matured.
        now: number of the latest to mature, above `before`.
        decay: of a weight from one bucket to the next.
    """
    buckets = np.arange(before + 1, min(before + waiting, now) + 1)
    weights = decay ** (now - buckets).astype(np.float64)
    places = 1 + buckets % waiting
    for array in sums:
        by_scenario = array.reshape(-1, 1 + waiting, *array.shape[1:])  # a view
        by_scenario[:, 0] *= decay ** float(now - before)
        by_scenario[:, 0] += np.einsum("sb...,b->s...", by_scenario[:, places], weights)
        by_scenario[:, places] = 0.0


@kernel
def add_exposures(sums: Sums, rows: Longs, weights: Doubles, contexts: Contexts) -> None:
    """Add exposures.

    Args:
        sums: changed in place.
        rows: [n] row of each.
        weights: [n] 1 for a row of the ring.
        contexts: [n, d]
    """
    outer, shown, exposures = sums.outer, sums.shown, sums.exposures
    n, d = contexts.shape
    for i in range(n):
        row, weight = rows[i], weights[i]
        exposures[row] += weight
        for j in range(d):
            x = contexts[i, j]
            if x:
                part = weight * x
                shown[row, j] += part
                for k in range(j + 1):
                    outer[row, j, k] += part * contexts[i, k]


@kernel
def add_rewards(
    sums: Sums, rows: Longs, weights: Doubles, types: Longs, rewards: Doubles, contexts: Contexts
) -> None:
    """Add rewards.

    Args:
        sums: changed in place.
        rows: [n] row of each.
        weights: [n] 1 for a row of the ring.
        types: [n] code of the event type.
        rewards: [n]
        contexts: [n, d] of the exposures that earned them.
    """
    earned, squares = sums.earned, sums.squares
    n, d = contexts.shape
    for i in range(n):
        row, code = rows[i], types[i]
        part = weights[i] * rewards[i]
        squares[row, code] += part * rewards[i]
        for j in range(d):
            earned[row, code, j] += part * contexts[i, j]
