"""The least that a client can do between an event and its slate: read, write a slate of the same id, again.

No group, no state, no decoding; plain, or each poll in one transaction. A process of its own:
`python -m benchmarks.echo '{...}'` runs until it is ended. Its producer has the settings of the worker's.
"""

import asyncio
import sys
from typing import Any, Final

import aiokafka.producer.sender as aiokafka_sender
import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from msgspec import Struct

from benchmarks.payloads import id_of, slate_value
from stream.transaction import MAX_BATCH_BYTES, RETRY_SECONDS

POLL_MS: Final = 200
POLL_RECORDS: Final = 2000
READY: Final = "echoing"


class EchoTask(Struct):
    """What to read and write."""

    broker: str
    source: str
    target: str
    partitions: int
    transactional_id: str | None


async def run(task: EchoTask) -> None:
    """Echo for ever."""
    # The worker's own way of waiting for the last transaction's markers.
    aiokafka_sender.BACKOFF_OVERRIDE = RETRY_SECONDS
    transactions: dict[str, Any] = (
        {"enable_idempotence": True}
        if task.transactional_id is None
        else {"transactional_id": task.transactional_id}
    )
    async with (
        AIOKafkaProducer(
            bootstrap_servers=task.broker,
            acks="all",
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=4 * MAX_BATCH_BYTES,
            retry_backoff_ms=int(RETRY_SECONDS * 1000),
            **transactions,
        ) as producer,
        AIOKafkaConsumer(bootstrap_servers=task.broker, enable_auto_commit=False) as consumer,
    ):
        tps = [TopicPartition(task.source, partition) for partition in range(task.partitions)]
        consumer.assign(tps)
        await consumer.seek_to_end(*tps)
        for tp in tps:
            await consumer.position(tp)
        print(READY, flush=True)
        while True:
            fetched = await consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
            if not fetched:
                continue
            if task.transactional_id is not None:
                await producer.begin_transaction()
            sent = []
            for tp, records in fetched.items():
                batch = producer.create_batch()
                for record in records:
                    batch.append(timestamp=None, key=record.key, value=slate_value(id_of(record.value)))
                batch.close()
                sent.append(await producer.send_batch(batch, task.target, partition=tp.partition))
            if task.transactional_id is not None:
                await producer.commit_transaction()
            else:
                await asyncio.gather(*sent)


def main() -> None:
    uvloop.run(run(msgspec.json.decode(sys.argv[1], type=EchoTask)))


if __name__ == "__main__":
    main()
