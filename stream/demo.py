"""The demo: a broker, one worker process, real clicks; and what became of every one of them.

Nothing of it stays: the broker, the worker and their folders end with this process, also when it is
interrupted or killed; on a broker that was given, topics of a unique prefix are made and removed.
"""

import asyncio
import contextlib
import json
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import DeleteGroupsRequest
from msgspec import Struct, structs, to_builtins

from state.errors import FreshslateError
from state.event import Event
from stream.audit import Report, audit
from stream.broker import broker_for
from stream.child import ChildWorker
from stream.codecs import decode_slate, encode_event
from stream.config import Settings, load_settings
from stream.event_file import EventList
from stream.interrupt import Interruptible
from stream.replay import Router, replay
from stream.scene import CREDIT, Scene, load_sample, make_scene
from stream.screens.demo import DemoScreen
from stream.tally import Tally
from stream.topics import admin_client, create_topics, describe, topic_specs
from stream.work import Engine
from stream.worker import event_rules, step_rules

START_SECONDS: Final = 240.0
"""How long the worker may take to its first slate; compiling takes some 40 s on a slow machine."""
ANSWER_SECONDS: Final = 20.0
"""A slate that does not come for so long, while no other one comes either, is lost."""
STAGES: Final = (
    ("opened partitions", "the worker reads the past"),
    ("models caught up", "the worker joins the group"),
    ("", "the worker starts and compiles its kernels (the first time 10-40 s)"),
)
"""What the worker does, by the latest of these lines in its log."""


class DemoOptions(NamedTuple):
    """What the demo was asked for."""

    seconds: float
    """Length of the live part."""
    speed: float = 1.0
    """2 is twice as many events a second."""
    json: Path | None = None
    """Where the result is written."""
    keep: bool = False
    """Leave everything running at the end, until Ctrl-C."""


class DemoResult(Struct, kw_only=True):
    """What the demo found; written as JSON."""

    events: int
    live_events: int
    """Those whose latency was measured; the others were the past."""
    slates: int
    event_to_slate_ms: dict[str, float | None]
    dead_letters: int
    duplicates: int
    lost: int
    rewards: int
    seconds: float
    """Length of the live part."""
    start_seconds: float
    """From nothing to the first slate."""
    audit: dict[str, Any]
    version: str

    @property
    def is_good(self) -> bool:
        """Whether every event was answered exactly once."""
        is_complete = not (self.lost or self.duplicates or self.dead_letters) and self.slates > 0
        return is_complete and bool(self.audit["is_clean"])


def run_demo(options: DemoOptions, screen: DemoScreen) -> bool:
    """Run the demo; whether every event was answered exactly once.

    Raises:
        FreshslateError: The worker ended, or never answered.
        BrokerError: No broker can be started.
        KeyboardInterrupt: Somebody wants it to end.
    """
    given = load_settings()
    started = time.perf_counter()
    screen.title(CREDIT)
    with Interruptible() as interruptible, _folder() as folder:
        with screen.working():
            screen.doing("starting Kafka")
            broker = broker_for(given.broker if given.is_broker_given else None, on_progress=screen.doing)
            with broker as address:
                screen.done("Kafka", f"answers at {address}")
                settings = _settings(address, folder)
                demo = _Demo(settings, options, screen, started)
                result = interruptible.run(demo.run(folder, removes_topics=given.is_broker_given))
        return result.is_good


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="freshslate-demo-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def _settings(address: str, folder: Path) -> Settings:
    """The settings of the environment, with a place of our own."""
    name = f"demo-{uuid.uuid4().hex[:8]}"
    return load_settings(
        broker=address,
        topic_prefix=f"{name}.",
        app_id=name,
        instance_id=None,
        data_dir=folder / "data",
        worker_port=0,
        log_level="info",
    )


class _Demo:
    """One run on a broker that answers."""

    def __init__(self, settings: Settings, options: DemoOptions, screen: DemoScreen, started: float) -> None:
        self._settings = settings
        self._options = options
        self._screen = screen
        self._started = started
        self._scene: Scene = make_scene(load_sample(), options.seconds, speed=options.speed)
        self._tally = Tally(settings.slate_types)
        self._shown: dict[str, Event] = {}

    async def run(self, folder: Path, *, removes_topics: bool) -> DemoResult:
        """Topics, worker, past, live, audit."""
        settings = self._settings
        try:
            await create_topics(settings.broker, topic_specs(settings))
            with ChildWorker(settings, folder) as worker:
                main = self._walk(worker)
                result = await first_error(main, self._read(), self._watch(worker))
                self._tell(result)
                if self._options.keep:
                    await self._stay(worker)
        finally:
            self._screen.running("cleaning up")
            if removes_topics:
                await _remove(settings)
        return result

    async def _walk(self, worker: ChildWorker) -> DemoResult:
        scene, screen, tally = self._scene, self._screen, self._tally
        for event in scene.past:
            tally.sent(event.event_id, event.type)
        await replay(self._settings, EventList(scene.past))
        await self._first_slate(worker)
        start_seconds = time.perf_counter() - self._started
        screen.done("worker", f"answers, {start_seconds:.0f} s after the start")
        await self._answered()
        screen.done("past", f"{len(scene.past)} events of 20 shoppers, learned at full speed")
        screen.legend(scene.shopper)
        live_start = time.perf_counter()
        async with self._producer() as send:
            await self._play(send)
        live_seconds = time.perf_counter() - live_start
        await self._answered()
        screen.explain()
        screen.doing("checking the whole log: folding every event once more in this process")
        return self._result(await self._audit(), live_seconds, start_seconds)

    async def _first_slate(self, worker: ChildWorker) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._tally.slates:
            log = worker.log()
            self._screen.doing(next(text for line, text in STAGES if line in log))
            if time.monotonic() > deadline:
                message = (
                    f"no slate came within {START_SECONDS:.0f} s; the worker's log ends with:\n{log[-2000:]}"
                )
                raise FreshslateError(message)
            await asyncio.sleep(0.1)

    async def _answered(self) -> None:
        """Wait for every slate asked for, as long as any come."""
        slates, since = self._tally.slates, time.monotonic()
        while self._tally.waiting and time.monotonic() - since < ANSWER_SECONDS:
            await asyncio.sleep(0.02)
            if self._tally.slates > slates:
                slates, since = self._tally.slates, time.monotonic()

    async def _play(self, send: Callable[[Event], Coroutine[Any, Any, None]]) -> None:
        """Send every cue when it is due, at its time."""
        start = time.perf_counter()
        for number, cue in enumerate(self._scene.cues, 1):
            wait = start + cue.due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            event = structs.replace(cue.event, time=time.time_ns() // 1_000_000)
            if event.user_id == self._scene.shopper:
                self._shown[event.event_id] = event
            await send(event)
            if number % 25 == 1:
                p50 = self._tally.latency().p50 or 0
                left = self._options.seconds - cue.due
                self._screen.running(
                    f"{left:.0f} s left, {self._tally.slates:,} slates, half of them within {p50:.0f} ms"
                )

    @contextlib.asynccontextmanager
    async def _producer(self) -> AsyncIterator[Callable[[Event], Coroutine[Any, Any, None]]]:
        settings = self._settings
        topics = await describe(settings.broker, settings.input_topics)
        route = Router(settings, topics)
        async with AIOKafkaProducer(
            bootstrap_servers=settings.broker, linger_ms=0, enable_idempotence=True
        ) as producer:
            for topic in topics:
                await producer.partitions_for(topic)

            async def send(event: Event) -> None:
                key = event.key.encode()
                topic, partition = route(event.type, key)
                value = encode_event(event)
                self._tally.sent(event.event_id, event.type, at=time.perf_counter())
                await producer.send(topic, value, key=key, partition=partition, timestamp_ms=event.time)

            yield send
            await producer.flush()

    async def _read(self) -> None:
        """Follow slates and dead letters, as a shop would, for ever."""
        settings = self._settings
        async with AIOKafkaConsumer(
            bootstrap_servers=settings.broker,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        ) as consumer:
            topics = (settings.slates_topic, settings.dlq_topic)
            consumer.assign([TopicPartition(t, p) for t in topics for p in range(settings.partitions)])
            while True:
                fetched = await consumer.getmany(timeout_ms=500)
                now = time.perf_counter()
                for tp, records in fetched.items():
                    if tp.topic == settings.dlq_topic:
                        self._tally.dead_letters += len(records)
                        continue
                    for record in records:
                        self._show(record.value, now)

    def _show(self, value: bytes, now: float) -> None:
        slate = decode_slate(value)
        milliseconds = self._tally.read(slate, now)
        event = self._shown.get(slate.trigger.event_id)
        if event is not None and milliseconds is not None:
            self._screen.slate(event, slate, milliseconds)

    async def _watch(self, worker: ChildWorker) -> None:
        while True:
            worker.check()
            await asyncio.sleep(0.1)

    async def _audit(self) -> Report:
        settings = self._settings
        engine = Engine(
            decide=None,  # type: ignore[arg-type]  # an audit looks up what was published
            events=event_rules(settings),
            step=step_rules(settings),
            writer="",
            version=version("freshslate"),
        )
        return await audit(settings, engine)

    def _result(self, report: Report, live_seconds: float, start_seconds: float) -> DemoResult:
        tally = self._tally
        return DemoResult(
            events=tally.events,
            live_events=len(self._scene.cues),
            slates=tally.slates,
            event_to_slate_ms=tally.latency()._asdict(),
            dead_letters=tally.dead_letters,
            duplicates=max(tally.duplicates, report.duplicates),
            lost=max(tally.waiting, report.lost),
            rewards=report.rewards,
            seconds=round(live_seconds, 2),
            start_seconds=round(start_seconds, 2),
            audit={**to_builtins(report), "is_clean": report.is_clean},
            version=version("freshslate"),
        )

    def _tell(self, result: DemoResult) -> None:
        if self._options.json is not None:
            self._options.json.write_text(json.dumps(to_builtins(result), indent=2) + "\n")
        p50, p99 = (f"{value:.0f} ms" if value else "?" for value in result.event_to_slate_ms.values())
        found = result.audit
        rows = {
            "events": f"{result.events:,}: {result.events - result.live_events:,} as the past, then "
            f"{result.live_events:,} live in {result.seconds:.0f} s",
            "slates": f"{result.slates:,}, one for every event that asks for one",
            "event → slate": f"p50 {p50}, p99 {p99}, from send to read_committed",
            "lost": f"{result.lost}",
            "duplicates": f"{result.duplicates}",
            "dead letters": f"{result.dead_letters}",
            "rewards": f"{result.rewards:,}: events about an offered item (the crowd repeats itself)",
            "audit": f"{found['profiles_compared']} profiles folded again from the log: "
            + ("all equal" if found["is_clean"] else f"{found['profiles_different']} differ"),
        }
        self._screen.summary(rows, is_good=result.is_good)

    async def _stay(self, worker: ChildWorker) -> None:
        """Wait for Ctrl-C, which then is a good end."""
        settings = self._settings
        self._screen.kept(
            {
                "FRESHSLATE_BROKER": settings.broker,
                "FRESHSLATE_TOPIC_PREFIX": settings.topic_prefix,
                "FRESHSLATE_APP_ID": settings.app_id,
            },
            self._scene.shopper,
        )
        self._screen.running("running until Ctrl-C")
        with contextlib.suppress(asyncio.CancelledError):
            await self._watch(worker)


async def _remove(settings: Settings) -> None:
    """Remove our topics and our group from a broker that stays."""
    async with admin_client(settings.broker) as admin:
        await admin.delete_topics([spec.name for spec in topic_specs(settings)])
        with contextlib.suppress(KafkaError):
            coordinator = await admin.find_coordinator(settings.app_id)
            # The admin client has no method for this.
            await admin._send_request(DeleteGroupsRequest([settings.app_id]), coordinator)


async def first_error(
    main: Coroutine[Any, Any, DemoResult], *helpers: Coroutine[Any, Any, None]
) -> DemoResult:
    """Run `main` to its end beside helpers that have none; whatever fails first ends all."""
    task = asyncio.create_task(main)
    tasks = [task, *map(asyncio.create_task, helpers)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for ended in done:
            ended.result()
        return task.result()
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
