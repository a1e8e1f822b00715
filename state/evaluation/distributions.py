"""Counts into a few numbers: quantiles, concentration, and how unevenly events fall in time."""

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

DAY_MINUTES: Final = 24 * 60

Counts: TypeAlias = NDArray[np.int64]


class Spread(Struct, frozen=True):
    """A distribution in five numbers; all 0 where there was nothing to count."""

    n: int = 0
    mean: float = 0.0
    median: float = 0.0
    p90: float = 0.0
    p99: float = 0.0


class Concentration(Struct, frozen=True):
    """How unevenly events fall on items, categories or users; all 0 where there are none.

    The figures rise with the size of the sample until every one has been seen: compare like with like.
    """

    n: int = 0
    """Different ones."""
    top_1: float = 0.0
    """Share of events on the busiest 1 % of them, at least one: [0, 1]."""
    top_10: float = 0.0
    gini: float = 0.0
    """0 where all are alike, towards 1 where one has everything."""


class Rhythm(Struct, frozen=True):
    """How unevenly events fall in time; None where the stream is too short to say."""

    hourly_peak: float | None = None
    """Busiest hour of the day (UTC) by the mean hour; needs a day."""
    fano: float | None = None
    """Variance by mean of events per minute: 1 for a Poisson process, and more for more events."""
    rate_cv: float | None = None
    """Coefficient of variation of the rate behind them, sqrt(variance - mean) / mean: does not grow with
    the rate. Both leave out the first and the last minute, and both see rhythm, bursts and sessions alike."""


def spread(counts: Mapping[int, int], unit: float = 1.0) -> Spread:
    """Distribution of values counted by value.

    A quantile is the smallest value that at least that share of them does not exceed.

    Args:
        counts: How often each value came.
        unit: What a value of 1 is worth, as in seconds per tick.
    """
    if not counts:
        return Spread()
    ordered = sorted(counts)
    values = np.array(ordered, dtype=np.float64)
    often = np.array([counts[value] for value in ordered], dtype=np.int64)
    n = int(often.sum())
    places = np.searchsorted(np.cumsum(often), np.ceil(np.array([0.5, 0.9, 0.99]) * n))
    median, p90, p99 = (float(values[place]) * unit for place in places)
    return Spread(n, float(values @ often) / n * unit, median, p90, p99)


def concentration(counts: Iterable[int]) -> Concentration:
    """How unevenly events fall.

    Gini coefficient: 2 sum(i x_i) / (n sum(x_i)) - (n + 1) / n over ascending x (Sen, On Economic
    Inequality, 1973).

    Args:
        counts: Events of each item, each above 0.
    """
    ascending = np.sort(np.fromiter(counts, dtype=np.float64))
    n, total = len(ascending), float(ascending.sum())
    if not n:
        return Concentration()
    gini = 2.0 * float(np.arange(1, n + 1) @ ascending) / (n * total) - (n + 1) / n
    top_1, top_10 = (float(ascending[-max(1, n // part) :].sum()) / total for part in (100, 10))
    return Concentration(n, top_1, top_10, gini)


def rhythm(minutes: Mapping[int, int]) -> Rhythm:
    """How unevenly events fall in time.

    Args:
        minutes: Events by epoch minute.
    """
    counts = _filled(minutes)
    peak = None
    if len(counts) >= DAY_MINUTES:
        hours = (np.arange(len(counts)) + min(minutes)) // 60 % 24
        rates = [float(counts[hours == hour].mean()) for hour in range(24)]
        peak = max(rates) / (sum(rates) / 24)
    whole = counts[1:-1]
    if len(whole) < 2 or not whole.any():
        return Rhythm(peak)
    mean, variance = float(whole.mean()), float(whole.var(ddof=1))
    return Rhythm(peak, variance / mean, float(np.sqrt(max(0.0, variance - mean))) / mean)


def _filled(minutes: Mapping[int, int]) -> Counts:
    """Events of every minute from the first to the last, empty ones too."""
    if not minutes:
        return np.zeros(0, dtype=np.int64)
    first = min(minutes)
    counts = np.zeros(max(minutes) - first + 1, dtype=np.int64)
    for minute, n in minutes.items():
        counts[minute - first] = n
    return counts
