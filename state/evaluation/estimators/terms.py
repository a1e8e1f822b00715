"""What every off-policy estimator comes down to: a sum of ratios of sums over the logged decisions.

With columns j of numerators N and denominators D over rows i,

    V = sum_j (sum_i N_ij / sum_i D_ij)

A mean has D = 1, a self-normalised mean has the weights there. One form means one bootstrap, one variance and
one place for mistakes.

Notation of all estimators: rows are logged decisions; r is the reward, pi_A the logging policy, whose
probability of what it chose is the propensity, pi_B the policy that is judged, w = pi_B / pi_A of what was
chosen, q the reward that a model expects.
"""

import math
from typing import Final, NamedTuple

import numpy as np

from state.evaluation.bootstrap import ROUNDS, interval, resampled, sums_by_group
from state.evaluation.confidence import freedom_of, student95
from state.retrieval.arrays import Doubles, Ints

MIN_USERS: Final = 30
"""Users that an interval needs: with fewer, sums are not near enough to normal."""


class Terms(NamedTuple):
    """An estimate before it is summed."""

    numerators: Doubles
    """[rows, columns]"""
    denominators: Doubles
    """[rows, columns]"""
    weights: Doubles
    """[rows, any] importance weights that it rests on, whose tail and support decide whether it can be
    believed; no column where it rests on none."""

    @property
    def value(self) -> float:
        """The estimate; NaN where a denominator sums to 0."""
        return float(_ratios(self.numerators.sum(axis=0), self.denominators.sum(axis=0)).sum())

    def minus(self, other: "Terms") -> "Terms":
        """The difference of two estimates over the same rows, whose interval is then a paired one."""
        return Terms(
            np.hstack([self.numerators, -other.numerators]),
            np.hstack([self.denominators, other.denominators]),
            np.hstack([self.weights, other.weights]),
        )

    def taken(self, rows: Ints) -> "Terms":
        """The terms of these rows only."""
        return Terms(self.numerators[rows], self.denominators[rows], self.weights[rows])


def mean_of(values: Doubles, weights: Doubles | None = None) -> Terms:
    """Terms of a plain mean of `values` [rows], which rests on `weights` [rows, any]."""
    column = values.reshape(-1, 1)
    return Terms(column, np.ones_like(column), np.empty((len(column), 0)) if weights is None else weights)


def delta_interval(terms: Terms, users: Ints) -> tuple[float, float] | None:
    """The 95 % interval by the delta method, users being what varies; None with fewer than 30 users.

    With R_j the ratio of column j and n its denominators' mean per row, row i moves the estimate by

        psi_i = sum_j (N_ij - R_j D_ij) / sum_i D_ij
        var(V) = C / (C - 1) sum_c (sum_{i of c} psi_i)^2

    over the C users c. Student's t with degrees of freedom from the kurtosis of the users' sums, because a
    few large weights make up most of such a variance.

    Args:
        terms: Of the estimate.
        users: [rows] number of the user, from 0.

    References:
        Owen (2013), Monte Carlo theory, methods and examples, section 9.2: the self-normalised estimate.
        Deng, Knoblich, Lu (2018), Applying the delta method in metric analytics, KDD.
    """
    squares = _squares(terms, users)
    count = len(squares)
    if count < MIN_USERS:
        return None
    half = student95(freedom_of(squares, count)) * math.sqrt(count / (count - 1) * float(squares.sum()))
    return terms.value - half, terms.value + half


def variance(terms: Terms, users: Ints) -> float | None:
    """The variance of the estimate; see `delta_interval`. None with fewer than 2 users."""
    squares = _squares(terms, users)
    count = len(squares)
    return count / (count - 1) * float(squares.sum()) if count > 1 else None


def bootstrap_interval(
    terms: Terms, users: Ints, rng: np.random.Generator, *, rounds: int = ROUNDS
) -> tuple[float, float] | None:
    """The 95 % percentile interval, by drawing users again with all their rows; None with fewer than 30."""
    columns = terms.numerators.shape[1]
    sums = sums_by_group(np.hstack([terms.numerators, terms.denominators]), _dense(users))
    if len(sums) < MIN_USERS:
        return None
    drawn = resampled(sums, rng, rounds=rounds)
    return interval(_ratios(drawn[:, :columns], drawn[:, columns:]).sum(axis=1))


def bernstein_interval(
    values: Doubles, users: Ints, low: float, high: float, *, alpha: float = 0.05
) -> tuple[float, float]:
    """An interval of the mean that holds for any distribution within bounds (empirical Bernstein).

    With Z the m independent values, V their sample variance and L = ln(4 / alpha),

        |mean - E Z| <= sqrt(2 V L / m) + 7 (high - low) L / (3 (m - 1))

    A user's rows are not independent, so Z are the users' sums, scaled to the mean per row, and the bounds
    those of the largest user. It needs no normality, and is wide for it.

    Args:
        values: [rows] such as weight times reward.
        users: [rows] number of the user.
        low: No value can be below; known beforehand, not from the values.
        high: No value can be above.
        alpha: Probability of missing.

    References:
        Maurer, Pontil (2009), Empirical Bernstein bounds and sample variance penalization, COLT, theorems 4
        and 11.
    """
    numbers = _dense(users)
    counts = np.bincount(numbers).astype(np.float64)
    many, scale = len(counts), len(counts) / len(values)
    if many < 2:
        return -math.inf, math.inf
    sums = np.bincount(numbers, values) * scale
    span = (high - low) * float(counts.max()) * scale
    log = math.log(4.0 / alpha)
    half = math.sqrt(2.0 * float(sums.var(ddof=1)) * log / many) + 7.0 * span * log / (3.0 * (many - 1))
    mean = float(values.mean())
    return mean - half, mean + half


def _squares(terms: Terms, users: Ints) -> Doubles:
    """[users] squares of what each user adds to the deviation of the estimate."""
    totals = terms.denominators.sum(axis=0)
    ratios = _ratios(terms.numerators.sum(axis=0), totals)
    with np.errstate(divide="ignore", invalid="ignore"):
        psi = ((terms.numerators - ratios * terms.denominators) / totals).sum(axis=1)
    sums: Doubles = np.bincount(_dense(users), psi).astype(np.float64)
    return sums**2


def _ratios(numerators: Doubles, denominators: Doubles) -> Doubles:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominators != 0, numerators / denominators, np.nan)


def _dense(users: Ints) -> Ints:
    """The users' numbers from 0 without gaps: who has no row here does not count."""
    return np.unique(users, return_inverse=True)[1].astype(np.int32)
