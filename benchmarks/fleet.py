"""Worker processes under steady load, and a reader that sees every slate: what recovery and soak look at."""

import asyncio
import os
import re
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from msgspec import structs
from rich.console import Console

from benchmarks.job import BenchmarkError
from state.event import Event, EventItem
from stream.broker import Broker
from stream.child import ChildWorker
from stream.codecs import encode_event
from stream.config import Settings

OPENED: Final = re.compile(
    r"opened partitions \[(?P<partitions>[\d, ]+)\], restored (?P<records>\d+) changelog records "
    r"in (?P<seconds>[\d.]+) s"
)
"""What a worker logs; `stream/partitions.py`."""
START_SECONDS: Final = 180.0
POLL_SECONDS: Final = 0.005
TICK_SECONDS: Final = 0.01
"""Between two bunches of events."""
WIDTH: Final = 150
USERS: Final = 2_000
"""Who send events, in each partition."""
ITEMS: Final = 20_000


class Opened(NamedTuple):
    """One line of a worker about the partitions it restored."""

    partitions: frozenset[int]
    records: int
    seconds: float


def opened(log: str) -> list[Opened]:
    """Every restore that a worker's log tells of."""
    return [
        Opened(
            frozenset(map(int, found["partitions"].split(","))),
            int(found["records"]),
            float(found["seconds"]),
        )
        for found in OPENED.finditer(log)
    ]


class Fleet:
    """Workers by name, started and ended one by one."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self._folder = folder
        self._children: dict[str, ChildWorker] = {}
        self._ended: list[ChildWorker] = []
        self._count = 0

    def start(self, name: str, **changes: Any) -> ChildWorker:
        """Start a worker; `changes` of its settings."""
        self._count += 1
        # The supervisor removes the folder of the log.
        folder = self._folder / f"{name}.{self._count}"
        folder.mkdir(parents=True)
        settings = Settings(**(self.settings.model_dump(exclude_unset=True) | {"worker_port": 0} | changes))
        child = ChildWorker(settings, folder)
        self._children[name] = child
        return child

    async def end(self, name: str, how: signal.Signals = signal.SIGTERM) -> float:
        """End a worker by a signal; seconds until its process was gone."""
        child, started = self._children.pop(name), time.monotonic()
        os.kill(child.pid, how)
        while not is_gone(child.pid):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(POLL_SECONDS)
        # Its supervisor takes up to 0.2 s more, for which no restart has to wait.
        child.let_go()
        self._ended.append(child)
        return time.monotonic() - started

    async def opened(self, *names: str) -> list[list[Opened]]:
        """Wait until these workers hold partitions; what each restored.

        Raises:
            BenchmarkError: it takes too long.
            stream.child.ChildEnded: a worker ended by itself.
        """
        deadline = time.monotonic() + START_SECONDS
        while True:
            found = [opened(self._children[name].log()) for name in names]
            if all(found):
                return found
            for name in names:
                self._children[name].check()
            if time.monotonic() > deadline:
                log = self._children[names[0]].log()[-3000:]
                message = f"no partitions after {START_SECONDS:.0f} s\n{log}"
                raise BenchmarkError(message)
            await asyncio.sleep(0.02)

    def pids(self) -> list[int]:
        """Process ids of the running workers."""
        return [child.pid for child in self._children.values()]

    def check(self) -> None:
        """Raise if a worker ended by itself."""
        for child in self._children.values():
            child.check()

    def stop(self) -> None:
        """End all."""
        for child in self._children.values():
            child.let_go()
        for child in (*self._children.values(), *self._ended):
            child.stop()
        self._children.clear()
        self._ended.clear()


@contextmanager
def fleet(settings: Settings, folder: Path) -> Iterator[Fleet]:
    """Workers that do not outlive the block."""
    made = Fleet(settings, folder)
    try:
        yield made
    finally:
        made.stop()


def console() -> Console:
    """Where results go; as wide as the lines are, where it is no terminal."""
    made = Console()
    if not made.is_terminal:
        made.width = WIDTH
    return made


@contextmanager
def broker() -> Iterator[tuple[str, Broker | None]]:
    """A broker of our own, or the one in FRESHSLATE_BROKER, of whose process and disk nothing is known."""
    given = os.environ.get("FRESHSLATE_BROKER")
    if given:
        yield given, None
        return
    with Broker.start() as started:
        yield started.address, started


def is_gone(pid: int) -> bool:
    """Whether a process has ended, though its parent may not have asked yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in "ZX"


class Answer(NamedTuple):
    """One slate, as the reader saw it."""

    at: float
    """Epoch seconds when it was read."""
    partition: int
    latency: float
    """Seconds since the event's own time."""


class _Trigger(msgspec.Struct):
    time: int


class _Slate(msgspec.Struct):
    trigger: _Trigger


class Slates:
    """Reads every committed slate as it comes."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._decoder = msgspec.json.Decoder(_Slate)
        self.answers: list[Answer] = []

    async def run(self) -> None:
        """Read for ever."""
        while True:
            fetched = await self._consumer.getmany(timeout_ms=200)
            now = time.time()
            self.answers += [
                Answer(now, tp.partition, now - self._decoder.decode(record.value).trigger.time / 1000)
                for tp, records in fetched.items()
                for record in records
            ]

    async def first(self, *, after: float, seconds: float = START_SECONDS) -> Answer:
        """The first slate read after a moment, epoch seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for answer in self.answers:
                if answer.at > after:
                    return answer
            await asyncio.sleep(POLL_SECONDS)
        message = f"no slate within {seconds:.0f} s"
        raise BenchmarkError(message)


@asynccontextmanager
async def slates(settings: Settings) -> AsyncIterator[Slates]:
    """A reader of the slates that are published from now on."""
    tps = [TopicPartition(settings.slates_topic, p) for p in range(settings.partitions)]
    async with AIOKafkaConsumer(
        bootstrap_servers=settings.broker, isolation_level="read_committed", enable_auto_commit=False
    ) as consumer:
        consumer.assign(tps)
        await consumer.seek_to_end(*tps)
        for tp in tps:
            await consumer.position(tp)
        reader = Slates(consumer)
        async with _running(reader.run()):
            yield reader


class Load:
    """Sends events at a steady rate.

    Args:
        settings: of the workers.
        producer: started.
        rate: events per second.
        shoppers: what to send, at the moment it is sent; without it clicks, in turn to each partition.
    """

    def __init__(
        self, settings: Settings, producer: AIOKafkaProducer, rate: float, shoppers: Iterator[Event] | None
    ) -> None:
        self._settings = settings
        self._producer = producer
        self._rate = rate
        self._shoppers = shoppers
        self.sent = 0

    async def run(self) -> None:
        """Send for ever; what was held up is caught up on."""
        started = time.monotonic()
        while True:
            due = int(self._rate * (time.monotonic() - started))
            while self.sent < due:
                await self.send()
            await asyncio.sleep(TICK_SECONDS)

    async def send(self) -> None:
        """Send one event that happens now."""
        now, partition = time.time_ns() // 1_000_000, None
        if self._shoppers is None:
            partition = self.sent % self._settings.partitions
            event = click(self.sent, partition, now)
        else:
            event = structs.replace(next(self._shoppers), time=now)
        await self._producer.send(
            self._settings.input_topics[0],
            encode_event(event),
            key=event.user_id.encode(),
            partition=partition,
        )
        self.sent += 1


def click(number: int, partition: int, now: int) -> Event:
    """A click of one of the users who belong to a partition here, on a skewed choice of items."""
    spread = (number * 2_654_435_761) % (1 << 32)
    return Event(
        event_id=f"c{now}-{number}",
        type="click",
        user_id=f"{partition}-{spread % USERS}",
        time=now,
        items=(EventItem(f"i{int(ITEMS * (spread / (1 << 32)) ** 2)}"),),
    )


@asynccontextmanager
async def load(
    settings: Settings, rate: float, *, shoppers: Iterator[Event] | None = None
) -> AsyncIterator[Load]:
    """Events at so many a second, for as long as the block lasts; a rate of 0 sends nothing by itself."""
    async with AIOKafkaProducer(bootstrap_servers=settings.broker, linger_ms=2, acks="all") as producer:
        made = Load(settings, producer, rate, shoppers)
        async with _running(made.run() if rate else asyncio.sleep(0)):
            yield made


@asynccontextmanager
async def _running(work: Any) -> AsyncIterator[None]:
    """A task that does not outlive the block; its error comes out at the end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        if not task.done():
            task.cancel()
        results = await asyncio.gather(task, return_exceptions=True)
    for error in results:
        if isinstance(error, Exception):
            raise error


def longest_gaps(answers: Iterable[Answer], *, since: float, until: float, partitions: int) -> list[float]:
    """By partition, the longest time without a slate between two moments, seconds; its edges count too."""
    times: dict[int, list[float]] = defaultdict(list)
    for answer in answers:
        if since <= answer.at <= until:
            times[answer.partition].append(answer.at)
    return [
        max(later - earlier for earlier, later in pairwise([since, *sorted(times[partition]), until]))
        for partition in range(partitions)
    ]


def quantile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of them does not exceed.

    >>> quantile([3.0, 1.0, 2.0], 0.5)
    2.0
    """
    if not values:
        message = "no values"
        raise BenchmarkError(message)
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
