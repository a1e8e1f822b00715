"""Follows `slates` into the store, from some time back on; no consumer group, so any number may run."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from stream.api.store import SlateStore
from stream.config import Settings
from stream.connection import arguments, connection
from stream.reading import is_heartbeat
from stream.times import now_ms
from stream.transport import FETCH_WAIT_MS

log = logging.getLogger(__name__)

_POLL_RECORDS: Final = 500
"""Read at once: short enough that a request need not wait."""
_POLL_MS: Final = 200


class SlateFollower:
    """Keeps a store equal to the topic.

    Args:
        settings: say where, and how far back.
        store: that is filled.
    """

    def __init__(self, settings: Settings, store: SlateStore) -> None:
        self._settings = settings
        self._store = store
        self._behind: dict[TopicPartition, Callable[[], int]] = {}
        self.caught_up = asyncio.Event()
        """Set once everything that was there at the start has been read."""
        self.read = 0
        """Records read since the start."""

    async def run(self) -> None:
        """Follow the topic for ever.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        consumer = AIOKafkaConsumer(
            **arguments(connection(self._settings)),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_partition_fetch_bytes=4 << 20,
        )
        async with consumer:
            waiting = await self._assign(consumer)
            while True:
                waiting = {tp: end for tp, end in waiting.items() if await consumer.position(tp) < end}
                if not waiting and not self.caught_up.is_set():
                    log.info("slates caught up: %d users, %d bytes", len(self._store), self._store.size)
                    self.caught_up.set()
                self.take(await consumer.getmany(timeout_ms=_POLL_MS, max_records=_POLL_RECORDS))
                # What was fetched ahead is handed over without waiting: requests have their turn here.
                await asyncio.sleep(0)

    def take(self, fetched: Mapping[TopicPartition, Sequence[Any]]) -> None:
        """Put records into the store, heartbeats left out."""
        for records in fetched.values():
            self.read += len(records)
            for record in records:
                if is_heartbeat(record) or record.key is None:
                    continue
                key = record.key.decode(errors="replace")
                if record.value is None:
                    self._store.drop(key)
                    continue
                try:
                    self._store.put(key, record.value, record.timestamp)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    log.warning("%s at %d is no slate: %s", record.topic, record.offset, error)

    def lag(self) -> int:
        """Offsets that are committed, as of the latest fetch, and not read yet."""
        return sum(behind() for behind in self._behind.values())

    async def _assign(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        """Begin where the settings say; returns where the partitions end now."""
        topic = self._settings.slates_topic
        await consumer._client._wait_on_metadata(topic)
        tps = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(tps)
        ends: dict[TopicPartition, int] = dict(await consumer.end_offsets(tps))
        begin = max(0, now_ms() - self._settings.api_store_seconds * 1000)
        for tp, found in (await consumer.offsets_for_times(dict.fromkeys(tps, begin))).items():
            consumer.seek(tp, ends[tp] if found is None else found.offset)
            self._behind[tp] = _lag_of(consumer, tp, ends[tp])
        return ends


def _lag_of(consumer: AIOKafkaConsumer, tp: TopicPartition, first_end: int) -> Callable[[], int]:
    def behind() -> int:
        end = consumer.last_stable_offset(tp) or first_end
        # The consumer's `position` is this, but may wait, and nothing may wait in a scrape.
        passed = consumer._subscription.subscription.assignment.state_value(tp)._position or 0
        return max(0, end - passed)

    return behind
