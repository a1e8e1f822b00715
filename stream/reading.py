"""Reads topics from beginning to end, as they are now."""

from collections.abc import AsyncIterator, Collection
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

_POLL_MS = 200


async def read_topic(
    bootstrap_servers: str, topic: str, *, partitions: Collection[int] | None = None
) -> AsyncIterator[ConsumerRecord[bytes | None, bytes | None]]:
    """Yield every committed record that is in the topic now, each partition's in offset order.

    Args:
        bootstrap_servers: of the broker.
        topic: to read.
        partitions: the ones to read; all if not given.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer, or has no such topic.
    """
    settings: dict[str, Any] = {"enable_auto_commit": False, "max_partition_fetch_bytes": 8 << 20}
    async with AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, isolation_level="read_committed", **settings
    ) as consumer:
        await consumer._client._wait_on_metadata(topic)
        numbers = consumer.partitions_for_topic(topic) if partitions is None else partitions
        tps = [TopicPartition(topic, partition) for partition in sorted(numbers or ())]
        ends = await consumer.end_offsets(tps)
        waiting = set(tps)
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        while waiting:
            for records in (await consumer.getmany(*waiting, timeout_ms=_POLL_MS)).values():
                for record in records:
                    yield record
            # Positions also pass control records, which are never delivered.
            waiting = {tp for tp in waiting if await consumer.position(tp) < ends[tp]}
