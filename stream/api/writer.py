"""Writes what requests bring: at most so much at a time, and nothing counts until the brokers have it."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from aiokafka.errors import KafkaError

from state.event import Event
from stream.api.problem import problem
from stream.codecs import encode_event
from stream.config import Settings
from stream.sender import Router
from stream.topics import TopicState

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = "2"
"""What a client is asked to wait before it tries again."""


class Producer(Protocol):
    """What of `AIOKafkaProducer` is used."""

    async def send(
        self, topic: str, value: bytes | None, *, key: bytes, partition: int | None, timestamp_ms: int | None
    ) -> "asyncio.Future[Any]":
        """Take a record; the future is done once the brokers have it."""
        ...


class Row(NamedTuple):
    """A record to be written."""

    topic: str
    partition: int | None
    """None: by the key."""
    key: bytes
    value: bytes | None
    timestamp: int | None
    """Epoch milliseconds; None: now."""


class Writer:
    """Sends rows and waits for the brokers.

    Args:
        producer: started, idempotent, with acknowledgement by all replicas in sync.
        settings: say how much may wait, and for how long.
        topics: the input topics, as they are.
    """

    def __init__(self, producer: Producer, settings: Settings, topics: Mapping[str, TopicState]) -> None:
        self._producer = producer
        self._settings = settings
        self._route = Router(settings, topics)
        self.waiting = 0
        """Rows that the brokers have not acknowledged yet."""

    def row_of(self, event: Event, now: int) -> Row:
        """The record of an event: by its type's input topic and its user's partition."""
        key = event.key.encode()
        topic, partition = self._route(event.type, key)
        return Row(topic, partition, key, encode_event(event), now)

    async def write(self, rows: Sequence[Row]) -> list[bool]:
        """Write rows, each user's in order; says of each whether the brokers are known to have it.

        One that is not may get there all the same: whoever sends it again, with the same event id, is safe.

        Raises:
            Problem: so much waits already that nothing of this was sent.
        """
        if self.waiting + len(rows) > self._settings.api_waiting_events:
            detail = f"{self.waiting} events wait for Kafka; nothing of this request was taken: try again"
            raise problem("overloaded", detail, Retry_After=RETRY_SECONDS)
        if not rows:
            return []
        self.waiting += len(rows)
        futures: list[asyncio.Future[Any]] = []
        try:
            async with asyncio.timeout(self._settings.api_ack_seconds):
                for row in rows:
                    futures.append(
                        await self._producer.send(
                            row.topic,
                            row.value,
                            key=row.key,
                            partition=row.partition,
                            timestamp_ms=row.timestamp,
                        )
                    )
                await asyncio.wait(futures)
        except (TimeoutError, KafkaError) as error:
            log.warning("Kafka did not take %d of %d records: %r", _lost(futures, rows), len(rows), error)
        finally:
            self._release(len(rows) - len(futures), futures)
        return [_is_written(future) for future in futures] + [False] * (len(rows) - len(futures))

    def _release(self, never_sent: int, futures: Sequence["asyncio.Future[Any]"]) -> None:
        """Count what still is on its way as waiting, until it is not."""
        self.waiting -= never_sent
        for future in futures:
            if future.done():
                self._arrived(future)
            else:
                future.add_done_callback(self._arrived)

    def _arrived(self, future: "asyncio.Future[Any]") -> None:
        self.waiting -= 1
        if not future.cancelled():
            future.exception()  # told already, by what was answered


def _is_written(future: "asyncio.Future[Any]") -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _lost(futures: Sequence["asyncio.Future[Any]"], rows: Sequence[Row]) -> int:
    return len(rows) - sum(map(_is_written, futures))
