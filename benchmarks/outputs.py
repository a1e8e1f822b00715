"""What came out of an engine: committed records by the broker's clock, while it runs and afterwards."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.job import Progress, Sample
from benchmarks.machine import busy_seconds
from benchmarks.processes import BenchmarkError, Measured

POLL_SECONDS: Final = 0.1
"""Seldom enough to cost the engine nothing."""
STILL_SECONDS: Final = 1.0
"""Without a new record for so long the engine may be done: then its records are counted."""
STALL_SECONDS: Final = 60.0


class Outputs:
    """A reader of one topic's committed records."""

    def __init__(self, broker: str, topic: str, partitions: int) -> None:
        self._tps = [TopicPartition(topic, p) for p in range(partitions)]
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=broker,
            isolation_level="read_committed",
            enable_auto_commit=False,
            max_partition_fetch_bytes=8 << 20,
            fetch_max_bytes=32 << 20,
        )

    async def __aenter__(self) -> "Outputs":
        await self._consumer.start()
        self._consumer.assign(self._tps)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def ends(self) -> dict[int, int]:
        """Offset after the last committed record, by partition."""
        found = await self._consumer.end_offsets(self._tps)
        return {tp.partition: end for tp, end in found.items()}

    async def watch(
        self, starts: Mapping[int, int], wanted: int, process: Measured, sample: Callable[[int], Sample]
    ) -> tuple[list[Progress], list[Sample]]:
        """Wait for so many records beyond `starts`, and return when each was written and what it cost.

        Control records of transactions count in offsets and not as records: so the end is found by
        counting, once nothing more comes.

        Raises:
            BenchmarkError: they do not come.
        """
        samples = [sample(0)]
        moved = time.monotonic()
        while True:
            await asyncio.sleep(POLL_SECONDS)
            written = sum((await self.ends()).values()) - sum(starts.values())
            now = time.monotonic()
            if written > samples[-1].events:
                samples.append(sample(written))
                moved = now
            elif now - moved > STALL_SECONDS or (process.ended() and now - moved > 2 * STILL_SECONDS):
                message = f"{process.name}: {written} of {wanted} records\n{process.log()[-4000:]}"
                raise BenchmarkError(message)
            elif written >= wanted and now - moved > STILL_SECONDS:
                progress = await self.times(starts)
                if sum(each.events for each in progress) >= wanted:
                    return progress, samples

    async def times(self, starts: Mapping[int, int]) -> list[Progress]:
        """How many committed records beyond `starts` the broker wrote in each millisecond."""
        ends = await self.ends()
        for tp in self._tps:
            self._consumer.seek(tp, starts[tp.partition])
        counts: Counter[int] = Counter()
        behind = {tp for tp in self._tps if starts[tp.partition] < ends[tp.partition]}
        while behind:
            fetched: dict[TopicPartition, list[Any]] = await self._consumer.getmany(*behind, timeout_ms=200)
            for records in fetched.values():
                counts.update([record.timestamp for record in records])
            behind = {tp for tp in behind if await self._consumer.position(tp) < ends[tp.partition]}
        return [Progress(at, count) for at, count in sorted(counts.items())]


def sampler(process: Measured, broker_cpu: Callable[[], float | None]) -> Callable[[int], Sample]:
    """Samples of what an engine and the broker have used, and everybody else."""

    def sample(events: int) -> Sample:
        worker, broker, busy = process.cpu(), broker_cpu(), busy_seconds()
        others = None if broker is None or busy is None else busy - worker - broker - time.process_time()
        return Sample(events, worker, broker, others, time.monotonic())

    return sample
