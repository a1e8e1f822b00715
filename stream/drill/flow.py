"""Whether slates flow: how far each partition's committed cycles reach, as they are committed."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from state.slate import Delta
from stream.codecs import decode_delta
from stream.config import Settings
from stream.connection import arguments, connection

POLL_MS: Final = 200
LOOK_SECONDS: Final = 0.05


class Flow:
    """Follows `deltas`: each names the records that a committed cycle took, and how many slates it published.

    Args:
        settings: where; not through the proxy.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.covered: Counter[int] = Counter()
        """Input offset after the last one that a cycle with slates took, by partition."""
        self.reached: Counter[int] = Counter()
        """Input offset after the last one that any cycle took, by partition."""
        self.slates = 0
        self.events = 0

    async def run(self) -> None:
        """Follow for ever, also past a broker that goes and comes back."""
        async with AIOKafkaConsumer(
            **arguments(connection(self._settings)),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        ) as consumer:
            tps = [TopicPartition(self._settings.deltas_topic, p) for p in range(self._settings.partitions)]
            consumer.assign(tps)
            while True:
                try:
                    fetched = await consumer.getmany(timeout_ms=POLL_MS)
                except KafkaError:
                    await asyncio.sleep(LOOK_SECONDS)
                    continue
                for records in fetched.values():
                    for record in records:
                        self.take(decode_delta(record.value))
                await asyncio.sleep(0)

    def take(self, delta: Delta) -> None:
        """Count one cycle."""
        end = max(span.last_offset + 1 for span in delta.spans)
        self.reached[delta.partition] = max(self.reached[delta.partition], end)
        if delta.slates:
            self.covered[delta.partition] = max(self.covered[delta.partition], end)
        self.slates += delta.slates
        self.events += delta.events

    async def flows(self, beyond: Mapping[int, int], timeout_seconds: float) -> float | None:
        """Wait until every partition has slates for records beyond these offsets.

        Returns:
            Seconds it took; None where it did not happen in time.
        """
        return await self._until(self.covered, {p: end + 1 for p, end in beyond.items()}, timeout_seconds)

    async def reaches(self, ends: Mapping[int, int], timeout_seconds: float) -> float | None:
        """Wait until cycles have taken every record below these offsets; as `flows`."""
        return await self._until(self.reached, ends, timeout_seconds)

    @staticmethod
    async def _until(now: Mapping[int, int], ends: Mapping[int, int], timeout_seconds: float) -> float | None:
        start = time.monotonic()
        # Offsets come with the records that `run` reads beside this.
        while any(now[partition] < end for partition, end in ends.items()):
            if time.monotonic() - start > timeout_seconds:
                return None
            await asyncio.sleep(LOOK_SECONDS)
        return time.monotonic() - start
