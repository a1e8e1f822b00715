"""Throughput of the trivial step: this runtime beside the raw wire and beside what a Python team would use.

`python -m benchmarks.peers --help`; what the numbers mean: docs/benchmarks.md.
"""

import argparse
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from msgspec import Struct
from rich.console import Console

from benchmarks import contenders, plots
from benchmarks.arguments import Table, deliver, measured, parser, positive, progress, screen
from benchmarks.contenders import PARTITIONS, Contender, Topics, worker_settings
from benchmarks.job import cores_of_others, cpu_per_event, timing_of
from benchmarks.machine import load_average, machine
from benchmarks.outputs import Outputs, sampler
from benchmarks.preload import Keys, preload
from benchmarks.processes import Node, node
from benchmarks.report import MISSING, middle, number
from stream.java import KAFKA_VERSION

SKIPPED_SHARE: Final = 0.25
"""Of a round's records, at its beginning: warm-up."""
WARM_UP_EVENTS: Final = 50_000
EVENTS: Final = {
    "wire": 200_000,
    "exactly_once": 200_000,
    "at_least_once": 200_000,
    "quix_at_least_once": 200_000,
    "quix_exactly_once": 200_000,
    "faust_tuned": 15_000,
    "faust_stock": 10_000,
}
"""Contenders in their order, and the events of one round: some 5 to 10 s of work each."""
REFERENCES: Final = ("wire", "faust_stock", "quix_exactly_once")
"""What rates are told as multiples of."""


class Round(Struct):
    """One round of one contender."""

    events: int
    """Within the timing."""
    seconds: float
    rate: float
    """Events per second."""
    cpu_us: float | None
    """CPU microseconds per event, of the contender."""
    broker_cpu_us: float | None
    others_cores: float | None
    """Cores that processes outside the benchmark kept busy meanwhile: above 0.1, the round was disturbed."""


class Report(Struct):
    """One run."""

    machine: Mapping[str, str]
    partitions: int
    load_before: float
    load_after: float
    rounds: Mapping[str, list[Round]]
    """By contender."""


class Row(NamedTuple):
    """One line of the table: medians over rounds."""

    contender: str
    rate: float
    spread: tuple[float, float]
    """Lowest and highest round."""
    ratios: Mapping[str, float | None]
    """To each of `REFERENCES`; None where that one did not run."""
    cpu_us: float | None
    broker_cpu_us: float | None
    others_cores: float | None


def main() -> None:
    options = arguments(sys.argv[1:])
    console = screen(options)
    report = measured(run(options, console))
    found = rows(report)
    deliver(report, Table(TITLE, HEADER, [cells(row) for row in found]), options, console)
    if options.plot:
        plots.rates(
            {row.contender: row.rate for row in found},
            {row.contender: row.spread for row in found},
            options.json.with_suffix(".png"),
        )


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    it = parser("peers", "Events per second of the trivial step, in this runtime and in others.")
    it.add_argument(
        "--contenders", nargs="+", choices=list(EVENTS), default=list(EVENTS), help="default: all"
    )
    it.add_argument("--rounds", type=positive, default=3, help="of each (default %(default)s)")
    it.add_argument("--scale", type=float, default=1.0, help="of the events of a round (default %(default)s)")
    it.add_argument("--plot", action="store_true", help="draw a PNG beside the JSON")
    return it.parse_args(given)


async def run(options: argparse.Namespace, console: Console) -> Report:
    """Every contender in turn, round by round, on one broker."""
    report = Report(
        {**machine(), "kafka": KAFKA_VERSION},
        PARTITIONS,
        load_average(),
        0.0,
        {name: [] for name in options.contenders},
    )
    with (
        node() as broker,
        TemporaryDirectory(prefix="freshslate-bench-") as folder,
        progress(console, "trivial step", options.rounds * len(options.contenders)) as done,
    ):
        bench = Bench(broker, Path(folder))
        await bench.warm_up()
        for turn in range(1, options.rounds + 1):
            for name in options.contenders:
                found = await bench.round(name, int(EVENTS[name] * options.scale))
                report.rounds[name].append(found)
                console.print(
                    f"  round {turn}  {_title(name):22}{found.rate:>10,.0f} events/s", highlight=False
                )
                done()
    report.load_after = load_average()
    return report


class Bench:
    """All contenders on one broker."""

    def __init__(self, broker: Node, folder: Path) -> None:
        self._broker = broker
        self._folder = folder
        self._prefix = f"bench-{uuid.uuid4().hex[:8]}."
        self._keys = Keys(PARTITIONS)
        self._loaded: dict[str, int] = {}

    async def warm_up(self) -> None:
        """Let a new broker compile its own code, which is not measured."""
        await self.round("wire", WARM_UP_EVENTS)

    async def round(self, name: str, events: int) -> Round:
        """Load so many events, start the contender, and time it until its last slate."""
        contender = self._contender(name, {}, {})
        await contender.prepare(self._broker.address)
        source, target = contender.topics
        async with (
            Outputs(self._broker.address, source, PARTITIONS) as inputs,
            Outputs(self._broker.address, target, PARTITIONS) as outputs,
        ):
            first, starts = await inputs.ends(), await outputs.ends()
            loaded = self._loaded.get(name, 0)
            await preload(self._broker.address, source, self._keys, first=loaded, count=events)
            self._loaded[name] = loaded + events
            contender = self._contender(name, first, await inputs.ends())
            process = contender.start(self._folder)
            try:
                progress, samples = await outputs.watch(
                    starts, events, process, sampler(process, self._broker.cpu)
                )
            finally:
                await process.stop()
        timing = timing_of(progress, not_before=0, skip=int(SKIPPED_SHARE * events))
        cpu, broker_cpu = cpu_per_event(samples, skip=timing.skipped)
        return Round(
            timing.events,
            timing.seconds,
            timing.events / timing.seconds,
            cpu,
            broker_cpu,
            cores_of_others(samples, skip=timing.skipped),
        )

    def _contender(self, name: str, starts: Mapping[int, int], ends: Mapping[int, int]) -> Contender:
        """The contender, told which records are in its input where it has to know."""
        address, prefix, folder = self._broker.address, self._prefix, self._folder
        if name == "wire":
            topics = Topics(f"{prefix}wire.events", f"{prefix}wire.slates")
            return contenders.wire(name, address, topics, starts, ends)
        if name.startswith("faust_"):
            return contenders.faust(name, address, prefix, folder, variant=name.removeprefix("faust_"))
        if name.startswith("quix_"):
            return contenders.quix(name, address, prefix, folder, guarantee=name.removeprefix("quix_"))
        return contenders.worker(
            name,
            worker_settings(address, f"{prefix}{name}", folder, name),
            module="benchmarks.trivial_worker",
        )


TITLE: Final = "Trivial step, medians; CPU: us/event; others: cores"
HEADER: Final = (
    "contender",
    "events/s",
    "lowest",
    "highest",
    "x wire",
    "x stock faust",
    "x Quix exactly once",
    "CPU",
    "broker CPU",
    "others",
)


def rows(report: Report) -> list[Row]:
    """The table's lines, in the order of the contenders."""
    rates = {name: median(each.rate for each in found) for name, found in report.rounds.items()}
    return [
        Row(
            name,
            rates[name],
            (min(each.rate for each in found), max(each.rate for each in found)),
            {other: rates[name] / rates[other] if other in rates else None for other in REFERENCES},
            middle(each.cpu_us for each in found),
            middle(each.broker_cpu_us for each in found),
            middle(each.others_cores for each in found),
        )
        for name, found in report.rounds.items()
    ]


def cells(row: Row) -> list[str]:
    """One line as text, in the order of `HEADER`."""
    return [
        _title(row.contender),
        f"{row.rate:,.0f}",
        f"{row.spread[0]:,.0f}",
        f"{row.spread[1]:,.0f}",
        *(MISSING if ratio is None else f"{ratio:.2f}" for ratio in row.ratios.values()),
        number(row.cpu_us),
        number(row.broker_cpu_us),
        MISSING if row.others_cores is None else f"{row.others_cores:.2f}",
    ]


def _title(name: str) -> str:
    return name.replace("_", " ")


if __name__ == "__main__":
    main()
