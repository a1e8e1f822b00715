"""How sure a mean over queries is, and a difference of two: by drawing users again.

Queries of one user are like each other, so users are drawn, each with all its queries. Two configurations
answer the same queries, so their difference is taken within each draw (paired): it is far surer than either
mean.

Source: Efron, Tibshirani (1993), An introduction to the bootstrap, chapter 13: percentile intervals.
"""

from typing import Final

import numpy as np

from state.retrieval.arrays import Doubles, Ints

ROUNDS: Final = 1_000
"""Draws."""


def sums_by_group(values: Doubles, groups: Ints) -> Doubles:
    """[groups, m] sums of `values` [n, m] over the rows of each group; `groups` [n] counts from 0."""
    rows = int(groups.max(initial=-1)) + 1
    return np.stack([np.bincount(groups, column, rows) for column in values.T], axis=1)


def resampled(sums: Doubles, rng: np.random.Generator, *, rounds: int = ROUNDS) -> Doubles:
    """[rounds, m] sums over as many groups as there are, drawn with replacement.

    All columns of `sums` [groups, m] are drawn together, so what is compared belongs into one call.
    """
    count = len(sums)
    drawn = np.empty((rounds, sums.shape[1]))
    for number in range(rounds):
        times = np.bincount(rng.integers(0, max(1, count), count), minlength=count)
        drawn[number] = times.astype(np.float64) @ sums
    return drawn


def interval(draws: Doubles) -> tuple[float, float]:
    """The 95 % interval of a statistic whose values in the draws are these [rounds]."""
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(low), float(high)
