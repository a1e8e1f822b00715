"""The load generator: so many events a second, evenly, each with the time it is sent.

A process of its own: `python -m benchmarks.load '{...}'` prints one JSON object. No linger: an event waits
only while its partition's last batch is on its way, as with any producer.
"""

import asyncio
import sys
import time
from typing import Any, Final

import msgspec
import uvloop
from aiokafka import AIOKafkaProducer
from msgspec import Struct

from benchmarks.payloads import Draws
from benchmarks.preload import Keys

TICK_SECONDS: Final = 0.002
"""Between two looks at what is due."""


class LoadTask(Struct):
    """What to send."""

    broker: str
    topic: str
    partitions: int
    rate: float
    """Events per second."""
    seconds: float
    first: int
    """Number of the first event."""


class LoadResult(Struct):
    """What was sent."""

    events: int
    started_ns: int
    """Epoch nanoseconds of the first event."""
    ended_ns: int
    cpu_seconds: float


def load_command(task: LoadTask) -> list[str]:
    """How the process is started."""
    return [sys.executable, "-m", "benchmarks.load", msgspec.json.encode(task).decode()]


class _Lane:
    """One partition: at most one batch on its way, and the next one being filled."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, partition: int) -> None:
        self._producer = producer
        self._topic = topic
        self._partition = partition
        self._batch: Any = None
        self._sent: asyncio.Future[Any] | None = None

    def add(self, key: bytes, value: bytes) -> None:
        if self._batch is None:
            self._batch = self._producer.create_batch()
        if self._batch.append(timestamp=None, key=key, value=value) is None:
            message = f"the broker does not take {self._topic}-{self._partition} as fast as it is sent"
            raise RuntimeError(message)

    async def flush(self) -> None:
        """Send what was added, unless the last batch is still on its way."""
        if self._batch is None or (self._sent is not None and not self._sent.done()):
            return
        batch, self._batch = self._batch, None
        batch.close()
        self._sent = await self._producer.send_batch(batch, self._topic, partition=self._partition)

    async def finish(self) -> None:
        """Wait for all of it."""
        while self._batch is not None or self._sent is not None:
            if self._sent is not None:
                await self._sent
                self._sent = None
            await self.flush()


async def run(task: LoadTask) -> LoadResult:
    """Send all of it, and wait for the broker to have it."""
    draws, keys = Draws(), Keys(task.partitions)
    cpu = time.process_time()
    async with AIOKafkaProducer(bootstrap_servers=task.broker, max_batch_size=900_000) as producer:
        lanes = [_Lane(producer, task.topic, partition) for partition in range(task.partitions)]
        started, started_ns = time.perf_counter(), time.time_ns()
        total, count = int(task.rate * task.seconds), 0
        while count < total:
            due = min(total, int((time.perf_counter() - started) * task.rate) + 1)
            for number in range(task.first + count, task.first + due):
                user = draws.user(number)
                lanes[keys.partitions[user]].add(keys.keys[user], draws.event(number, time.time_ns()))
            count = due
            for lane in lanes:
                await lane.flush()
            next_event = started + count / task.rate
            await asyncio.sleep(max(TICK_SECONDS, next_event - time.perf_counter()))
        ended_ns = time.time_ns()
        for lane in lanes:
            await lane.finish()
    return LoadResult(count, started_ns, ended_ns, time.process_time() - cpu)


def main() -> None:
    task = msgspec.json.decode(sys.argv[1], type=LoadTask)
    sys.stdout.write(msgspec.json.encode(uvloop.run(run(task))).decode() + "\n")


if __name__ == "__main__":
    main()
