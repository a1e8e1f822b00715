"""Follows topics, from some time back on: no consumer group, so any number of processes may run."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from stream.config import Settings
from stream.connection import arguments, connection
from stream.transport import FETCH_WAIT_MS

log = logging.getLogger(__name__)

_POLL_RECORDS: Final = 500
"""Read at once: short enough that a request need not wait."""
_POLL_MS: Final = 200

Records = Sequence[ConsumerRecord[bytes | None, bytes | None]]


class Followed(NamedTuple):
    """How one topic is followed."""

    since: int | None
    """Timestamp of the first records, epoch milliseconds; None: from the topic's beginning."""
    take: Callable[[Records], None]
    """Given records of one partition, in offset order."""


class Follower:
    """Hands on every committed record of some topics.

    Args:
        settings: say where.
        topics: by name.
    """

    def __init__(self, settings: Settings, topics: Mapping[str, Followed]) -> None:
        self._settings = settings
        self._topics = topics
        self._behind: dict[TopicPartition, Callable[[], int]] = {}
        self.caught_up = asyncio.Event()
        """Set once everything that was there at the start has been read."""

    async def run(self) -> None:
        """Follow the topics for ever.

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
                    log.info("caught up with %s", ", ".join(self._topics))
                    self.caught_up.set()
                fetched = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_POLL_RECORDS)
                self.take(fetched)
                # What was fetched ahead is handed over without waiting: requests have their turn here.
                await asyncio.sleep(0)

    def take(self, fetched: Mapping[TopicPartition, Records]) -> None:
        """Hand records on."""
        for tp, records in fetched.items():
            self._topics[tp.topic].take(records)

    def lag(self) -> dict[str, int]:
        """By topic, the offsets that are committed, as of the latest fetch, and not read yet."""
        behind: dict[str, int] = {}
        for tp, left in self._behind.items():
            behind[tp.topic] = behind.get(tp.topic, 0) + left()
        return behind

    async def _assign(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        """Begin where each topic is to begin; returns where the partitions end now."""
        tps: list[TopicPartition] = []
        for topic in self._topics:
            await consumer._client._wait_on_metadata(topic)
            tps += [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(tps)
        ends: dict[TopicPartition, int] = dict(await consumer.end_offsets(tps))
        firsts = await consumer.beginning_offsets(tps)
        asked = {tp: since for tp in tps if (since := self._topics[tp.topic].since) is not None}
        found = await consumer.offsets_for_times(asked) if asked else {}
        for tp in tps:
            start = firsts[tp]
            if tp in asked:
                start = ends[tp] if found[tp] is None else found[tp].offset
            consumer.seek(tp, start)
            self._behind[tp] = _lag_of(consumer, tp, ends[tp])
        return ends


def _lag_of(consumer: AIOKafkaConsumer, tp: TopicPartition, first_end: int) -> Callable[[], int]:
    def behind() -> int:
        end = consumer.last_stable_offset(tp) or first_end
        # The consumer's `position` is this, but may wait, and nothing may wait in a scrape.
        passed = consumer._subscription.subscription.assignment.state_value(tp)._position or 0
        return max(0, end - passed)

    return behind
