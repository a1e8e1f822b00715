"""Fills an input topic before a round: as fast as it goes, in large batches, keyed by user."""

import asyncio
import time
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from benchmarks.payloads import USERS, Draws

ROUND_EVENTS: Final = 4000
"""After so many all partitions are sent, so that none runs far ahead of the others."""
BATCH_BYTES: Final = 900_000
"""Below the 1 MiB that a topic takes by default."""


class Keys:
    """Key and partition of every user."""

    def __init__(self, partitions: int) -> None:
        choose, numbers = DefaultPartitioner(), list(range(partitions))
        self.keys = [b"u%d" % user for user in range(USERS)]
        # murmur2 in Python costs 5 us: once a user.
        self.partitions = [choose(key, numbers, numbers) for key in self.keys]


async def preload(broker: str, topic: str, keys: Keys, *, first: int, count: int) -> None:
    """Append `count` events to `topic`, numbered from `first`."""
    draws = Draws()
    async with AIOKafkaProducer(
        bootstrap_servers=broker, max_batch_size=BATCH_BYTES, max_request_size=8 << 20
    ) as producer:
        for begin in range(first, first + count, ROUND_EVENTS):
            batches: dict[int, Any] = {}
            for number in range(begin, min(begin + ROUND_EVENTS, first + count)):
                user = draws.user(number)
                partition = keys.partitions[user]
                batch = batches.get(partition)
                if batch is None:
                    batch = batches[partition] = producer.create_batch()
                if (
                    batch.append(
                        timestamp=None, key=keys.keys[user], value=draws.event(number, time.time_ns())
                    )
                    is None
                ):
                    message = f"{ROUND_EVENTS} events do not fit a batch"
                    raise ValueError(message)
            sent = []
            for partition, batch in batches.items():
                batch.close()
                sent.append(await producer.send_batch(batch, topic, partition=partition))
            await asyncio.gather(*sent)
