"""One Kafka transaction per cycle, fenced by the consumer's generation (KIP-447).

What Kafka Streams calls `exactly_once_v2`: the offset commit inside the transaction carries the
worker's membership, so the group coordinator refuses a worker that was frozen and has lost its
partitions. The requests themselves are in `stream/protocol.py`.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.producer.message_accumulator import BatchBuilder

from state.errors import Refused
from stream import faults
from stream.connection import COMPRESSIONS, Where, arguments
from stream.protocol import RETRY_SECONDS, Requests
from stream.topics import BATCH_BYTES
from stream.transport import Membership

MAX_BATCH_BYTES: Final = 4 * 1024 * 1024
"""Largest record batch written; topics written by batch allow 8 MiB (`stream/topics.py`)."""
PATIENCE_SECONDS: Final = 10.0
"""How long a publisher without transactions waits for a broker that does not answer. With them it is the
transaction's timeout: after it the broker has ended the transaction anyway."""

Rows = Sequence[tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]]]]
"""Records to write: key, value, headers."""


class Written(NamedTuple):
    """Rows bound for one partition of a topic."""

    topic: str
    partition: int
    rows: Rows


class _Packed(NamedTuple):
    """One entry's rows as closed batches."""

    place: TopicPartition
    batches: Sequence[BatchBuilder]


class Publisher:
    """Writes one cycle's rows at least once: changelog last, so its marker stands for all of it."""

    transactional_id: str = ""
    took: Mapping[str, float] = MappingProxyType({})
    """Seconds of each phase of the latest `publish` that came to its end (`stream.worker_metrics.PHASES`)."""

    def __init__(self, where: Where, *, client_id: str, compression: str = "none") -> None:
        self._settings: dict[str, Any] = {
            **arguments(where),
            "client_id": client_id,
            "acks": "all",
            "max_batch_size": MAX_BATCH_BYTES,
            "retry_backoff_ms": int(RETRY_SECONDS * 1000),
            "enable_idempotence": True,
        }
        self._patience_seconds = PATIENCE_SECONDS
        self._compression = COMPRESSIONS[compression]
        self._producer: AIOKafkaProducer | None = None
        self._requests: Requests | None = None

    async def start(self) -> None:
        """Connect, and get a new epoch: what is left of an open transaction is aborted by it.

        Raises:
            aiokafka.errors.KafkaError: if the broker does not answer.
        """
        self._producer = AIOKafkaProducer(**self._settings)
        try:
            await self._producer.start()
        except BaseException:
            await self.stop()
            raise
        self._requests = Requests(self._producer, patience_seconds=self._patience_seconds)

    async def stop(self) -> None:
        """Disconnect; an open transaction ends with the next start, or by its timeout."""
        producer, self._producer, self._requests = self._producer, None, None
        if producer is not None:
            await producer.stop()

    @property
    def requests(self) -> Requests:
        """The requests of the connected producer."""
        if self._requests is None:
            message = "the publisher is not started"
            raise RuntimeError(message)
        return self._requests

    async def publish(
        self,
        outputs: Sequence[Written],
        changelogs: Sequence[Written],
        offsets: Mapping[TopicPartition, int],  # noqa: ARG002 - here faust commits them
        membership: Membership,  # noqa: ARG002 - and nothing is fenced
    ) -> list[int]:
        """Write all rows and return the offset of the last row of each changelog.

        Args:
            outputs: slates, rewards, deltas, dead letters; one entry per partition.
            changelogs: one entry per partition of state, written as one batch each.
            offsets: input position after this cycle.
            membership: who writes.

        Raises:
            aiokafka.errors.KafkaError: it is unknown what was written.
            TimeoutError: the same.
        """
        started = time.perf_counter()
        packed = self._packed(changelogs, max_batches=1)
        await self._write(self._packed(outputs))
        faults.reached("offsets")
        last_offsets = await self._write(packed)
        self.took = {"write": time.perf_counter() - started}
        return last_offsets

    async def _write(self, packed: Sequence[_Packed]) -> list[int]:
        """Write all batches, each acknowledged; returns the last offset of each entry.

        A request takes one batch per partition, so what was split goes in as many rounds.
        """
        last = [-1] * len(packed)
        for number in range(max((len(each.batches) for each in packed), default=0)):
            in_turn = [(entry, each) for entry, each in enumerate(packed) if number < len(each.batches)]
            offsets = await self.requests.produce({each.place: each.batches[number] for _, each in in_turn})
            for entry, each in in_turn:
                last[entry] = offsets[each.place] + each.batches[number].record_count() - 1
        return last

    def _packed(self, written: Iterable[Written], *, max_batches: int | None = None) -> list[_Packed]:
        """Rows as closed batches."""
        packed = []
        for topic, partition, rows in written:
            batches = list(self._batches(rows))
            if max_batches is not None and len(batches) > max_batches:
                message = f"{len(rows)} rows for {topic}-{partition} do not fit {max_batches} batch"
                raise RuntimeError(message)
            packed.append(_Packed(TopicPartition(topic, partition), batches))
        return packed

    def _batches(self, rows: Rows) -> Iterable[BatchBuilder]:
        batch = self._batch()
        for key, value, headers in rows:
            # Plain keywords: a dict per record made of them costs as much as the append.
            if batch.append(timestamp=None, key=key, value=value, headers=list(headers)) is None:
                batch.close()
                yield batch
                batch = self._batch()
                # The library takes a batch's first record at any size.
                batch.append(timestamp=None, key=key, value=value, headers=list(headers))
            if batch.record_count() == 1 and batch.size() > BATCH_BYTES:
                message = f"a record of {len(value or b'')} bytes does not fit a batch of {BATCH_BYTES}"
                raise RuntimeError(message)
        batch.close()
        yield batch

    def _batch(self) -> BatchBuilder:
        return BatchBuilder(MAX_BATCH_BYTES, self._compression, is_transactional=bool(self.transactional_id))


class TransactionalPublisher(Publisher):
    """Writes one cycle's rows and input offsets in one transaction, or nothing of them.

    After an error it must be stopped and started: the start asks for a new epoch of the transactional
    id, and with that the broker aborts what was open.
    """

    def __init__(
        self,
        where: Where,
        *,
        client_id: str,
        transactional_id: str,
        group_id: str,
        timeout_seconds: float,
        compression: str = "none",
    ) -> None:
        super().__init__(where, client_id=client_id, compression=compression)
        self.transactional_id = transactional_id
        self._group_id = group_id
        self._patience_seconds = timeout_seconds
        self._settings.update(
            transactional_id=transactional_id, transaction_timeout_ms=int(timeout_seconds * 1000)
        )

    async def publish(
        self,
        outputs: Sequence[Written],
        changelogs: Sequence[Written],
        offsets: Mapping[TopicPartition, int],
        membership: Membership,
    ) -> list[int]:
        """Commit one transaction.

        The order is what makes it safe: all data acknowledged by the broker, then the offset commit,
        where the coordinator checks the membership, then the end. Were the commit first, a zombie
        whose commit was accepted could still add data after the next owner has restored.

        Raises:
            Refused: the assignment is over; nothing was written.
            aiokafka.errors.KafkaError: the outcome is unknown, or nothing was written.
            TimeoutError: the same.
        """
        if membership.generation < 0:
            # Kafka takes a negative generation for a consumer without group, and checks nothing.
            message = f"no generation to commit with: {membership}"
            raise Refused(message)
        requests = self.requests
        written = [*changelogs, *outputs]
        started = time.perf_counter()
        places = [TopicPartition(topic, partition) for topic, partition, _ in written]
        added = asyncio.gather(requests.add_partitions(places), requests.add_group(self._group_id))
        try:
            # Both are sent now, and answered while the rows are packed.
            await asyncio.sleep(0)
            packed = self._packed(written)
            await added
        finally:
            added.cancel()
        last_offsets = (await self._write(packed))[: len(changelogs)]
        faults.reached("offsets")
        acknowledged = time.perf_counter()
        await requests.commit_offsets(self._group_id, offsets, membership)
        sent = time.perf_counter()
        await requests.end()
        self.took = {
            "write": acknowledged - started,
            "offsets": sent - acknowledged,
            "end": time.perf_counter() - sent,
        }
        return last_offsets


async def end_transaction_of(transactional_id: str, where: Where) -> None:
    """Abort whatever transaction the owner of this id still has open, and fence that owner."""
    producer = AIOKafkaProducer(**arguments(where), transactional_id=transactional_id)
    await producer.start()
    await producer.stop()
