"""Did a change make it slower? Ratios of one short run, beside those of a run before: `make bench-quick`.

    make bench-quick ARGS="--json before.json"
    ...
    make bench-quick ARGS="--against before.json"

Under three minutes. Ratios, because a machine is faster one day than the next; the step alone is a time.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
from msgspec import Struct
from rich.console import Console

from benchmarks import latency, peers
from benchmarks.arguments import Table, deliver, measured, parser, screen
from benchmarks.inputs import DATA, inputs
from benchmarks.machine import load_average, machine
from benchmarks.percentiles import Run, rows
from benchmarks.processes import Node, node
from benchmarks.report import MISSING
from benchmarks.stages import measure

EVENTS: Final = 80_000
ROUNDS: Final = 3
LATENCY_RATE: Final = 1000.0
LATENCY_SECONDS: Final = 5.0
STEP: Final[Mapping[str, int]] = {"events": 8_000, "warm_up": 4_000, "rounds": 3}
BEST_IS_HIGH: Final = frozenset({"throughput, x wire"})
HEADER: Final = ("exactly once", "before", "now", "change")
TITLE: Final = "Trivial step beside the wire and the transactional echo; the recommender's step, us/event"


class Report(Struct):
    """One run."""

    machine: Mapping[str, str]
    load_before: float
    load_after: float
    figures: dict[str, float]


def main() -> None:
    options = arguments(sys.argv[1:])
    console = screen(options)
    report = measured(run(console))
    before = {} if options.against is None else options.against.figures
    deliver(report, Table(TITLE, HEADER, compared(report.figures, before)), options, console)


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    it = parser("quick", "Ratios before and after a change, in three minutes.")
    it.add_argument("--against", type=read, help="the JSON of a run before the change")
    return it.parse_args(given)


def read(path: str) -> Report:
    """The report of a run before."""
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=Report)
    except (OSError, msgspec.MsgspecError) as error:
        message = f"{path} is no report of this benchmark: {error}"
        raise argparse.ArgumentTypeError(message) from error


async def run(console: Console) -> Report:
    """Throughput, latency and the step, one after the other."""
    report = Report(machine(), load_average(), 0.0, {})
    with node() as broker, TemporaryDirectory(prefix="freshslate-bench-") as folder:
        console.print("throughput", highlight=False)
        report.figures |= await _throughput(broker, Path(folder) / "throughput")
        console.print("latency", highlight=False)
        report.figures |= await _latency(broker, Path(folder) / "latency")
    console.print("step", highlight=False)
    report.figures["step, us"] = min(measure(given).total for given in inputs(DATA, ["taobao"], **STEP))
    report.load_after = load_average()
    return report


async def _throughput(broker: Node, folder: Path) -> dict[str, float]:
    bench = peers.Bench(broker, folder)
    await bench.warm_up()
    rates: dict[str, list[float]] = {"wire": [], "exactly_once": []}
    for _ in range(ROUNDS):
        for name, found in rates.items():
            found.append((await bench.round(name, EVENTS)).rate)
    return {"throughput, x wire": median(rates["exactly_once"]) / median(rates["wire"])}


async def _latency(broker: Node, folder: Path) -> dict[str, float]:
    bench = latency.Bench(broker, folder, seconds=LATENCY_SECONDS, warm_up=2.0)
    names = ["txn_echo", "exactly_once"]
    try:
        await bench.start(names)
        runs = [await bench.measure(name, LATENCY_RATE, turn) for turn in range(ROUNDS) for name in names]
    finally:
        await bench.stop()
    return latency_figures(runs)


def latency_figures(runs: Sequence[Run]) -> dict[str, float]:
    """The ratios of these runs to the echo."""
    found = {row.contender: row for row in rows(runs)}
    ratios = found["exactly_once"].ratios
    assert ratios is not None
    return {
        f"latency p{p}, x echo at {LATENCY_RATE:,.0f}/s": ratio
        for p, ratio in zip((50, 99), ratios, strict=True)
    }


def compared(now: Mapping[str, float], before: Mapping[str, float]) -> list[list[str]]:
    """One line per figure: before, now, and by how much it got better or worse."""
    return [
        [
            name,
            f"{before[name]:.2f}" if name in before else MISSING,
            f"{value:.2f}",
            change(name, before[name], value) if name in before else MISSING,
        ]
        for name, value in now.items()
    ]


def change(name: str, before: float, now: float) -> str:
    """By how many percent, and whether that is better."""
    percent = 100 * (now / before - 1)
    if round(percent) == 0:
        return "same"
    return f"{percent:+.0f} %, {'better' if (percent > 0) == (name in BEST_IS_HIGH) else 'worse'}"


if __name__ == "__main__":
    main()
