"""Reads topics to their end, as they are now."""

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from stream.connection import Where, arguments

_POLL_MS = 200


async def read_topic(
    where: Where,
    topic: str,
    *,
    partitions: Collection[int] | None = None,
    last: int | None = None,
    since: int | None = None,
) -> AsyncIterator[ConsumerRecord[bytes | None, bytes | None]]:
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

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer, or has no such topic.
    """
    settings: dict[str, Any] = {"enable_auto_commit": False, "max_partition_fetch_bytes": 8 << 20}
    async with AIOKafkaConsumer(isolation_level="read_committed", **settings, **arguments(where)) as consumer:
        await consumer._client._wait_on_metadata(topic)
        numbers = consumer.partitions_for_topic(topic) if partitions is None else partitions
        tps = [TopicPartition(topic, partition) for partition in sorted(numbers or ())]
        ends = await high_watermarks(where, tps)
        waiting = set(tps)
        consumer.assign(tps)
        if since is not None:
            for tp, found in (await consumer.offsets_for_times(dict.fromkeys(tps, since))).items():
                consumer.seek(tp, ends[tp] if found is None else found.offset)
        elif last is None:
            await consumer.seek_to_beginning(*tps)
        else:
            for tp, first in (await consumer.beginning_offsets(tps)).items():
                consumer.seek(tp, max(first, ends[tp] - last))
        while waiting:
            for records in (await consumer.getmany(*waiting, timeout_ms=_POLL_MS)).values():
                for record in records:
                    yield record
            # Positions also pass control records, which are never delivered.
            waiting = {tp for tp in waiting if await consumer.position(tp) < ends[tp]}


async def high_watermarks(where: Where, tps: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
    """Offset after the last record of each partition, open transactions included.

    A consumer that reads committed records is told the last stable offset instead.
    """
    async with AIOKafkaConsumer(**arguments(where), enable_auto_commit=False) as consumer:
        ends: Mapping[TopicPartition, int] = await consumer.end_offsets(tps)
        return ends
