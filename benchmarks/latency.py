"""Event to slate at fixed rates: this runtime beside bare echoes, one contender at a time, in turn.

`python -m benchmarks.latency --help`; what the numbers mean: docs/benchmarks.md.
"""

import argparse
import asyncio
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct
from rich.console import Console

from benchmarks import contenders, plots
from benchmarks.arguments import Table, deliver, measured, parser, positive, progress, read_ranker, screen
from benchmarks.contenders import PARTITIONS, START_SECONDS, Contender, worker_settings
from benchmarks.inputs import deltas_of, made_up, until_now
from benchmarks.job import teach, timing_of
from benchmarks.load import LoadResult, LoadTask, load_command
from benchmarks.machine import busy_seconds, load_average, machine
from benchmarks.outputs import Outputs, sampler
from benchmarks.payloads import sent_ns
from benchmarks.percentiles import HEADER, Cores, Run, cells, counted, percentiles_of, rows
from benchmarks.preload import Keys, preload
from benchmarks.processes import ROOT, BenchmarkError, Measured, Node, node
from stream.java import KAFKA_VERSION
from stream.ranker import publish_ranker
from stream.transport import FETCH_WAIT_MS

CONTENDERS: Final = (
    "echo",
    "txn_echo",
    "at_least_once",
    "exactly_once",
    "full_at_least_once",
    "full_exactly_once",
)
RATES: Final = (100.0, 1000.0, 5000.0, 8000.0)
HALF: Final = "half"
BURST: Final = {"exactly_once": 120_000, "full_exactly_once": 24_000}
"""Events that tell how fast a contender can be, for half of that."""
HISTORY: Final = 40_000
"""Interactions that the full recommender's models know beforehand."""
WARM_RATE: Final = 2000.0
"""Events per second that each contender has before the first run ..."""
NEW_BROKER_SECONDS: Final = 10.0
"""... for so long: a transaction on a new broker took 39 ms, after 20 s of them 9 ms."""
RUN_EVENTS: Final = 1_000_000
"""More than a run sends: each run's events have numbers of their own."""
DRAIN_SECONDS: Final = 15.0
"""How long the reader waits for the last slates."""
TITLE: Final = "Event to slate, ms; cores kept busy by each process"


class Report(Struct):
    """One run of the command."""

    machine: Mapping[str, str]
    partitions: int
    seconds: float
    """Measured in each run."""
    warm_up: float
    load_before: float
    load_after: float
    saturation: Mapping[str, float]
    """Events per second at most, by contender, where it was measured."""
    runs: list[Run]


def main() -> None:
    options = arguments(sys.argv[1:])
    console = screen(options)
    report = measured(run(options, console))
    found = rows(report.runs)
    deliver(report, Table(TITLE, HEADER, [cells(row) for row in found]), options, console)
    if options.plot:
        plots.latencies(found, options.json.with_suffix(".png"))


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    it = parser("latency", "Event to slate at fixed rates, beside bare echoes.")
    it.add_argument(
        "--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), help="default: all"
    )
    it.add_argument(
        "--rates",
        nargs="+",
        type=rate,
        default=[*RATES, HALF],
        help=f"events/s; {HALF} is half of what exactly once can do (default %(default)s)",
    )
    it.add_argument("--rounds", type=positive, default=3, help="of each (default %(default)s)")
    it.add_argument("--seconds", type=float, default=8.0, help="measured a run (default %(default)s)")
    it.add_argument("--warm-up", type=float, default=2.5, help="seconds before (default %(default)s)")
    it.add_argument(
        "--ranker",
        type=read_ranker,
        help="orders the full job's candidates; a file of `freshslate train-ranker`",
    )
    it.add_argument("--plot", action="store_true", help="draw a PNG beside the JSON")
    return it.parse_args(given)


def rate(text: str) -> float | str:
    """Events per second, or `half`."""
    if text == HALF:
        return text
    value = float(text)
    if not 0 < value < RUN_EVENTS:
        message = f"must be above 0, not {text}"
        raise argparse.ArgumentTypeError(message)
    return value


async def run(options: argparse.Namespace, console: Console) -> Report:
    """All rates, each with every contender in turn, round by round, on one broker."""
    report = Report(
        {**machine(), "kafka": KAFKA_VERSION},
        PARTITIONS,
        options.seconds,
        options.warm_up,
        load_average(),
        0.0,
        {},
        [],
    )
    with node() as broker, TemporaryDirectory(prefix="freshslate-bench-") as folder:
        bench = Bench(
            broker,
            Path(folder),
            seconds=options.seconds,
            warm_up=options.warm_up,
            ranker=options.ranker,
        )
        try:
            await bench.start(options.contenders)
            if HALF in options.rates:
                report.saturation = await bench.saturation()
            rates = _rates(options.rates, report.saturation)
            steps = len(rates) * options.rounds * len(options.contenders)
            with progress(console, "latency", steps) as done:
                for each in rates:
                    await _turns(bench, options, each, report, partial(_tell, console, done))
        finally:
            await bench.stop()
    report.load_after = load_average()
    return report


def _rates(asked: Sequence[float | str], saturation: Mapping[str, float]) -> list[float]:
    """Numbers, in rising order."""
    halves = [round(most / 2, -2) for most in saturation.values()]
    return sorted({*(each for each in asked if isinstance(each, float)), *halves})


async def _turns(
    bench: "Bench", options: argparse.Namespace, at: float, report: Report, tell: Callable[[Run | None], None]
) -> None:
    for turn in range(1, options.rounds + 1):
        for name in options.contenders:
            # Who could not follow at this rate, or at a lower one, has a queue and no latency.
            found = None
            if not any(each.overloaded and each.contender == name for each in report.runs):
                found = await bench.measure(name, at, turn)
                report.runs.append(found)
            tell(found)


def _tell(console: Console, done: Callable[[], None], found: Run | None) -> None:
    done()
    if found is not None:
        shown = "  ".join(f"{each:7.1f}" for each in (*found.percentiles, found.worst))
        missing = f"  {found.missing} missing" if found.missing else ""
        text = f"  {found.rate:>8,.0f}/s  round {found.turn}  {found.contender:20}{shown} ms{missing}"
        console.print(text, highlight=False)


class Bench:
    """All contenders, started and idle but for the one that is measured."""

    def __init__(
        self, broker: Node, folder: Path, *, seconds: float, warm_up: float, ranker: bytes | None = None
    ) -> None:
        self._broker = broker
        self._folder = folder
        self._seconds = seconds
        self._warm_up = warm_up
        self._ranker = ranker
        self._prefix = f"bench-{uuid.uuid4().hex[:8]}."
        self._contenders: dict[str, Contender] = {}
        self._processes: dict[str, Measured] = {}
        self._runs = 0

    async def start(self, names: Sequence[str]) -> None:
        """Create all topics, then start all contenders."""
        for name in names:
            contender = self._contenders[name] = self._contender(name)
            await contender.prepare(self._broker.address)
            if name.startswith("full_"):
                history = until_now(list(islice(made_up(), HISTORY)))
                await teach(self._settings(name), deltas_of(history))
                if self._ranker is not None:
                    await publish_ranker(self._settings(name), self._ranker)
            self._processes[name] = contender.start(self._folder)
        for name, process in self._processes.items():
            await process.until(self._contenders[name].ready, START_SECONDS)
        for name in names:
            # A new broker compiles its own code first, and a worker meets its first events: not measured.
            async with reader(self._broker.address, self._contenders[name].topics.target) as consumer:
                await collect(consumer, self._task(name, WARM_RATE, NEW_BROKER_SECONDS))

    async def stop(self) -> None:
        """End all contenders."""
        await asyncio.gather(*(process.stop() for process in self._processes.values()))

    def _contender(self, name: str) -> Contender:
        if name.endswith("echo"):
            transactional_id = f"{self._prefix}{name}" if name == "txn_echo" else None
            return contenders.echo(
                name, self._broker.address, self._prefix, transactional_id=transactional_id
            )
        module = "agents.commands worker" if name.startswith("full_") else "benchmarks.trivial_worker"
        return contenders.worker(name, self._settings(name), module=module)

    def _settings(self, name: str) -> Any:
        guarantee = name.removeprefix("full_")
        return worker_settings(self._broker.address, f"{self._prefix}{name}", self._folder, guarantee)

    async def saturation(self) -> dict[str, float]:
        """Events per second that contenders process when all is there at once."""
        found = {}
        for name, events in BURST.items():
            if name not in self._contenders:
                continue
            source, target = self._contenders[name].topics
            async with Outputs(self._broker.address, target, PARTITIONS) as outputs:
                starts = await outputs.ends()
                await preload(self._broker.address, source, Keys(PARTITIONS), first=0, count=events)
                loaded_at = time.time_ns() // 1_000_000
                process = self._processes[name]
                progress, _ = await outputs.watch(starts, events, process, sampler(process, self._broker.cpu))
            timing = timing_of(progress, not_before=loaded_at, skip=0)
            found[name] = timing.events / timing.seconds
        return found

    async def measure(self, name: str, events_per_second: float, turn: int) -> Run:
        """One contender at one rate, once."""
        task = self._task(name, events_per_second, self._warm_up + self._seconds)
        before, began = self._used(name), time.monotonic()
        async with reader(self._broker.address, self._contenders[name].topics.target) as consumer:
            load, sent, arrived = await collect(consumer, task)
        cores = self._cores(name, before, load, time.monotonic() - began)
        places = counted(sent, first_ns=load.started_ns + int(1e9 * self._warm_up), last_ns=load.ended_ns)
        latencies = [(arrived[place] - sent[place]) / 1e6 for place in places]
        return Run(
            name,
            events_per_second,
            turn,
            len(latencies),
            max(0, load.events - len(sent)),
            percentiles_of(latencies),
            max(latencies),
            cores,
        )

    def _task(self, name: str, events_per_second: float, seconds: float) -> LoadTask:
        self._runs += 1
        source = self._contenders[name].topics.source
        first = self._runs * RUN_EVENTS
        return LoadTask(self._broker.address, source, PARTITIONS, events_per_second, seconds, first)

    def _used(self, name: str) -> tuple[float, float | None, float, float | None]:
        """CPU seconds so far: the contender, the broker, this process, the whole machine."""
        return self._processes[name].cpu(), self._broker.cpu(), time.process_time(), busy_seconds()

    def _cores(
        self,
        name: str,
        before: tuple[float, float | None, float, float | None],
        load: LoadResult,
        wall: float,
    ) -> Cores:
        engine, broker, own, busy = (
            None if now is None or then is None else now - then
            for now, then in zip(self._used(name), before, strict=True)
        )
        known = (engine or 0.0) + (broker or 0.0) + (own or 0.0) + load.cpu_seconds
        return Cores(
            engine=(engine or 0.0) / wall,
            broker=None if broker is None else broker / wall,
            load=load.cpu_seconds / wall,
            reader=(own or 0.0) / wall,
            others=None if busy is None or broker is None else max(0.0, (busy - known) / wall),
        )


def reader(broker: str, topic: str) -> AIOKafkaConsumer:
    """The reader of slates; what is not committed, it does not see."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker,
        isolation_level="read_committed",
        enable_auto_commit=False,
        fetch_max_wait_ms=FETCH_WAIT_MS,
    )
    consumer.assign([TopicPartition(topic, partition) for partition in range(PARTITIONS)])
    return consumer


async def collect(consumer: AIOKafkaConsumer, task: LoadTask) -> tuple[LoadResult, list[int], list[int]]:
    """Read slates while the load generator runs, and until the last one is there.

    Returns:
        What was sent; and of each slate when its event was sent and when it arrived here, epoch nanoseconds.

    Raises:
        BenchmarkError: the load generator failed.
    """
    await consumer.seek_to_end()
    for tp in consumer.assignment():
        await consumer.position(tp)
    began = time.time_ns()
    running = asyncio.create_task(_generate(task))
    sent: list[int] = []
    arrived: list[int] = []
    deadline = time.monotonic() + task.seconds + START_SECONDS
    while time.monotonic() < deadline:
        for records in (await consumer.getmany(timeout_ms=100)).values():
            now = time.time_ns()
            # What a former run left behind is not of this one.
            ours = [at for record in records if (at := sent_ns(record.value)) >= began]
            sent += ours
            arrived += [now] * len(ours)
        if running.done():
            load = running.result()
            deadline = min(deadline, time.monotonic() + DRAIN_SECONDS)
            if len(sent) >= load.events:
                break
    return await running, sent, arrived


async def _generate(task: LoadTask) -> LoadResult:
    process = await asyncio.create_subprocess_exec(*load_command(task), cwd=ROOT, stdout=subprocess.PIPE)
    printed, _ = await process.communicate()
    if process.returncode:
        message = f"the load generator ended with {process.returncode}"
        raise BenchmarkError(message)
    return msgspec.json.decode(printed, type=LoadResult)


if __name__ == "__main__":
    main()
