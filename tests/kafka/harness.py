"""Real topics, real worker processes, real faults; and the audit that says what came of it."""

import asyncio
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from stream.audit import Report, audit
from stream.child import WORKER
from stream.child import environment as variables_of
from stream.codecs import decode_delta
from stream.config import Settings
from stream.connection import connection
from stream.reading import is_heartbeat, read_topic
from stream.topics import create_topics, topic_specs

ROOT = Path(__file__).parents[2]
PARTITIONS = 4
API = [sys.executable, "-m", "agents.commands", "api"]
API_ADDRESS = re.compile(r"API at (http://\S+)")


class Shop:
    """One test's topics and workers, apart from every other test's on the same broker."""

    def __init__(self, broker: str, prefix: str, folder: Path, **settings: Any) -> None:
        self.settings = Settings(
            broker=broker,
            topic_prefix=prefix,
            app_id=prefix.rstrip("."),
            data_dir=folder / "data",
            # Most tests count every record.
            **{"partitions": PARTITIONS, "canary_seconds": 0, **settings},
        )
        self.folder = folder
        self.workers: list[subprocess.Popen[bytes]] = []

    def start(self, *, command: Sequence[str] | None = None, **environment: str) -> subprocess.Popen[bytes]:
        """Start a worker process, or what another command runs in its place."""
        log = self.folder / f"worker-{len(self.workers)}.log"
        with log.open("wb") as file:
            worker = subprocess.Popen(
                command or WORKER,
                cwd=ROOT,
                env={**os.environ, **variables_of(self.settings), **environment},
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self.workers.append(worker)
        return worker

    def log(self, worker: subprocess.Popen[bytes]) -> str:
        """What a worker has printed."""
        return (self.folder / f"worker-{self.workers.index(worker)}.log").read_text(errors="replace")

    def logs(self) -> str:
        """What all workers have printed."""
        return "\n".join(map(self.log, self.workers))

    async def started(self, *, seconds: float = 60) -> None:
        """Wait until every running worker holds partitions."""
        running = [worker for worker in self.workers if worker.poll() is None]
        await until(lambda: all("opened partitions" in self.log(w) for w in running), seconds, self.logs)

    async def settled(self, records: int, *, seconds: float = 90) -> None:
        """Wait until the deltas cover so many input records."""
        deadline = time.monotonic() + seconds
        while (done := await self.processed()) < records:
            if time.monotonic() > deadline:
                pytest.fail(f"{done} of {records} records processed\n{self.logs()[-8000:]}")
            await asyncio.sleep(0.1)

    async def processed(self) -> int:
        """How many input records the deltas cover, repeats and heartbeats left out."""
        covered: dict[tuple[str, int], int] = {}
        count = 0
        beats = await self._heartbeats()
        async for record in read_topic(connection(self.settings), self.settings.deltas_topic):
            delta = decode_delta(record.value or b"")
            for span in delta.spans:
                place = (span.topic, delta.partition)
                first = max(span.first_offset, covered.get(place, 0))
                count += max(0, span.last_offset + 1 - first)
                covered[place] = max(covered.get(place, 0), span.last_offset + 1)
        return count - sum(offset < covered.get(place, 0) for place, offset in beats)

    async def _heartbeats(self) -> list[tuple[tuple[str, int], int]]:
        """Topic and partition, and offset, of every heartbeat."""
        topics = self.settings.input_topics if self.settings.canary_seconds else ()
        return [
            ((topic, record.partition), record.offset)
            for topic in topics
            async for record in read_topic(connection(self.settings), topic)
            if is_heartbeat(record)
        ]

    async def audit(self) -> Report:
        """Compare the topics with a fold of the inputs in this process."""
        return await audit(self.settings)


@contextlib.asynccontextmanager
async def shop(broker: str, prefix: str, folder: Path, **settings: Any) -> AsyncIterator[Shop]:
    """Topics now, and no process left afterwards."""
    it = Shop(broker, prefix, folder, **settings)
    await create_topics(broker, topic_specs(it.settings))
    try:
        yield it
    finally:
        for worker in it.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGCONT)
                worker.kill()
            worker.wait()


async def until(condition: Any, seconds: float, say: Any) -> None:
    """Wait for a condition, or fail with what `say` returns."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s\n{say()[-8000:]}")
        await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def api_of(it: Shop, **environment: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with an API process that is ready."""
    process = it.start(command=API, **environment)
    await until(lambda: API_ADDRESS.search(it.log(process)) or process.poll() is not None, 120, it.logs)
    found = API_ADDRESS.search(it.log(process))
    assert found is not None, it.log(process)
    async with aiohttp.ClientSession(found[1]) as session:
        async with asyncio.timeout(120):
            while (await session.get("/readyz")).status != 200:
                await asyncio.sleep(0.1)
        yield session


def click(user: str, item: str, **fields: Any) -> dict[str, Any]:
    """One event, of now."""
    return {"type": "click", "user_id": user, "item_id": item, "time": int(time.time() * 1000), **fields}


def clicks(count: int, *, users: int = 300, items: int = 150, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Made-up events: some out of order, some sent twice, some purchases, a few broken."""
    rng = random.Random(seed)
    now = int(time.time() * 1000) - count
    for n in range(count):
        kind = rng.choices(["view", "click", "add_to_cart", "purchase", "impression"], [5, 5, 2, 1, 1])[0]
        event = {
            "event_id": f"{seed}-{n if rng.random() > 0.01 else max(0, n - 1)}",
            "type": kind if rng.random() > 0.005 else "nonsense",
            "user_id": f"u{int(users * rng.random() ** 2)}",
            "item_id": f"i{int(items * rng.random() ** 2)}",
            "time": now + n - (rng.randrange(60_000) if rng.random() < 0.05 else 0),
        }
        yield event


async def send(
    shop: Shop, events: Iterable[Mapping[str, Any]], *, topic: str | None = None, rate: float = 0
) -> int:
    """Send events to an input topic, `rate` per second or as fast as it goes; returns how many."""
    topic = topic or shop.settings.input_topics[0]
    choose, numbers = DefaultPartitioner(), list(range(shop.settings.partitions))
    count, started = 0, time.monotonic()
    async with AIOKafkaProducer(bootstrap_servers=shop.settings.broker, linger_ms=5) as producer:
        for event in events:
            key = str(event["user_id"]).encode()
            await producer.send(
                topic, json.dumps(event).encode(), key=key, partition=choose(key, numbers, numbers)
            )
            count += 1
            if rate and count % 50 == 0:
                await asyncio.sleep(max(0, started + count / rate - time.monotonic()))
    return count


async def read_json(shop: Shop, topic: str) -> Sequence[dict[str, Any]]:
    """Every committed value of a topic."""
    return [json.loads(r.value) async for r in read_topic(connection(shop.settings), topic) if r.value]
