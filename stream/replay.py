"""Sends a file's events to the input topics, as their producers would have.

The record's Kafka timestamp is the event's time, since that is what the engine takes as its clock: a
replay at any speed then decides as the day itself did. Order is kept per user and topic.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner
from msgspec import structs

from state.errors import FreshslateError
from state.event import TOPIC_TYPES, Event
from stream.codecs import encode_event
from stream.config import Settings
from stream.event_file import EventSource, Span
from stream.topics import TopicState, describe

Times: TypeAlias = Literal["shift", "keep"]

BATCH_BYTES: Final = 512 << 10
"""Largest batch sent; below the 1 MiB that a topic takes by default."""
ROUND_EVENTS: Final = 4000
"""After so many events all partitions are sent, so that none runs far ahead of the others in time."""
IN_FLIGHT: Final = 64
"""Batches sent and not yet acknowledged."""
TICK_SECONDS: Final = 0.005
"""Paced events are sent up to so much early, together."""
PROGRESS_SECONDS: Final = 0.1
USERS_CACHED: Final = 1 << 16


class ReplayError(FreshslateError):
    """The replay cannot be done as asked; nothing was sent, or the broker stopped it."""


class Progress(NamedTuple):
    """How far a replay is."""

    sent: int
    """Events acknowledged or on their way."""
    size: int
    """Their bytes, encoded."""
    time: int
    """Event time of the latest one, as sent: epoch milliseconds."""


class ReplayReport(NamedTuple):
    """What a replay did."""

    sent: int
    """Events, all acknowledged by the broker."""
    size: int
    """Their bytes, encoded."""
    rejects: Mapping[str, int]
    """Lines that gave no event, by reason."""
    seconds: float
    first: int | None
    """Earliest event time as sent, epoch milliseconds; None without an event."""
    last: int | None


async def replay(
    settings: Settings,
    source: EventSource,
    *,
    speed: float | None = None,
    times: Times = "shift",
    on_progress: Callable[[Progress], None] | None = None,
) -> ReplayReport:
    """Send all events of `source` to the input topics of `settings`.

    Args:
        settings: Says where: broker and inputs.
        source: The events. Reading it blocks the event loop for short times.
        speed: How many times faster than the events' own times; None for as fast as it goes.
        times: `shift` moves all event times by one constant, so that the last event happens now, or with a
            speed when it is sent. `keep` sends them as they are.
        on_progress: Called some times a second.

    Raises:
        ReplayError: The times cannot be shifted (a pipe), Kafka would delete the events for their age,
            a topic is missing, or the broker refuses a batch.
        BrokerUnreachableError: No broker answers.
    """
    if speed is not None and not speed > 0:
        message = f"speed must be above 0, not {speed:g}"
        raise ReplayError(message)
    topics = await _topics(settings)
    offset = _checked_offset(source.span(), topics, speed, times)
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.broker,
        client_id=f"{settings.app_id}-replay",
        enable_idempotence=True,
        max_batch_size=BATCH_BYTES,
        max_request_size=8 << 20,
    )
    sender = _Sender(producer, Router(settings, topics), on_progress)
    started = time.monotonic()
    try:
        await producer.start()
        await _send_all(sender, source, offset, speed)
    except KafkaError as error:
        message = f"the broker stopped the replay: {error!r}"
        raise ReplayError(message) from error
    finally:
        await producer.stop()
        sender.forget()
    return ReplayReport(
        sender.sent,
        sender.size,
        dict(source.rejects.counts),
        time.monotonic() - started,
        sender.first,
        sender.last,
    )


async def _topics(settings: Settings) -> Mapping[str, TopicState]:
    topics = await describe(settings.broker, settings.input_topics)
    missing = [name for name in settings.input_topics if name not in topics]
    if missing:
        message = f"{', '.join(missing)}: no such topic; run `freshslate topics create`"
        raise ReplayError(message)
    return topics


def _checked_offset(
    span: Span | None, topics: Mapping[str, TopicState], speed: float | None, times: Times
) -> int:
    """What to add to every event time, after a look at whether Kafka keeps the result."""
    now = time.time_ns() // 1_000_000
    offset = _offset(span, speed, now) if times == "shift" else 0
    if span is not None:
        # A shifted event is never ahead of the moment it is sent.
        last = span.last if times == "keep" else now
        for name, state in topics.items():
            refuse_unkept(span.first + offset, last, now, name, state)
    return offset


def _offset(span: Span | None, speed: float | None, now: int) -> int:
    if span is None:
        message = (
            "cannot shift the times of a pipe or of a file without events: the last time must be known "
            "before the first event is sent; use --times keep, or a file"
        )
        raise ReplayError(message)
    return shift_of(span, speed, now)


def shift_of(span: Span, speed: float | None, now: int) -> int:
    """What to add to every event time, milliseconds.

    The last event happens when it is sent: now at full speed, else once its turn comes. Slower than
    real time the first event does, as otherwise events would be sent before they happen.
    """
    length = span.last - span.first
    if speed is None:
        return now - span.last
    return now + min(round(length / speed), length) - span.last


def refuse_unkept(first: int, last: int, now: int, topic: str, state: TopicState) -> None:
    """Check that Kafka will keep events of `first` to `last`.

    Raises:
        ReplayError: The earliest is older than the topic's retention, or the latest further ahead of now
            than the broker takes.
    """
    retention = int(state.config.get("retention.ms", -1))
    age = now - first
    if "delete" in state.config.get("cleanup.policy", "delete") and 0 <= retention < age:
        message = (
            f"the events reach back {_days(age)} days, and {topic} keeps {_days(retention)}: Kafka would "
            "delete them at once. Create the topic with FRESHSLATE_EVENTS_RETENTION_SECONDS=-1, or run "
            f"kafka-configs --alter --entity-type topics --entity-name {topic} --add-config retention.ms=-1"
        )
        raise ReplayError(message)
    ahead = int(state.config.get("message.timestamp.after.max.ms", last))
    if last - now > ahead:
        message = (
            f"the latest event is {_days(last - now)} days ahead of now, and {topic} takes {_days(ahead)} "
            "(message.timestamp.after.max.ms)"
        )
        raise ReplayError(message)


def _days(milliseconds: int) -> str:
    return f"{milliseconds / 86_400_000:.1f}"


class Router:
    """Where an event goes: the input that its type belongs to, and there its user's partition.

    With one input every event goes to it; with several, to the one named after the event's type
    (`state.event.TOPIC_TYPES`), else to the first.
    """

    def __init__(self, settings: Settings, topics: Mapping[str, TopicState]) -> None:
        self._default = settings.input_topics[0]
        self._by_type = {
            TOPIC_TYPES[name]: settings.topic_prefix + name
            for name in reversed(settings.inputs)
            if name in TOPIC_TYPES and len(settings.inputs) > 1
        }
        partitions = {name: list(range(state.partitions)) for name, state in topics.items()}
        partitioner = DefaultPartitioner()

        # murmur2 as in the Java client, so that all producers agree; in Python it costs 5 us.
        @lru_cache(USERS_CACHED)
        def partition(topic: str, key: bytes) -> int:
            chosen: int = partitioner(key, partitions[topic], partitions[topic])
            return chosen

        self._partition = partition

    def __call__(self, event_type: str, key: bytes) -> tuple[str, int]:
        """Topic and partition."""
        topic = self._by_type.get(event_type, self._default)
        return topic, self._partition(topic, key)


class _Sender:
    """Collects events into a batch per partition, and keeps count of what is on its way."""

    def __init__(self, producer: Any, route: Router, on_progress: Callable[[Progress], None] | None) -> None:
        self._producer = producer
        self._route = route
        self._on_progress = on_progress
        self._batches: dict[tuple[str, int], Any] = {}
        self._waiting = 0
        self._in_flight: set[asyncio.Future[Any]] = set()
        self._told = time.monotonic()
        self.sent = 0
        self.size = 0
        self.first: int | None = None
        self.last: int | None = None

    async def add(self, event: Event) -> None:
        """Put one event into its batch; sends where that is full, or a round is."""
        key = event.key.encode()
        value = encode_event(event)
        place = self._route(event.type, key)
        batch = self._batches.get(place) or self._new_batch(place)
        if batch.append(timestamp=event.time, key=key, value=value) is None:
            await self._send(place)
            # An empty batch takes one record of any size; the broker judges it.
            self._new_batch(place).append(timestamp=event.time, key=key, value=value)
        self.size += len(value)
        self.sent += 1
        self._waiting += 1
        if self.first is None or self.last is None:
            self.first = self.last = event.time
        self.first = min(self.first, event.time)
        self.last = max(self.last, event.time)
        if self._waiting >= ROUND_EVENTS:
            await self.flush()

    async def flush(self) -> None:
        """Send every batch."""
        for place in list(self._batches):
            await self._send(place)
        self._waiting = 0
        # Lets the producer write what it was given while the next events are encoded.
        await asyncio.sleep(0)
        if time.monotonic() - self._told > PROGRESS_SECONDS:
            self._tell()

    async def finish(self) -> None:
        """Send the rest, and wait for the broker to have everything."""
        await self.flush()
        await asyncio.gather(*self._in_flight)
        self._tell()

    def forget(self) -> None:
        """Leave what is on its way to its fate, after an error that was told already."""
        for future in self._in_flight:
            if future.done() and not future.cancelled():
                future.exception()

    def _tell(self) -> None:
        self._told = time.monotonic()
        if self._on_progress is not None and self.last is not None:
            self._on_progress(Progress(self.sent, self.size, self.last))

    def _new_batch(self, place: tuple[str, int]) -> Any:
        batch = self._producer.create_batch()
        self._batches[place] = batch
        return batch

    async def _send(self, place: tuple[str, int]) -> None:
        batch = self._batches.pop(place)
        batch.close()
        topic, partition = place
        self._in_flight.add(await self._producer.send_batch(batch, topic, partition=partition))
        while len(self._in_flight) >= IN_FLIGHT:
            done, self._in_flight = await asyncio.wait(self._in_flight, return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                future.result()


async def _send_all(sender: _Sender, source: EventSource, offset: int, speed: float | None) -> None:
    events = _moved(iter(source), offset)
    if speed is None:
        for event in events:
            await sender.add(event)
    else:
        await _paced(sender, events, speed)
    await sender.finish()


def _moved(events: Iterator[Event], offset: int) -> Iterator[Event]:
    if not offset:
        return events
    return (structs.replace(event, time=event.time + offset) for event in events)


async def _paced(sender: _Sender, events: Iterator[Event], speed: float) -> None:
    """Send each event at its distance from the first one, `speed` times faster; late ones at once."""
    start = time.monotonic()
    first: int | None = None
    for event in events:
        if first is None:
            first = event.time
        due = start + (event.time - first) / 1000 / speed
        wait = due - time.monotonic()
        if wait > TICK_SECONDS:
            await sender.flush()
            await asyncio.sleep(wait)
        await sender.add(event)
