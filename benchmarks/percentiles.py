"""Latencies as percentiles, medians over rounds, and ratios to the echo of the same guarantee."""

from collections.abc import Mapping, Sequence
from math import ceil
from statistics import median
from typing import Final, NamedTuple

from msgspec import Struct

from benchmarks.report import MISSING, number

PERCENTILES: Final = (50.0, 90.0, 99.0, 99.9)
REFERENCES: Final[Mapping[str, str]] = {
    "exactly_once": "txn_echo",
    "at_least_once": "echo",
    "full_exactly_once": "txn_echo",
    "full_at_least_once": "echo",
}
"""The echo that a contender is compared with."""
OVERLOADED_MS: Final = 2000.0
"""A median above this is a queue that builds up, not a latency."""


class Cores(Struct):
    """Cores that each process kept busy."""

    engine: float
    broker: float | None
    load: float
    reader: float
    others: float | None
    """Outside the benchmark: above 0.1, the run was disturbed."""


class Run(Struct):
    """One contender at one rate, once."""

    contender: str
    rate: float
    """Asked for, events per second."""
    turn: int
    events: int
    """Whose latency counts."""
    missing: int
    """Events without a slate when the reader gave up."""
    percentiles: tuple[float, ...]
    """Milliseconds, as `PERCENTILES`."""
    worst: float
    """Milliseconds."""
    cores: Cores

    @property
    def overloaded(self) -> bool:
        """Whether the contender could not follow."""
        return self.missing > 0 or self.percentiles[0] > OVERLOADED_MS


class Row(NamedTuple):
    """One contender at one rate: medians over rounds."""

    rate: float
    contender: str
    percentiles: tuple[float, ...]
    worst: float
    """Of all rounds."""
    ratios: tuple[float, ...] | None
    """Median (p50) and p99 as multiples of the echo's; None for an echo, or without one."""
    cores: tuple[float | None, ...]
    """Engine, broker, load generator, reader, others."""
    overloaded: bool


def percentiles_of(latencies_ms: Sequence[float]) -> tuple[float, ...]:
    """The `PERCENTILES` of these latencies: each is one that was measured, none is in between.

    Raises:
        ValueError: there are none.
    """
    if not latencies_ms:
        message = "no latency was measured"
        raise ValueError(message)
    ordered = sorted(latencies_ms)
    # Rounded first: 99.9 % of 1,000 is a hair above 999 in floating point.
    return tuple(ordered[ceil(round(p * len(ordered) / 100, 6)) - 1] for p in PERCENTILES)


def counted(sent_ns: Sequence[int], *, first_ns: int, last_ns: int) -> Sequence[int]:
    """Places of the events that were sent after the warm-up and before the end."""
    return [place for place, at in enumerate(sent_ns) if first_ns <= at <= last_ns]


def rows(runs: Sequence[Run]) -> list[Row]:
    """The table's lines: by rate, then in the order in which contenders were first measured."""
    groups: dict[tuple[float, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.rate, run.contender), []).append(run)
    middles = {
        place: tuple(median(each.percentiles[n] for each in found) for n in range(len(PERCENTILES)))
        for place, found in groups.items()
    }
    return [
        Row(
            rate,
            name,
            middles[rate, name],
            max(each.worst for each in found),
            _ratios(middles[rate, name], middles.get((rate, REFERENCES.get(name, "")))),
            _middle_cores(found),
            any(each.overloaded for each in found),
        )
        for (rate, name), found in sorted(groups.items(), key=lambda each: each[0][0])
    ]


def _ratios(found: tuple[float, ...], reference: tuple[float, ...] | None) -> tuple[float, ...] | None:
    if reference is None:
        return None
    return (found[0] / reference[0], found[2] / reference[2])


def _middle_cores(found: Sequence[Run]) -> tuple[float | None, ...]:
    middles: list[float | None] = []
    for name in Cores.__struct_fields__:
        known = [value for run in found if (value := getattr(run.cores, name)) is not None]
        middles.append(median(known) if known else None)
    return tuple(middles)


HEADER: Final = (
    "contender",
    "events/s",
    *(f"p{p:g}" for p in PERCENTILES),
    "worst",
    "x echo p50",
    "x echo p99",
    *Cores.__struct_fields__,
)


def cells(row: Row) -> list[str]:
    """One line as text, in the order of `HEADER`."""
    # A queue's length is no multiple of anything.
    ratios = (None, None) if row.ratios is None or row.overloaded else row.ratios
    return [
        row.contender.replace("_", " ").replace("txn", "transactional")
        + (", overloaded" if row.overloaded else ""),
        f"{row.rate:,.0f}",
        *(_milliseconds(each) for each in row.percentiles),
        _milliseconds(row.worst),
        *(MISSING if ratio is None else f"{ratio:.2f}" for ratio in ratios),
        *(MISSING if cores is None else f"{cores:.2f}" for cores in row.cores),
    ]


def _milliseconds(value: float) -> str:
    return f"{value:.1f}" if value < 100 else number(value)
