"""Speed and memory of the simulated shop, without Kafka.

`python -m benchmarks.simulation --help`; what the numbers mean: docs/benchmarks.md.
"""

import argparse
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from benchmarks.machine import load_average, machine
from state.simulation.actions import Actions, event_count
from state.simulation.config import ShopConfig
from state.simulation.shop import Shop
from stream.codecs import encode_event

WIDTH: Final = 120
"""Columns where the output is no terminal."""
START: Final = 1_763_942_400_000
"""When the shop opens, epoch ms: midnight UTC."""
STEP_MS: Final = 1_000
"""Of the shop's time between two calls; below its shoppers' patience."""
WARM_UP_STEPS: Final = 60
STATUS: Final = Path("/proc/self/status")


class Pass(Struct):
    """One way to take the events."""

    name: str
    rates: list[float]
    """Events per second, a round each."""
    events: int
    """In all rounds."""
    seconds: float
    cpu_us: float
    """Microseconds per event, median over rounds."""


class Memory(Struct):
    """What the shop takes up, MiB."""

    arrays: float
    """Held after it was built, as tracemalloc counts."""
    peak: float
    """Most that was held while it was built."""
    resident: float | None
    """Growth of the process's resident memory from before the shop to after the last round, the compiled
    kernels included."""
    build_seconds: float


class Report(Struct):
    """One run."""

    machine: dict[str, str]
    shoppers: int
    items: int
    events_per_second: float
    """Of the shop's time."""
    present: int
    """Sessions at a time, at the end."""
    load_before: float
    load_after: float
    memory: Memory
    passes: list[Pass]


def main() -> None:
    options = arguments(sys.argv[1:])
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    report = run(options)
    show(report, console)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
        console.print(f"all numbers: {options.json}")


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.simulation",
        description="Events per second of the simulated shop, and its memory, without Kafka.",
    )
    parser.add_argument("--shoppers", type=int, default=1_000_000, help="(default %(default)s)")
    parser.add_argument("--items", type=int, default=20_000, help="(default %(default)s)")
    parser.add_argument(
        "--rate",
        type=float,
        default=5_000.0,
        help="events per second of the shop's time (default %(default)s)",
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="per round and pass (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of each pass (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(default %(default)s)")
    parser.add_argument("--json", type=Path, help="where all numbers go")
    return parser.parse_args(given)


def run(options: argparse.Namespace) -> Report:
    """Build the shop, let shoppers come in, then every pass in turn, round by round."""
    load_before = load_average()
    config = replace(
        ShopConfig(),
        shoppers=options.shoppers,
        items=options.items,
        events_per_second=options.rate,
        sessions_at_start=int(5 * options.rate),
    )
    before = resident_mib()
    shop, memory = built(config, options.seed)
    clock = Clock(shop)
    for _ in range(WARM_UP_STEPS):
        clock.step(len)
    ways = {
        "arrays": lambda _: None,
        "events": shop.events,
        "events as JSON": lambda actions: [encode_event(event) for event in shop.events(actions)],
    }
    passes = {name: Pass(name, [], 0, 0.0, 0.0) for name in ways}
    for _ in range(options.rounds):
        for name, take in ways.items():
            events, seconds = clock.spend(options.seconds, take)
            passes[name].rates.append(events / seconds)
            passes[name].events += events
            passes[name].seconds += seconds
    for one in passes.values():
        one.cpu_us = 1e6 / median(one.rates)
    after = resident_mib()
    memory.resident = None if before is None or after is None else after - before
    return Report(
        machine(),
        options.shoppers,
        options.items,
        options.rate,
        shop.tally().sessions_present,
        load_before,
        load_average(),
        memory,
        list(passes.values()),
    )


def built(config: ShopConfig, seed: int) -> tuple[Shop, Memory]:
    """A shop, and what it took to build it."""
    tracemalloc.start()
    started = perf_counter()
    shop = Shop(config, seed=seed, start=START)
    seconds = perf_counter() - started
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return shop, Memory(held / 2**20, peak / 2**20, None, seconds)


class Clock:
    """Moves a shop on, step by step; it serves itself."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._now = START

    def step(self, take: Callable[[Actions], object]) -> int:
        """One step; returns how many events there were."""
        self._now += STEP_MS
        actions = self._shop.advance(self._now)
        self._shop.serve(self._now)
        take(actions)
        return event_count(actions)

    def spend(self, seconds: float, take: Callable[[Actions], object]) -> tuple[int, float]:
        """Steps for so long; returns how many events there were and how long it took."""
        events, started = 0, perf_counter()
        while perf_counter() - started < seconds:
            events += self.step(take)
        return events, perf_counter() - started


def resident_mib() -> float | None:
    """Resident memory of this process; None where /proc does not tell."""
    if not STATUS.is_file():
        return None
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024.0


def show(report: Report, console: Console) -> None:
    """Print the tables."""
    console.print(
        f"{report.shoppers:,} shoppers, {report.items:,} items, {report.events_per_second:,.0f} events per"
        f" second of the shop's time, {report.present:,} sessions at a time",
        highlight=False,
    )
    table = Table("pass", "events/s", "slowest", "fastest", "us/event", "events")
    for column in table.columns[1:]:
        column.justify = "right"
    for one in report.passes:
        numbers = (median(one.rates), min(one.rates), max(one.rates))
        table.add_row(one.name, *(f"{rate:,.0f}" for rate in numbers), f"{one.cpu_us:.2f}", f"{one.events:,}")
    console.print(table)
    memory = report.memory
    resident = "-" if memory.resident is None else f"{memory.resident:,.0f} MiB"
    console.print(
        f"memory: {memory.arrays:,.0f} MiB held, {memory.peak:,.0f} MiB at most while built"
        f" ({memory.build_seconds:.1f} s), resident + {resident} after the run; load average"
        f" {report.load_before:.1f} before, {report.load_after:.1f} after",
        highlight=False,
    )


if __name__ == "__main__":
    main()
