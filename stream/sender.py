"""Sends events to the input topics, as a shop's own producers would: by user, in batches, idempotent."""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from state.event import TOPIC_TYPES, Event
from stream.codecs import encode_event
from stream.config import Settings
from stream.connection import arguments, compression, connection
from stream.topics import TopicState

BATCH_BYTES: Final = 512 << 10
"""Largest batch sent; below the 1 MiB that a topic takes by default."""
ROUND_EVENTS: Final = 4000
"""After so many events all partitions are sent, so that none runs far ahead of the others in time."""
IN_FLIGHT: Final = 64
"""Batches sent and not yet acknowledged."""
PROGRESS_SECONDS: Final = 0.1
USERS_CACHED: Final = 1 << 16


class Progress(NamedTuple):
    """How far the sending is."""

    sent: int
    """Events acknowledged or on their way."""
    size: int
    """Their bytes, encoded."""
    time: int
    """Event time of the latest one, as sent: epoch milliseconds."""


def event_producer(settings: Settings, name: str) -> AIOKafkaProducer:
    """A producer for `Sender`, not yet started.

    Args:
        settings: Say where.
        name: What sends, for the client id.
    """
    return AIOKafkaProducer(
        **arguments(connection(settings)),
        client_id=f"{settings.app_id}-{name}",
        enable_idempotence=True,
        max_batch_size=BATCH_BYTES,
        max_request_size=8 << 20,
        **compression(settings),
    )


class Router:
    """Where an event goes: the input that its type belongs to, and there its user's partition.

    With one input every event goes to it; with several, to the one named after the event's type
    (`state.event.TOPIC_TYPES`), else to the first. Inputs in another vendor's format get none.
    """

    def __init__(self, settings: Settings, topics: Mapping[str, TopicState]) -> None:
        self._default = settings.input_topics[0]
        self._by_type = {
            TOPIC_TYPES[name]: settings.topic_prefix + name
            for name in reversed(settings.inputs)
            if name in TOPIC_TYPES and len(settings.inputs) > 1 and self._is_own(settings, name)
        }
        partitions = {name: list(range(state.partitions)) for name, state in topics.items()}
        partitioner = DefaultPartitioner()

        # murmur2 as in the Java client, so that all producers agree; in Python it costs 5 us.
        @lru_cache(USERS_CACHED)
        def partition(topic: str, key: bytes) -> int:
            chosen: int = partitioner(key, partitions[topic], partitions[topic])
            return chosen

        self._partition = partition

    @staticmethod
    def _is_own(settings: Settings, name: str) -> bool:
        return settings.topic_prefix + name not in settings.formats

    def __call__(self, event_type: str, key: bytes) -> tuple[str, int]:
        """Topic and partition."""
        topic = self._by_type.get(event_type, self._default)
        return topic, self._partition(topic, key)


class Sender:
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
