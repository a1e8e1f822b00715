"""Throughput of the whole job beside the raw wire, in one run, on one broker, interleaved.

`python -m benchmarks.throughput --help`; what the numbers mean: docs/benchmarks.md.
"""

import argparse
import asyncio
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
from rich.console import Console

from benchmarks import peers
from benchmarks.arguments import RESULTS, measured, positive, read_ranker, screen
from benchmarks.contenders import PARTITIONS
from benchmarks.inputs import DATA, Input, deltas_of, inputs
from benchmarks.job import Job, JobRound, Spent
from benchmarks.machine import load_average, machine
from benchmarks.processes import BenchmarkError, Node, node
from benchmarks.report import InputReport, Report, WireRound, as_json, as_markdown, show
from benchmarks.stages import measure
from benchmarks.wire import WireResult, WireTask
from stream.config import Settings
from stream.java import KAFKA_VERSION
from stream.topics import BATCH_BYTES, TopicSpec, create_topics

GUARANTEES: Final = ("exactly_once", "at_least_once")
NAMES: Final = ("taobao", "sessions")
FAUST: Final = "faust_stock"
"""The peer that slates per second are told as a multiple of, though it does the trivial step alone."""


def main() -> None:
    options = arguments(sys.argv[1:])
    console = screen(options)
    report = measured(run(options, console))
    show(report, console)
    if options.markdown:
        print(as_markdown(report))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_bytes(as_json(report))
    console.print(f"all numbers: {options.json}")


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput",
        description="Events per second of the whole job, beside a raw aiokafka loop in the same run.",
    )
    parser.add_argument("--events", type=positive, default=24_000, help="per round (default %(default)s)")
    parser.add_argument("--rounds", type=positive, default=3, help="of each loop (default %(default)s)")
    parser.add_argument("--warm-up", type=int, default=24_000, help="events before (default %(default)s)")
    parser.add_argument(
        "--workers",
        nargs="+",
        type=positive,
        default=[1],
        help="processes, one count after the other (default 1)",
    )
    parser.add_argument("--inputs", nargs="+", choices=NAMES, default=NAMES, help="streams (default: all)")
    parser.add_argument(
        "--guarantees", nargs="+", choices=GUARANTEES, default=GUARANTEES, help="jobs (default: both)"
    )
    parser.add_argument(
        "--ranker", type=read_ranker, help="what orders the candidates, a file of `freshslate train-ranker`"
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the streams (default %(default)s)")
    parser.add_argument("--json", type=Path, default=RESULTS / "throughput.json", help="where numbers go")
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables, for the docs")
    parser.add_argument("--no-faust", action="store_true", help="leave out stock faust with the trivial step")
    parser.add_argument("--no-stages", action="store_true", help="leave out the pass in this process")
    return parser.parse_args(given)


async def run(options: argparse.Namespace, console: Console) -> Report:
    """Measure all inputs, one after the other, on one broker."""
    report = Report({**machine(), "kafka": KAFKA_VERSION}, PARTITIONS, load_average(), 0.0, [])
    shape = {"events": options.events, "warm_up": options.warm_up, "rounds": options.rounds}
    with node() as broker, TemporaryDirectory(prefix="freshslate-bench-") as folder:
        for given in inputs(options.data, options.inputs, **shape):
            for workers in options.workers:
                bench = Bench(given, options, console, broker, Path(folder) / str(workers), workers=workers)
                report.inputs.append(await bench.run())
    report.load_after = load_average()
    return report


class Bench:
    """All loops on one input."""

    def __init__(
        self,
        given: Input,
        options: argparse.Namespace,
        console: Console,
        broker: Node,
        folder: Path,
        *,
        workers: int,
    ) -> None:
        self.given = given
        self.options = options
        self.console = console
        self.broker = broker
        self.address = broker.address
        self.workers = workers
        self.peers = peers.Bench(broker, folder / given.name / str(workers) / "peers")
        prefix = f"bench-{uuid.uuid4().hex[:8]}."
        self.wire_topic = f"{prefix}wire"
        self.jobs = {
            guarantee: Job(
                Settings(
                    broker=self.address,
                    topic_prefix=f"{prefix}{guarantee}.",
                    app_id=f"{prefix}{guarantee}",
                    data_dir=folder / given.name / guarantee / "data",
                    partitions=PARTITIONS,
                    canary_seconds=0,
                    processing_guarantee=guarantee,
                ),
                folder / given.name / guarantee / "logs",
                workers=workers,
                broker_pid=broker.pid,
            )
            for guarantee in options.guarantees
        }

    async def run(self) -> InputReport:
        """Warm up, then every loop in turn, round by round."""
        given = self.given
        spent: dict[str, Spent | None] = {}
        try:
            self.console.print(f"{given.name}, workers: {self.workers}; warming up", highlight=False)
            for job in self.jobs.values():
                await job.start(deltas_of(given.history), ranker=self.options.ranker)
            await asyncio.gather(*(job.process(given.warm_up) for job in self.jobs.values()))
            rounds, wires, fausts, payload = await self._rounds()
        finally:
            for guarantee, job in self.jobs.items():
                spent[guarantee] = await job.stop()
        return InputReport(
            given.name,
            given.source,
            self.workers,
            len(given.history),
            len(given.warm_up),
            len(given.rounds[0]),
            payload,
            wires,
            rounds,
            spent,
            fausts,
            None if self.options.no_stages else measure(given, self.options.ranker),
        )

    async def _rounds(self) -> tuple[dict[str, list[JobRound]], list[WireRound], list[float], int]:
        reference = next(iter(self.jobs.values()))
        payload = await reference.slate_bytes()
        await create_topics(
            self.address, [TopicSpec(self.wire_topic, PARTITIONS, 1, {"max.message.bytes": str(BATCH_BYTES)})]
        )
        rounds: dict[str, list[JobRound]] = {guarantee: [] for guarantee in self.jobs}
        wires: list[WireRound] = []
        fausts: list[float] = []
        for number, events in enumerate(self.given.rounds, 1):
            starts = await reference.input_ends()
            for guarantee, job in self.jobs.items():
                rounds[guarantee].append(await job.process(events))
                self._tell(number, guarantee, rounds[guarantee][-1].rate)
            wires.append(await self._wire(reference, starts, payload))
            self._tell(number, "wire", wires[-1].rate)
            if not self.options.no_faust:
                fausts.append((await self.peers.round(FAUST, peers.EVENTS[FAUST])).rate)
                self._tell(number, FAUST, fausts[-1])
        return rounds, wires, fausts, payload

    async def _wire(self, reference: Job, starts: dict[int, int], payload: int) -> WireRound:
        """Read the very events that the reference job has just processed."""
        task = WireTask(
            broker=self.address,
            source=reference.settings.input_topics[0],
            target=self.wire_topic,
            group=self.wire_topic,
            starts=starts,
            ends=await reference.input_ends(),
            payload_bytes=payload,
            fetch_bytes=reference.settings.fetch_bytes,
        )
        before = self.broker.cpu()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "benchmarks.wire",
            msgspec.json.encode(task).decode(),
            stdout=subprocess.PIPE,
        )
        printed, _ = await process.communicate()
        if process.returncode:
            message = f"the wire loop ended with {process.returncode}"
            raise BenchmarkError(message)
        result = msgspec.json.decode(printed, type=WireResult)
        after = self.broker.cpu()
        return WireRound(
            result.records / result.seconds,
            1e6 * result.cpu_seconds / result.records,
            None if before is None or after is None else 1e6 * (after - before) / result.records,
        )

    def _tell(self, number: int, loop: str, rate: float) -> None:
        text = f"  round {number}  {loop.replace('_', ' '):16}{rate:>10,.0f} events/s"
        self.console.print(text, highlight=False)


if __name__ == "__main__":
    main()
