"""How long a worker takes to come back: restore, start to first slate, the shared models, a rolling restart.

`python -m benchmarks.recovery --help`; what the numbers mean: docs/benchmarks.md.
"""

import argparse
import asyncio
import contextlib
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from aiokafka import AIOKafkaProducer
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks.arguments import RESULTS, measured, write
from benchmarks.fleet import Fleet, broker, console, fleet, load, longest_gaps, quantile, slates
from benchmarks.inputs import DATA, deltas_of, inputs
from benchmarks.machine import load_average, machine
from benchmarks.profiles import write_profiles
from stream.codecs import encode_delta
from stream.config import Settings
from stream.followed import followed_topics, learning_config
from stream.java import KAFKA_VERSION
from stream.replica import Replica
from stream.topics import create_topics, topic_specs
from stream.worker import SNAPSHOT, model_config, warm

PARTITIONS: Final = 8
SETTLE_SECONDS: Final = 4.0
"""Steady load before and after a restart, so that the usual gaps are seen too."""
HANDOVERS: Final = ("static SIGTERM", "static SIGKILL", "dynamic SIGTERM", "dynamic SIGKILL")
"""Membership, and how a worker ends before the next one of its name is started."""


class Start(Struct):
    """One start of a worker that has all partitions, with an event waiting for it."""

    disk: str
    """`none`, `after SIGTERM` or `after SIGKILL`: the local copy it found."""
    first_slate_seconds: float
    """From the start of the process until a reader has the slate."""
    open_seconds: float
    """Of that, opening and restoring the partitions."""
    restored: int
    """Changelog records read."""

    @property
    def rate(self) -> float:
        """Changelog records restored per second, the opening included."""
        return self.restored / max(self.open_seconds, 1e-9)


class Models(Struct):
    """The shared models, brought up to date in this process."""

    deltas: int
    interactions: int
    zero_seconds: float
    """From an empty disk."""
    snapshot_seconds: float
    """From a snapshot of all of it."""
    snapshot_bytes: int
    save_seconds: float


class Handover(Struct):
    """Two workers, restarted one after the other under load."""

    how: str
    gaps: list[float]
    """By partition, the longest time without a slate, seconds."""
    usual: float
    """The same in the seconds before, the worst partition."""
    stop_seconds: list[float]
    """By worker, from the signal until the process was gone."""
    lost: int
    """Events without a slate at the end."""


class Report(Struct):
    """One run."""

    machine: dict[str, str]
    load_before: float
    profiles: int
    profile_bytes: float
    """Mean of key and value."""
    partitions: int
    rate: float
    """Events per second during handovers."""
    starts: list[Start]
    models: Models | None
    handovers: list[Handover]


def main() -> None:
    options = arguments(sys.argv[1:])
    screen = console()
    report = measured(run(options, screen))
    show(report, screen)
    write(report, options.json)
    screen.print(f"all numbers: {options.json}")


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recovery",
        description="Restore rate, start to first slate, the models' start, and the pause of a restart.",
        epilog="Examples: python -m benchmarks.recovery; "
        "python -m benchmarks.recovery --profiles 100000 --rounds 1 --parts starts; "
        "python -m benchmarks.recovery --parts handovers --rate 1000",
    )
    parser.add_argument("--profiles", type=int, default=1_000_000, help="users (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of each start (default %(default)s)")
    parser.add_argument("--rate", type=float, default=400, help="events/s in handovers (default %(default)s)")
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=("starts", "models", "handovers"),
        default=("starts", "models", "handovers"),
        help="what to measure (default: all)",
    )
    parser.add_argument(
        "--handovers", nargs="+", choices=HANDOVERS, default=HANDOVERS, help="which (default: all)"
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the streams (default %(default)s)")
    parser.add_argument("--json", type=Path, default=RESULTS / "recovery.json", help="where numbers go")
    return parser.parse_args(given)


async def run(options: argparse.Namespace, screen: Console) -> Report:
    """Measure the parts, one after the other, on one broker."""
    report = Report(
        {**machine(), "kafka": KAFKA_VERSION},
        load_average(),
        options.profiles,
        0.0,
        PARTITIONS,
        options.rate,
        [],
        None,
        [],
    )
    with broker() as (address, _), TemporaryDirectory(prefix="freshslate-bench-") as folder:
        bench = Bench(address, Path(folder), options, screen)
        if "models" in options.parts:
            report.models = await bench.models()
        if "starts" in options.parts:
            report.profile_bytes, report.starts = await bench.starts()
        if "handovers" in options.parts:
            report.handovers = [await bench.handover(how) for how in options.handovers]
    return report


class Bench:
    """All parts on one broker, each with topics of its own."""

    def __init__(self, address: str, folder: Path, options: argparse.Namespace, screen: Console) -> None:
        self._address = address
        self._folder = folder
        self._options = options
        self._screen = screen

    async def _settings(self, name: str) -> Settings:
        prefix = f"bench-{uuid.uuid4().hex[:8]}."
        settings = Settings(
            broker=self._address,
            topic_prefix=prefix,
            app_id=f"{prefix}{name}",
            data_dir=self._folder / name / "data",
            partitions=PARTITIONS,
            canary_seconds=0,
        )
        await create_topics(self._address, topic_specs(settings))
        return settings

    # Starts -----------------------------------------------------------------------------------------

    async def starts(self) -> tuple[float, list[Start]]:
        """Start workers on every kind of disk; mean bytes of a profile, and the starts."""
        settings = await self._settings("starts")
        with self._screen.status("writing profiles") as status:
            size = await write_profiles(
                settings, self._options.profiles, lambda done: status.update(f"profiles: {done:,} written")
            )
        found: list[Start] = []
        with fleet(settings, self._folder / "starts") as workers:
            await self._start(workers, "warm-up")
            for _ in range(self._options.rounds):
                await workers.end("one")
                shutil.rmtree(settings.data_dir)
                found.append(await self._start(workers, "none"))
                await workers.end("one")
                found.append(await self._start(workers, "after SIGTERM"))
                await workers.end("one", signal.SIGKILL)
                found.append(await self._start(workers, "after SIGKILL"))
        return size / max(1, self._options.profiles), found

    async def _start(self, workers: Fleet, disk: str) -> Start:
        """Start the worker with an event waiting for it."""
        settings = workers.settings
        async with slates(settings) as reader, load(settings, 0) as clicks:
            await clicks.send()
            started = time.time()
            workers.start("one", instance_id="one")
            answer = await reader.first(after=started)
            ((restore, *_),) = await workers.opened("one")
        start = Start(disk, answer.at - started, restore.seconds, restore.records)
        self._screen.print(
            f"start, disk {disk}: first slate after {start.first_slate_seconds:.2f} s; "
            f"{restore.records:,} records in {restore.seconds:.2f} s, {start.rate:,.0f}/s",
            highlight=False,
        )
        return start

    # Models -----------------------------------------------------------------------------------------

    async def models(self) -> Models:
        """Bring the shared models up to date from nothing and from a snapshot, in this process."""
        settings = await self._settings("models")
        (given,) = inputs(self._options.data, ["sessions"], events=1, warm_up=0, rounds=1)
        history = list(deltas_of(given.history or given.warm_up))
        async with AIOKafkaProducer(
            bootstrap_servers=self._address, linger_ms=20, max_request_size=4 << 20
        ) as producer:
            for delta in history:
                await producer.send(settings.deltas_topic, encode_delta(delta), partition=0)
        warm(settings)
        snapshot = self._folder / "models" / SNAPSHOT
        zero, zero_seconds = await _caught_up(settings, snapshot)
        started = time.perf_counter()
        await zero.save()
        saved = time.perf_counter() - started
        _, snapshot_seconds = await _caught_up(settings, snapshot)
        found = Models(
            len(history),
            sum(delta.events for delta in history),
            zero_seconds,
            snapshot_seconds,
            snapshot.stat().st_size,
            saved,
        )
        self._screen.print(
            f"models: {found.deltas:,} deltas, {found.interactions:,} interactions from zero in "
            f"{zero_seconds:.2f} s, from a snapshot of {found.snapshot_bytes / 1e6:.0f} MB in "
            f"{snapshot_seconds:.2f} s, saved in {saved:.2f} s",
            highlight=False,
        )
        return found

    # Handovers --------------------------------------------------------------------------------------

    async def handover(self, how: str) -> Handover:
        """Restart two workers one after the other under steady load; the pause of each partition."""
        membership, _, name = how.partition(" ")
        settings = await self._settings(how.replace(" ", "-").lower())
        names = ("one", "two")
        with fleet(settings, self._folder / how.replace(" ", "-")) as workers:

            def start(worker: str) -> None:
                workers.start(worker, **({"instance_id": worker} if membership == "static" else {}))

            for worker in names:
                start(worker)
            await workers.opened(*names)
            async with slates(settings) as reader:
                async with load(settings, self._options.rate) as clicks:
                    await reader.first(after=time.time())
                    await asyncio.sleep(SETTLE_SECONDS)
                    began, stops = time.time(), []
                    for worker in names:
                        stops.append(await workers.end(worker, signal.Signals[name]))
                        start(worker)
                        await workers.opened(worker)
                        await asyncio.sleep(SETTLE_SECONDS)
                    ended = time.time()
                with contextlib.suppress(TimeoutError):
                    await _all_answered(reader.answers, clicks.sent)
            answers, lost = reader.answers, clicks.sent - len(reader.answers)
        gaps = longest_gaps(answers, since=began, until=ended, partitions=PARTITIONS)
        usual = max(
            longest_gaps(answers, since=began - SETTLE_SECONDS / 2, until=began, partitions=PARTITIONS)
        )
        self._screen.print(
            f"handover, {how}: longest pause {max(gaps):.2f} s, median of partitions "
            f"{quantile(gaps, 0.5):.2f} s, usual {usual:.2f} s, stops "
            f"{', '.join(f'{each:.2f}' for each in stops)} s, events without a slate {lost}",
            highlight=False,
        )
        return Handover(how, gaps, usual, stops, lost)


async def _caught_up(settings: Settings, snapshot: Path) -> tuple[Replica, float]:
    """A replica that has read all there is, and how long it took from its making."""
    started = time.perf_counter()
    replica = Replica(
        settings.broker,
        topics=followed_topics(settings),
        config=model_config(settings),
        learning=learning_config(settings),
        snapshot=snapshot,
        snapshot_seconds=3600.0,
    )
    following = asyncio.create_task(replica.run())
    await replica.caught_up.wait()
    took = time.perf_counter() - started
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    return replica, took


async def _all_answered(answers: Sequence[object], sent: int) -> None:
    """Wait until so many slates were read."""
    async with asyncio.timeout(10):
        while len(answers) < sent:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


def show(report: Report, screen: Console) -> None:
    """A table of the medians."""
    table = Table(title="Recovery", title_justify="left")
    for name in ("what", "median", "lowest", "highest"):
        table.add_column(name, justify="left" if name == "what" else "right")
    for what, values in rows(report):
        cells = (quantile(values, 0.5), min(values), max(values))
        table.add_row(what, *(f"{value:,.0f}" if value >= 1000 else f"{value:.2f}" for value in cells))
    screen.print(table)


def rows(report: Report) -> list[tuple[str, list[float]]]:
    """What was measured, by name; several rounds of the same are one row."""
    found: list[tuple[str, list[float]]] = []
    for disk in dict.fromkeys(start.disk for start in report.starts):
        same = [start for start in report.starts if start.disk == disk]
        found.append((f"first slate, disk {disk}, s", [start.first_slate_seconds for start in same]))
        if disk == "none":
            found.append(("restore, records/s", [start.rate for start in same]))
    if report.models is not None:
        models = report.models
        found.append(("models from zero, deltas/s", [models.deltas / models.zero_seconds]))
        found.append(("models from zero, interactions/s", [models.interactions / models.zero_seconds]))
        found.append(("models from a snapshot, s", [models.snapshot_seconds]))
    found += [(f"pause, {each.how}, s", each.gaps) for each in report.handovers]
    return found


if __name__ == "__main__":
    main()
