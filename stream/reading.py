"""Reads topics to their end, as they are now."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from state.event import HEARTBEAT_TENANT, state_key
from stream.connection import Where, arguments

_POLL_MS = 200
_POLL_RECORDS: Final = 200
"""Given out at once: whatever else runs in the same loop has its turn after them."""
_HEARTBEATS: Final = state_key(HEARTBEAT_TENANT, "").encode()
"""Begins the keys of heartbeats, and of no shopper."""


def is_heartbeat(record: ConsumerRecord[bytes | None, bytes | None]) -> bool:
    """Whether a record of an input topic or of `slates` is a worker's heartbeat, or answers one.

    Whatever is made of shoppers' events and slates leaves these out.
    """
    return record.key is not None and record.key.startswith(_HEARTBEATS)


async def read_topic(
    where: Where,
    topic: str,
    *,
    partitions: Collection[int] | None = None,
    last: int | None = None,
    since: int | None = None,
    starts: Mapping[int, int] | None = None,
) -> AsyncGenerator[ConsumerRecord[bytes | None, bytes | None], None]:
    """Yield every record that is in the topic now and is or gets committed, each partition's in offset order.

    Transactions that are open now are waited for, at the longest until their timeout: the markers of a commit
    are written partition by partition after the writer was told of it, and reading up to the last stable
    offset would find one part of a transaction and miss the other.

    Args:
        where: the brokers are.
        topic: to read.
        partitions: the ones to read; all if not given.
        last: how many offsets before its end a partition is read from; from its beginning if not given.
        since: record timestamp from which on to read, epoch milliseconds; instead of `last`.
        starts: partitions to read, each with the offset from which on; instead of all of the above.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer, or has no such topic.
    """
    settings: dict[str, Any] = {"enable_auto_commit": False, "max_partition_fetch_bytes": 8 << 20}
    async with AIOKafkaConsumer(isolation_level="read_committed", **settings, **arguments(where)) as consumer:
        await consumer._client._wait_on_metadata(topic)
        numbers = partitions if starts is None else starts
        if numbers is None:
            numbers = consumer.partitions_for_topic(topic)
        tps = [TopicPartition(topic, partition) for partition in sorted(numbers or ())]
        ends = await high_watermarks(where, tps)
        waiting = set(tps)
        consumer.assign(tps)
        for tp, offset in (await _begins(consumer, ends, last=last, since=since, starts=starts)).items():
            consumer.seek(tp, offset)
        while waiting:
            for records in (
                await consumer.getmany(*waiting, timeout_ms=_POLL_MS, max_records=_POLL_RECORDS)
            ).values():
                for record in records:
                    yield record
            # What was fetched already is handed over without waiting.
            await asyncio.sleep(0)
            # Positions also pass control records, which are never delivered.
            waiting = {tp for tp in waiting if await consumer.position(tp) < ends[tp]}


async def _begins(
    consumer: AIOKafkaConsumer,
    ends: Mapping[TopicPartition, int],
    *,
    last: int | None,
    since: int | None,
    starts: Mapping[int, int] | None,
) -> dict[TopicPartition, int]:
    """Where each partition is read from."""
    if since is not None:
        times = await consumer.offsets_for_times(dict.fromkeys(ends, since))
        return {tp: ends[tp] if found is None else found.offset for tp, found in times.items()}
    firsts: Mapping[TopicPartition, int] = await consumer.beginning_offsets(list(ends))
    if starts is not None:
        return {tp: max(first, min(starts[tp.partition], ends[tp])) for tp, first in firsts.items()}
    return {tp: first if last is None else max(first, ends[tp] - last) for tp, first in firsts.items()}


async def high_watermarks(where: Where, tps: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
    """Offset after the last record of each partition, open transactions included.

    A consumer that reads committed records is told the last stable offset instead.
    """
    async with AIOKafkaConsumer(**arguments(where), enable_auto_commit=False) as consumer:
        ends: Mapping[TopicPartition, int] = await consumer.end_offsets(tps)
        return ends
