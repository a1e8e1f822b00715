"""Throughput of the whole job beside the raw wire, in one run, on one broker, interleaved.

`python -m benchmarks.throughput --help`; what the numbers mean: docs/benchmarks.md.
"""

import argparse
import asyncio
import logging
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
import uvloop
from rich.console import Console

from benchmarks.inputs import DATA, Input, deltas_of, inputs
from benchmarks.job import BenchmarkError, Job, JobRound, Spent
from benchmarks.machine import cpu_seconds, load_average, machine
from benchmarks.report import InputReport, Report, WireRound, as_json, as_markdown, show
from benchmarks.stages import measure
from benchmarks.wire import WireResult, WireTask
from state.errors import FreshslateError
from stream.broker import Broker, BrokerError
from stream.config import Settings
from stream.java import KAFKA_VERSION
from stream.topics import BATCH_BYTES, TopicSpec, create_topics

GUARANTEES: Final = ("exactly_once", "at_least_once")
NAMES: Final = ("taobao", "sessions")
RESULTS: Final = Path(__file__).parent / "results"
PARTITIONS: Final = 8
WIDTH: Final = 120
"""Columns where the output is no terminal."""


def main() -> None:
    options = arguments(sys.argv[1:])
    # A new topic's first batch may be told to come again: the client does, and says so.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    console = Console(stderr=options.markdown)
    if not console.is_terminal:
        console.width = WIDTH
    try:
        report = uvloop.run(run(options, console))
    except (FreshslateError, BrokerError, BenchmarkError) as error:
        sys.exit(f"benchmarks: {error}")
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
    parser.add_argument("--events", type=_positive, default=24_000, help="per round (default %(default)s)")
    parser.add_argument("--rounds", type=_positive, default=3, help="of each loop (default %(default)s)")
    parser.add_argument("--warm-up", type=int, default=24_000, help="events before (default %(default)s)")
    parser.add_argument("--workers", type=_positive, default=1, help="processes (default %(default)s)")
    parser.add_argument("--inputs", nargs="+", choices=NAMES, default=NAMES, help="streams (default: all)")
    parser.add_argument(
        "--guarantees", nargs="+", choices=GUARANTEES, default=GUARANTEES, help="jobs (default: both)"
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the streams (default %(default)s)")
    parser.add_argument("--json", type=Path, default=RESULTS / "throughput.json", help="where numbers go")
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables, for the docs")
    parser.add_argument("--no-stages", action="store_true", help="leave out the pass in this process")
    return parser.parse_args(given)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        message = f"must be at least 1, not {value}"
        raise argparse.ArgumentTypeError(message)
    return value


async def run(options: argparse.Namespace, console: Console) -> Report:
    """Measure all inputs, one after the other, on one broker."""
    report = Report(
        {**machine(), "kafka": KAFKA_VERSION}, options.workers, PARTITIONS, load_average(), 0.0, []
    )
    shape = {"events": options.events, "warm_up": options.warm_up, "rounds": options.rounds}
    with _broker() as (address, pid), TemporaryDirectory(prefix="freshslate-bench-") as folder:
        for given in inputs(options.data, options.inputs, **shape):
            bench = Bench(given, options, console, (address, pid), Path(folder))
            report.inputs.append(await bench.run())
    report.load_after = load_average()
    return report


@contextmanager
def _broker() -> Iterator[tuple[str, int | None]]:
    """A broker of our own, whose CPU time can be told, or the one that is given."""
    given = os.environ.get("FRESHSLATE_BROKER")
    if given:
        yield given, None
        return
    with Broker.start() as broker:
        yield broker.address, broker.pid


class Bench:
    """All loops on one input."""

    def __init__(
        self,
        given: Input,
        options: argparse.Namespace,
        console: Console,
        broker: tuple[str, int | None],
        folder: Path,
    ) -> None:
        self.given = given
        self.options = options
        self.console = console
        self.address, self.broker_pid = broker
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
                    processing_guarantee=guarantee,
                ),
                folder / given.name / guarantee / "logs",
                workers=options.workers,
                broker_pid=self.broker_pid,
            )
            for guarantee in options.guarantees
        }

    async def run(self) -> InputReport:
        """Warm up, then every loop in turn, round by round."""
        given = self.given
        spent: dict[str, Spent | None] = {}
        try:
            self.console.print(f"{given.name}: starting and warming up", highlight=False)
            for job in self.jobs.values():
                await job.start(deltas_of(given.history))
            await asyncio.gather(*(job.process(given.warm_up) for job in self.jobs.values()))
            rounds, wires, payload = await self._rounds()
        finally:
            for guarantee, job in self.jobs.items():
                spent[guarantee] = await job.stop()
        return InputReport(
            given.name,
            given.source,
            len(given.history),
            len(given.warm_up),
            len(given.rounds[0]),
            payload,
            wires,
            rounds,
            spent,
            None if self.options.no_stages else measure(given),
        )

    async def _rounds(self) -> tuple[dict[str, list[JobRound]], list[WireRound], int]:
        reference = next(iter(self.jobs.values()))
        payload = await reference.slate_bytes()
        await create_topics(
            self.address, [TopicSpec(self.wire_topic, PARTITIONS, 1, {"max.message.bytes": str(BATCH_BYTES)})]
        )
        rounds: dict[str, list[JobRound]] = {guarantee: [] for guarantee in self.jobs}
        wires = []
        for number, events in enumerate(self.given.rounds, 1):
            starts = await reference.input_ends()
            for guarantee, job in self.jobs.items():
                rounds[guarantee].append(await job.process(events))
                self._tell(number, guarantee, rounds[guarantee][-1].rate)
            wires.append(await self._wire(reference, starts, payload))
            self._tell(number, "wire", wires[-1].rate)
        return rounds, wires, payload

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
        before = self._broker_cpu()
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
        after = self._broker_cpu()
        return WireRound(
            result.records / result.seconds,
            1e6 * result.cpu_seconds / result.records,
            None if before is None or after is None else 1e6 * (after - before) / result.records,
        )

    def _broker_cpu(self) -> float | None:
        return None if self.broker_pid is None else cpu_seconds([self.broker_pid])

    def _tell(self, number: int, loop: str, rate: float) -> None:
        text = f"  round {number}  {loop.replace('_', ' '):16}{rate:>10,.0f} events/s"
        self.console.print(text, highlight=False)


if __name__ == "__main__":
    main()
