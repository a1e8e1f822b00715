"""Cross-user freshness: from a click that one worker handles to a slate of another worker that knows it.

Each trial has two items of its own. A shopper of worker 1 views the first and clicks the second; shoppers of
worker 2, a new one every few milliseconds, view the first, until one of their slates has the second, brought
by the session neighbours or the rules. `python -m benchmarks.freshness --help`.
"""

import argparse
import asyncio
import random
import re
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner
from msgspec import Struct
from rich.console import Console

from benchmarks import contenders
from benchmarks.arguments import Table, deliver, measured, parser, positive, progress, screen
from benchmarks.contenders import PARTITIONS, START_SECONDS, worker_settings
from benchmarks.load import LoadTask, load_command
from benchmarks.machine import load_average, machine
from benchmarks.percentiles import PERCENTILES, percentiles_of
from benchmarks.processes import BenchmarkError, Measured, Node, node
from stream.codecs import decode_slate
from stream.config import Settings
from stream.java import KAFKA_VERSION

PROBE_SECONDS: Final = 0.004
"""Between two shoppers who look whether the click has arrived."""
GIVE_UP_SECONDS: Final = 5.0
WARM_UP_TRIALS: Final = 10
SOURCES: Final = frozenset({"session_knn", "sequence_rules"})
"""Candidate sources that a click of somebody else's reaches others by."""
OPENED: Final = re.compile(r"opened partitions \[([\d, ]*)\]")
"""The line that a worker logs of its partitions; `stream/partitions.py`."""
SETTLE_SECONDS: Final = 60.0
TITLE: Final = "From a click at one worker to a slate of another that knows it, ms"
HEADER: Final = (
    "background, events/s",
    "trials",
    "until",
    *(f"p{p:g}" for p in PERCENTILES),
    "worst",
    "missing",
)


class Trial(Struct):
    """One click."""

    retrieved_ms: float | None
    """Until the broker had the first slate that knows of it; None if there was none in time."""
    read_ms: float | None
    """Until a reader of committed slates had it."""


class Report(Struct):
    """One run."""

    machine: Mapping[str, str]
    guarantee: str
    load_before: float
    load_after: float
    trials: dict[str, list[Trial]]
    """By events per second in the background."""


def main() -> None:
    options = arguments(sys.argv[1:])
    console = screen(options)
    report = measured(run(options, console))
    deliver(report, Table(TITLE, HEADER, lines(report)), options, console)


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    it = parser("freshness", "From a click at one worker until another worker retrieves with it.")
    it.add_argument("--trials", type=positive, default=200, help="of each (default %(default)s)")
    it.add_argument(
        "--background", nargs="+", type=int, default=[0, 1000], help="events/s (default %(default)s)"
    )
    it.add_argument(
        "--guarantee",
        choices=("exactly_once", "at_least_once"),
        default="exactly_once",
        help="of both workers (default %(default)s)",
    )
    return it.parse_args(given)


async def run(options: argparse.Namespace, console: Console) -> Report:
    """Two workers, and all trials at each rate of the background."""
    report = Report({**machine(), "kafka": KAFKA_VERSION}, options.guarantee, load_average(), 0.0, {})
    with node() as broker, TemporaryDirectory(prefix="freshslate-bench-") as folder:
        async with two_workers(broker, Path(folder), options.guarantee) as pair:
            for rate in options.background:
                with progress(console, f"background {rate:,}/s", options.trials) as done:
                    async with pair.background(rate), Shoppers(pair) as shoppers:
                        await shoppers.warm_up()
                        found = report.trials[str(rate)] = await shoppers.trials(options.trials, done)
                known = [each.retrieved_ms for each in found if each.retrieved_ms is not None]
                console.print(
                    f"  background {rate:>6,}/s  {len(known)} of {len(found)} clicks seen", highlight=False
                )
    report.load_after = load_average()
    return report


class Pair:
    """Two running workers, and who has which partitions."""

    def __init__(self, settings: Settings, folder: Path, workers: Sequence[Measured]) -> None:
        self.settings = settings
        self._folder = folder
        self._workers = workers
        self.owned: Sequence[frozenset[int]] = ()

    async def settle(self) -> None:
        """Wait until both have their partitions, all of them together.

        Raises:
            BenchmarkError: they do not get any.
        """
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            self.owned = [owned(worker.log()) for worker in self._workers]
            if all(self.owned) and sum(map(len, self.owned)) == PARTITIONS == len(
                frozenset().union(*self.owned)
            ):
                return
            if time.monotonic() > deadline or any(worker.ended() for worker in self._workers):
                message = "the workers do not share the partitions\n" + self._workers[0].log()[-4000:]
                raise BenchmarkError(message)
            await asyncio.sleep(0.1)

    @asynccontextmanager
    async def background(self, rate: int) -> AsyncIterator[None]:
        """Other shoppers' events for as long as the block lasts."""
        if not rate:
            yield
            return
        task = LoadTask(self.settings.broker, self.settings.input_topics[0], PARTITIONS, rate, 3600.0, 0)
        load = Measured("background", load_command(task), self._folder)
        try:
            await asyncio.sleep(2.0)
            yield
        finally:
            await load.stop()


@asynccontextmanager
async def two_workers(broker: Node, folder: Path, guarantee: str) -> AsyncIterator[Pair]:
    """Two workers of one group, whose policy shows the best candidates."""
    app_id = f"bench-{uuid.uuid4().hex[:8]}"
    settings = worker_settings(broker.address, app_id, folder, guarantee).model_copy(
        update={"policy": "epsilon_greedy", "epsilon": 1e-6, "slate_size": 10}
    )
    contender = contenders.worker("worker", settings, module="agents.commands worker")
    await contender.prepare(broker.address)
    workers = [contender._replace(name=f"worker-{n}").start(folder) for n in (1, 2)]
    try:
        for worker in workers:
            await worker.until(contender.ready, START_SECONDS)
        pair = Pair(settings, folder, workers)
        await pair.settle()
        yield pair
    finally:
        await asyncio.gather(*(worker.stop() for worker in workers))


def owned(log: str) -> frozenset[int]:
    """The partitions that a worker opened last, by its log."""
    found = OPENED.findall(log)
    return frozenset(int(number) for number in found[-1].split(",")) if found else frozenset()


def users_on(partitions: Collection[int], prefix: str) -> Iterator[str]:
    """New users' names, for ever, whose events go to these partitions."""
    choose, numbers = DefaultPartitioner(), list(range(PARTITIONS))
    for number in count():
        name = f"{prefix}{number}"
        if choose(name.encode(), numbers, numbers) in partitions:
            yield name


class Shoppers:
    """One shopper of worker 1 and many of worker 2, trial by trial."""

    def __init__(self, pair: Pair) -> None:
        settings = pair.settings
        run = uuid.uuid4().hex[:6]
        self._events = settings.input_topics[0]
        self._producer = AIOKafkaProducer(bootstrap_servers=settings.broker)
        self._slates = AIOKafkaConsumer(
            bootstrap_servers=settings.broker, isolation_level="read_committed", enable_auto_commit=False
        )
        self._slates.assign([TopicPartition(settings.slates_topic, p) for p in range(PARTITIONS)])
        self._run = run
        self._clickers = users_on(pair.owned[0], f"clicker-{run}-")
        self._viewers = users_on(pair.owned[1], f"viewer-{run}-")
        self._numbers = count()

    async def __aenter__(self) -> "Shoppers":
        await self._producer.start()
        await self._slates.start()
        await self._slates.seek_to_end()
        for tp in self._slates.assignment():
            await self._slates.position(tp)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()
        await self._slates.stop()

    async def trials(self, wanted: int, done: Callable[[], None]) -> list[Trial]:
        """So many clicks, one after the other; `done` is called after each."""
        found = []
        for _ in range(wanted):
            found.append(await self._trial())
            done()
        return found

    async def warm_up(self) -> None:
        """Clicks whose time is not told.

        Raises:
            BenchmarkError: nobody hears of them.
        """
        if (await self._trial()).read_ms is None and (await self._trial()).read_ms is None:
            message = f"no slate of worker 2 has what worker 1's shopper clicked, in {GIVE_UP_SECONDS:g} s"
            raise BenchmarkError(message)
        for _ in range(WARM_UP_TRIALS):
            await self._trial()

    async def _trial(self) -> Trial:
        number = next(self._numbers)
        viewed, clicked = f"{self._run}-x{number}", f"{self._run}-y{number}"
        clicker = next(self._clickers)
        await self._send(clicker, "view", viewed)
        await self._slate_with(clicker, None)
        # At any moment of the workers' cycles.
        await asyncio.sleep(random.random() * 0.05)
        sent_ns = time.time_ns()
        await self._send(clicker, "click", clicked)
        probing = asyncio.create_task(self._probe(viewed))
        found = await self._slate_with(None, clicked)
        read_ns = time.time_ns()
        probing.cancel()
        if found is None:
            return Trial(None, None)
        return Trial(found.timestamp - sent_ns / 1e6, (read_ns - sent_ns) / 1e6)

    async def _probe(self, item: str) -> None:
        while True:
            await self._send(next(self._viewers), "view", item)
            await asyncio.sleep(PROBE_SECONDS)

    async def _send(self, user: str, kind: str, item: str) -> None:
        event = {
            "event_id": uuid.uuid4().hex,
            "type": kind,
            "user_id": user,
            "item_id": item,
            "time": time.time_ns() // 1_000_000,
        }
        await self._producer.send(self._events, msgspec.json.encode(event), key=user.encode())

    async def _slate_with(self, user: str | None, item: str | None) -> Any:
        """The next slate's record of this user, or with this item brought by others; None in vain."""
        deadline = time.monotonic() + GIVE_UP_SECONDS
        key = None if user is None else user.encode()
        while time.monotonic() < deadline:
            for records in (await self._slates.getmany(timeout_ms=50)).values():
                for record in records:
                    if record.key == key or (item is not None and brings(record.value, item)):
                        return record
        return None


def brings(value: bytes, item: str) -> bool:
    """Whether a slate has this item, because other shoppers' sessions or the rules named it."""
    if item.encode() not in value:
        return False
    return any(
        each.item_id == item and any(source.name in SOURCES for source in each.sources)
        for each in decode_slate(value).items
    )


def lines(report: Report) -> list[list[str]]:
    """The table, in the order of `HEADER`."""
    return [
        _line(rate, trials, "retrieved" if name == "retrieved_ms" else "read", name)
        for rate, trials in report.trials.items()
        for name in ("retrieved_ms", "read_ms")
    ]


def _line(rate: str, trials: Sequence[Trial], until: str, name: str) -> list[str]:
    known = [value for each in trials if (value := getattr(each, name)) is not None]
    shown = [f"{each:.1f}" for each in (*percentiles_of(known), max(known))] if known else ["-"] * 5
    return [f"{int(rate):,}", str(len(trials)), until, *shown, str(len(trials) - len(known))]


if __name__ == "__main__":
    main()
