"""A worker with a bug that the audit has to find: `python -m tests.kafka.broken BUG`.

The bugs are put in from outside; the code of a worker knows nothing of them.

    marker   records that the state contains already are processed again
    refused  a worker whose transaction was refused goes on as if it had been committed
    order    the offsets are committed before the data is written
    gap      nobody looks whether a chunk continues what was applied; one chunk gets lost
    dropped  the same loss of a chunk, in a worker without a bug
"""

import functools
import sys
from collections.abc import Callable
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from agents.personalize import run_worker
from state.errors import Refused
from stream import faults
from stream.config import load_settings
from stream.loop import Delivery, Loop
from stream.partitions import Partitions
from stream.transaction import TransactionalPublisher

LOST_CHUNK = 6
"""Which chunk gets lost on its way to the loop."""


def take_every_chunk() -> None:
    """Let no chunk seem to begin beyond what is expected."""
    accept = Loop._accept

    async def unchecked(loop: Loop, deliveries: Any) -> Any:
        return await accept(loop, [d._replace(chunk=d.chunk._replace(start=0)) for d in deliveries])

    Loop._accept = unchecked  # type: ignore[method-assign]


def marker() -> None:
    Partitions.expected = lambda *_: 0  # type: ignore[method-assign, assignment]
    take_every_chunk()


def refused() -> None:
    publish, write = TransactionalPublisher.publish, TransactionalPublisher._write
    written: list[list[int]] = []

    async def noted(publisher: Any, rows: Any, **options: Any) -> list[int]:
        written.append(await write(publisher, rows, **options))
        return written[-1]

    async def regardless(publisher: Any, outputs: Any, changelogs: Any, *rest: Any) -> list[int]:
        try:
            return await publish(publisher, outputs, changelogs, *rest)
        except (Refused, KafkaError):
            await publisher.stop()
            await publisher.start()
            return written[-1][: len(changelogs)]

    TransactionalPublisher._write = noted  # type: ignore[method-assign]
    TransactionalPublisher.publish = regardless  # type: ignore[method-assign, assignment]


def order() -> None:
    async def publish(it: Any, outputs: Any, changelogs: Any, offsets: Any, membership: Any) -> list[int]:
        written = [*changelogs, *outputs]
        await it.requests.add_partitions([TopicPartition(topic, p) for topic, p, _ in written])
        await it.requests.add_group(it._group_id)
        await it.requests.commit_offsets(it._group_id, offsets, membership)
        faults.reached("offsets")
        last: list[int] = (await it._write(it._packed(written)))[: len(changelogs)]
        await it.requests.end()
        return last

    TransactionalPublisher.publish = publish  # type: ignore[method-assign, assignment]


def dropped() -> None:
    put = Loop.put
    count = 0

    @functools.wraps(put)
    async def lossy(loop: Loop, delivery: Delivery) -> None:
        nonlocal count
        count += 1
        if count != LOST_CHUNK:
            await put(loop, delivery)

    Loop.put = lossy  # type: ignore[method-assign]


def gap() -> None:
    dropped()
    take_every_chunk()


BUGS: dict[str, Callable[[], None]] = {each.__name__: each for each in (marker, refused, order, gap, dropped)}

if __name__ == "__main__":
    BUGS[sys.argv[1]]()
    run_worker(load_settings())
