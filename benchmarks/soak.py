"""The job for many minutes at half of what it can do: memory, files, lag and latency stay flat, or do not.

The models are full before it starts, as in a shop that has been open for long: what a worker does with young
ones says nothing about what it does for good. Sessions are those of `benchmarks.growth`.

`python -m benchmarks.soak --help`; what the numbers mean: docs/benchmarks.md.
"""

import argparse
import asyncio
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks.arguments import RESULTS, measured, write
from benchmarks.fleet import Answer, Fleet, Load, Slates, broker, console, fleet, load, quantile, slates
from benchmarks.growth import events, lessons
from benchmarks.job import BenchmarkError, teach
from benchmarks.machine import cpu_seconds, machine
from benchmarks.memory import memory_of
from state.event import Event
from stream.config import Settings
from stream.java import KAFKA_VERSION
from stream.topics import create_topics, topic_specs

PARTITIONS: Final = 8
BURST: Final = 20_000
"""Events of the burst that tells what the worker can do."""
AT_A_TIME: Final = 20_000
"""Sessions that take their steps in turn: at 5,000 events/s a shopper's next one is 4 s away."""
FULLER: Final = 1.1
"""Sessions taught beforehand, of those that the index holds: the oldest are forgotten already."""
WARM_UP_SHARE: Final = 0.25
"""Of the run, left out of the judgement: caches and memtables fill."""
TOLERANCE: Final = 0.10
"""Flat: what the slope adds over the judged time is at most this share of the median,"""
FLOORS: Final = {
    "resident_mb": 5.0,
    "files": 8.0,
    "lag": 200.0,
    "p50_ms": 10.0,
    "p99_ms": 50.0,
    "broker_mb": 20.0,
}
"""... or at most this, where the median is next to nothing."""


class Sample(Struct):
    """One look."""

    seconds: float
    """Since the run began."""
    resident_mb: float
    """Memory of the worker."""
    files: float
    """Its open file handles."""
    lag: float
    """Events sent and not answered yet."""
    p50_ms: float
    """Event to slate, of the slates since the last look."""
    p99_ms: float
    broker_mb: float
    worker_cpu: float
    """Cores used since the last look."""
    events: float
    """Slates per second since the last look."""


class Trend(Struct):
    """How one measure moved after the warm-up."""

    median: float
    drift: float
    """What a straight line through the samples adds from the first to the last."""
    per_hour: float
    flat: bool


class Report(Struct):
    """One run."""

    machine: dict[str, str]
    seconds: float
    saturation: float
    """Events per second of the burst; 0 where the rate was given."""
    rate: float
    sent: int
    answered: int
    samples: list[Sample]
    trends: dict[str, Trend]


def main() -> None:
    options = arguments(sys.argv[1:])
    if options.draw:
        report = msgspec.json.decode(options.json.read_bytes(), type=Report)
    else:
        report = measured(run(options, console()))
        write(report, options.json)
    show(report, console())
    if options.plot:
        from benchmarks.soak_plot import plot  # noqa: PLC0415 - matplotlib is not needed for a run

        plot(report, options.plot)
    print(f"all numbers: {options.json}" + (f", plot: {options.plot}" if options.plot else ""))


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak",
        description="One worker at half load for minutes; memory, handles, lag and latency, sampled.",
        epilog="Examples: python -m benchmarks.soak --plot soak.png; "
        "python -m benchmarks.soak --minutes 2 --rate 500; "
        "python -m benchmarks.soak --draw --plot soak.png (from the JSON of the last run)",
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="length (default %(default)s)")
    parser.add_argument("--rate", type=float, help="events/s; default: half of what a burst shows")
    parser.add_argument("--every", type=float, default=10.0, help="seconds of a sample (default %(default)s)")
    parser.add_argument("--json", type=Path, default=RESULTS / "soak.json", help="where numbers go")
    parser.add_argument("--plot", type=Path, help="draw the samples into this PNG")
    parser.add_argument("--draw", action="store_true", help="no run: only draw what the JSON holds")
    return parser.parse_args(given)


async def run(options: argparse.Namespace, screen: Console) -> Report:
    """Find the rate, then keep it."""
    prefix = f"bench-{uuid.uuid4().hex[:8]}."
    with broker() as (address, node), TemporaryDirectory(prefix="freshslate-bench-") as folder:
        settings = Settings(
            broker=address,
            topic_prefix=prefix,
            app_id=f"{prefix}soak",
            data_dir=Path(folder) / "data",
            partitions=PARTITIONS,
            canary_seconds=0,
        )
        await create_topics(address, topic_specs(settings))
        with screen.status("teaching the models"):
            await teach(settings, lessons(int(FULLER * settings.max_sessions), seed=1))
        shoppers = events(seed=2, at_a_time=AT_A_TIME)
        with fleet(settings, Path(folder)) as workers:
            workers.start("one", instance_id="one")
            await workers.opened("one")
            async with slates(settings) as reader:
                saturation = 0.0 if options.rate else await burst(settings, reader, shoppers, screen)
                rate = options.rate or saturation / 2
                async with load(settings, rate, shoppers=shoppers) as clicks:
                    watch = Watch(workers, reader, clicks, None if node is None else node.pid)
                    samples = await watch.run(options.minutes * 60, options.every, screen)
                await settled(reader, clicks.sent - watch.forgotten)
                answered = len(reader.answers) + watch.forgotten
    trends = {name: trend(samples, name) for name in FLOORS}
    return Report(
        {**machine(), "kafka": KAFKA_VERSION},
        options.minutes * 60,
        saturation,
        rate,
        clicks.sent,
        answered,
        samples,
        trends,
    )


async def burst(settings: Settings, reader: Slates, shoppers: Iterator[Event], screen: Console) -> float:
    """Events per second that the worker answers when all of them wait already; the first warm it up."""
    with screen.status("a burst, to learn what the worker can do"):
        async with load(settings, 0, shoppers=shoppers) as clicks:
            for _ in range(2 * BURST):
                await clicks.send()
        await settled(reader, clicks.sent)
    times = sorted(answer.at for answer in reader.answers)[BURST // 2 :]
    reader.answers.clear()
    rate = len(times) / (times[-1] - times[0])
    screen.print(f"saturation {rate:,.0f} events/s", highlight=False)
    return rate


async def settled(reader: Slates, sent: int, *, seconds: float = 60.0) -> None:
    """Wait until so many slates were read, or none comes for a while."""
    deadline = time.monotonic() + seconds
    while len(reader.answers) < sent and time.monotonic() < deadline:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.1)


class Watch:
    """Looks at a worker from time to time.

    Args:
        workers: of which there is one.
        reader: its answers; the ones looked at are taken out.
        clicks: what it has to answer.
        broker_pid: of the broker; None where it is not ours.
    """

    def __init__(self, workers: Fleet, reader: Slates, clicks: Load, broker_pid: int | None) -> None:
        self._workers = workers
        self._reader = reader
        self._clicks = clicks
        self._broker_pid = broker_pid
        self.forgotten = 0
        """Answers taken out so far."""

    async def run(self, seconds: float, every: float, screen: Console) -> list[Sample]:
        """Sample for so long."""
        (pid,) = self._workers.pids()
        started = latest = time.monotonic()
        cpu = cpu_seconds([pid]) or 0.0
        samples: list[Sample] = []
        with screen.status("soaking") as status:
            while time.monotonic() - started < seconds:
                await asyncio.sleep(every)
                self._workers.check()
                now, used = time.monotonic(), cpu_seconds([pid]) or 0.0
                answers = self._taken()
                samples.append(self._sample(pid, answers, now - started, now - latest, used - cpu))
                latest, cpu = now, used
                status.update(_told(samples[-1], seconds))
        return samples

    def _taken(self) -> list[Answer]:
        taken = list(self._reader.answers)
        del self._reader.answers[: len(taken)]
        self.forgotten += len(taken)
        return taken

    def _sample(
        self, pid: int, answers: Sequence[Answer], seconds: float, lasted: float, cpu: float
    ) -> Sample:
        latencies = [1000 * answer.latency for answer in answers] or [float("nan")]
        return Sample(
            seconds=seconds,
            resident_mb=memory_of(pid, "").resident / 1e6,
            files=len(list(Path(f"/proc/{pid}/fd").iterdir())),
            lag=self._clicks.sent - self.forgotten,
            p50_ms=quantile(latencies, 0.5),
            p99_ms=quantile(latencies, 0.99),
            broker_mb=0.0 if self._broker_pid is None else memory_of(self._broker_pid, "").resident / 1e6,
            worker_cpu=cpu / lasted,
            events=len(answers) / lasted,
        )


def _told(sample: Sample, seconds: float) -> str:
    return (
        f"{sample.seconds:.0f} of {seconds:.0f} s: {sample.events:,.0f} events/s, "
        f"p50 {sample.p50_ms:.0f} ms, p99 {sample.p99_ms:.0f} ms, lag {sample.lag:.0f}, "
        f"{sample.resident_mb:.0f} MB, {sample.files:.0f} files"
    )


def trend(samples: Sequence[Sample], name: str) -> Trend:
    """The straight line through one measure after the warm-up, by least squares.

    Flat means that the line adds no more than `TOLERANCE` of the median, or less than its floor. A measure
    that falls is flat.
    """
    judged = samples[int(WARM_UP_SHARE * len(samples)) :]
    seconds = np.array([sample.seconds for sample in judged])
    values = np.array([float(getattr(sample, name)) for sample in judged])
    known = ~np.isnan(values)
    seconds, values = seconds[known], values[known]
    if len(values) < 2:
        message = "too few samples for a trend: make the run longer, or --every shorter"
        raise BenchmarkError(message)
    slope = float(np.polyfit(seconds - seconds[0], values, 1)[0])
    middle, drift = float(np.median(values)), slope * float(seconds[-1] - seconds[0])
    return Trend(middle, drift, 3600 * slope, drift <= max(TOLERANCE * middle, FLOORS[name]))


def show(report: Report, screen: Console) -> None:
    """A table of the trends."""
    title = f"Soak: {report.seconds / 60:.0f} minutes of {report.rate:,.0f} events/s"
    table = Table(title=title, title_justify="left")
    for name in ("measure", "median", "drift", "per hour", "flat"):
        table.add_column(name, justify="left" if name == "measure" else "right")
    for name, each in report.trends.items():
        numbers = (f"{value:,.1f}" for value in (each.median, each.drift, each.per_hour))
        table.add_row(name, *numbers, "yes" if each.flat else "NO")
    screen.print(table)
    screen.print(f"sent {report.sent:,}, answered {report.answered:,}", highlight=False)


if __name__ == "__main__":
    main()
