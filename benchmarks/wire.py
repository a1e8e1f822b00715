"""The raw wire, for comparison: read the events, decode the JSON, write as many bytes as a slate by batch.

No state, no recommendation, no transaction: what aiokafka and the broker alone can do here.
Run as a process of its own, as a worker is: `python -m benchmarks.wire '{...}'` prints one JSON object.
"""

import asyncio
import sys
import time
from typing import Any, Final

import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from msgspec import Struct

_EVENT: Final = msgspec.json.Decoder(dict[str, Any])
POLL_MS: Final = 500
POLL_RECORDS: Final = 2000


class WireTask(Struct):
    """What to read and write."""

    broker: str
    source: str
    target: str
    group: str
    starts: dict[int, int]
    """First offset by partition."""
    ends: dict[int, int]
    """Offset after the last by partition."""
    payload_bytes: int
    fetch_bytes: int


class WireResult(Struct):
    """What it took."""

    records: int
    seconds: float
    cpu_seconds: float


async def run(task: WireTask) -> WireResult:
    """Read, decode, write and commit, from the first fetched record to the last acknowledgement."""
    payload = b"x" * task.payload_bytes
    wanted = sum(task.ends.values()) - sum(task.starts.values())
    count, started, cpu = 0, 0.0, 0.0
    async with (
        AIOKafkaProducer(
            bootstrap_servers=task.broker, max_batch_size=4 << 20, max_request_size=16 << 20, acks="all"
        ) as producer,
        AIOKafkaConsumer(
            bootstrap_servers=task.broker,
            group_id=task.group,
            enable_auto_commit=False,
            max_partition_fetch_bytes=task.fetch_bytes,
        ) as consumer,
    ):
        tps = {TopicPartition(task.source, partition): at for partition, at in task.starts.items()}
        consumer.assign(list(tps))
        for tp, at in tps.items():
            consumer.seek(tp, at)
        while count < wanted:
            fetched = await consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
            if not started:
                started, cpu = time.perf_counter(), time.process_time()
            futures = []
            for tp, records in fetched.items():
                batch = producer.create_batch()
                for record in records:
                    _EVENT.decode(record.value)
                    batch.append(key=record.key, value=payload, timestamp=None)
                batch.close()
                futures.append(await producer.send_batch(batch, task.target, partition=tp.partition))
                count += len(records)
            await asyncio.gather(*futures)
            await consumer.commit()
        return WireResult(count, time.perf_counter() - started, time.process_time() - cpu)


def main() -> None:
    task = msgspec.json.decode(sys.argv[1], type=WireTask)
    sys.stdout.write(msgspec.json.encode(uvloop.run(run(task))).decode() + "\n")


if __name__ == "__main__":
    main()
