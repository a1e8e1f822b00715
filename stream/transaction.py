"""One Kafka transaction per cycle, fenced by the consumer's generation (KIP-447).

What Kafka Streams calls `exactly_once_v2`: the offset commit inside the transaction carries the
worker's membership, so the group coordinator refuses a worker that was frozen and has lost its
partitions. aiokafka speaks version 0 of `TxnOffsetCommit`, which carries none; version 3 is built
here on its protocol types, which is why `aiokafka` is pinned to one minor version.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import aiokafka.producer.sender as aiokafka_sender
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.client import CoordinationType
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)
from aiokafka.structs import OffsetAndMetadata

from state.errors import Refused
from stream import faults
from stream.topics import BATCH_BYTES
from stream.transport import Membership

MAX_BATCH_BYTES: Final = 4 * 1024 * 1024
"""Largest record batch written; topics written by batch allow 8 MiB (`stream/topics.py`)."""
RETRY_SECONDS: Final = 0.003
"""Pause before asking again while the last transaction's markers are still being written. The
library's 20 to 100 ms cost a factor of two in latency."""

FENCED_INSTANCE_ID: Final = 82
"""Error code of Kafka that aiokafka has no class for: another process uses our instance id."""

Rows = Sequence[tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]]]]
"""Records to write: key, value, headers."""


class Written(NamedTuple):
    """Rows bound for one partition of a topic."""

    topic: str
    partition: int
    rows: Rows


class _TxnOffsetCommitResponseV3(Response):  # type: ignore[misc]  # untyped base
    API_KEY = 28
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "errors",
            CompactArray(
                ("topic", CompactString("utf-8")),
                (
                    "partition_errors",
                    CompactArray(("partition", Int32), ("error_code", Int16), ("tags", TaggedFields)),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _TxnOffsetCommitRequestV3(RequestStruct):  # type: ignore[misc]  # untyped base
    API_KEY = 28
    API_VERSION = 3
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _TxnOffsetCommitResponseV3
    SCHEMA = Schema(
        ("transactional_id", CompactString("utf-8")),
        ("group_id", CompactString("utf-8")),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("generation_id", Int32),
        ("member_id", CompactString("utf-8")),
        ("group_instance_id", CompactString("utf-8")),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", CompactString("utf-8")),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _FencedCommitRequest(Request[_TxnOffsetCommitRequestV3]):  # type: ignore[misc]  # untyped base
    API_KEY = 28

    def __init__(self, *fields: Any) -> None:
        self._fields = fields

    def build(self, request_struct_class: type[Any]) -> Any:
        return request_struct_class(*self._fields)


class _Errors(NamedTuple):
    """The response's errors in the shape of version 0, which the library's handler reads."""

    errors: list[tuple[str, list[tuple[int, int]]]]


class _FencedCommitHandler(aiokafka_sender.TxnOffsetCommitHandler):  # type: ignore[misc]  # untyped base
    """Sends the membership along, and tells a refusal from a failure."""

    REFUSALS: Final = frozenset(
        {
            kafka_errors.IllegalGenerationError.errno,
            kafka_errors.UnknownMemberIdError.errno,
            kafka_errors.RebalanceInProgressError.errno,
            FENCED_INSTANCE_ID,
        }
    )

    def __init__(self, sender: Any, offsets: Any, group_id: str, membership: Membership) -> None:
        super().__init__(sender, offsets, group_id)
        self._membership = membership

    def create_request(self) -> _FencedCommitRequest:
        topics: dict[str, list[tuple[Any, ...]]] = {}
        for tp, offset in sorted(self._offsets.items()):
            topics.setdefault(tp.topic, []).append((tp.partition, offset.offset, -1, offset.metadata, {}))
        manager = self._sender._txn_manager
        return _FencedCommitRequest(
            manager.transactional_id,
            self._group_id,
            manager.producer_id,
            manager.producer_epoch,
            self._membership.generation,
            self._membership.member_id,
            self._membership.instance_id,
            [(topic, partitions, {}) for topic, partitions in topics.items()],
            {},
        )

    def handle_response(self, response: Any) -> float | None:
        errors = []
        for topic, partitions, _tags in response.errors:
            for partition, code, _ in partitions:
                if code in self.REFUSALS:
                    reason = f"error {code} for {topic}-{partition} as {self._membership}"
                    manager = self._sender._txn_manager
                    manager.error_transaction(Refused(reason))
                    # Nobody waits for the end of a transaction that never got there.
                    manager.wait_for_transaction_end().exception()
                    return None
            errors.append((topic, [(partition, code) for partition, code, _ in partitions]))
        backoff: float | None = super().handle_response(_Errors(errors))
        return backoff


class _FencedSender(aiokafka_sender.Sender):  # type: ignore[misc]  # untyped base
    membership: Membership

    async def _do_txn_offset_commit(self, offsets: Any, group_id: str) -> None:
        if offsets:
            node = await self._find_coordinator(CoordinationType.GROUP, group_id)
            await _FencedCommitHandler(self, offsets, group_id, self.membership).do(node)


class Publisher:
    """Writes one cycle's rows at least once: changelog last, so its marker stands for all of it."""

    transactional_id: str = ""
    took: Mapping[str, float] = MappingProxyType({})
    """Seconds of each phase of the latest `publish` that came to its end, by `stream.metrics.PHASES`."""

    def __init__(self, bootstrap_servers: str, *, client_id: str) -> None:
        self._settings: dict[str, Any] = {
            "bootstrap_servers": bootstrap_servers,
            "client_id": client_id,
            "acks": "all",
            "max_batch_size": MAX_BATCH_BYTES,
            "max_request_size": 4 * MAX_BATCH_BYTES,
            "retry_backoff_ms": int(RETRY_SECONDS * 1000),
            "enable_idempotence": True,
        }
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect.

        Raises:
            aiokafka.errors.KafkaError: if the broker does not answer.
        """
        self._producer = self._build()
        try:
            await self._producer.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Disconnect; an open transaction ends with the next start, or by its timeout."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    def _build(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(**self._settings)

    @property
    def producer(self) -> AIOKafkaProducer:
        """The connected producer."""
        if self._producer is None:
            message = "the publisher is not started"
            raise RuntimeError(message)
        return self._producer

    async def publish(
        self,
        outputs: Sequence[Written],
        changelogs: Sequence[Written],
        offsets: Mapping[TopicPartition, int],  # noqa: ARG002 - here faust commits them
        membership: Membership,  # noqa: ARG002 - and nothing is fenced
    ) -> list[int]:
        """Write all rows and return the offset of the last row of each changelog.

        Args:
            outputs: slates, rewards, deltas, dead letters.
            changelogs: one entry per partition of state, written as one batch each.
            offsets: input position after this cycle.
            membership: who writes.
        """
        started = time.perf_counter()
        await self._write(outputs)
        faults.reached("offsets")
        last_offsets = await self._write(changelogs, max_batches=1)
        self.took = {"write": time.perf_counter() - started}
        return last_offsets

    async def _write(self, written: Sequence[Written], *, max_batches: int | None = None) -> list[int]:
        """Write all rows, wait for the broker, return the last offset of each entry."""
        pending: list[tuple[int, int, asyncio.Future[Any]]] = []
        for entry, (topic, partition, rows) in enumerate(written):
            batches = list(self._batches(rows))
            if max_batches is not None and len(batches) > max_batches:
                message = f"{len(rows)} rows for {topic}-{partition} do not fit {max_batches} batch"
                raise RuntimeError(message)
            for batch in batches:
                count = batch.record_count()
                future = await self.producer.send_batch(batch, topic, partition=partition)
                pending.append((entry, count, future))
        await asyncio.gather(*(future for _, _, future in pending))
        last = [-1] * len(written)
        for entry, count, future in pending:
            last[entry] = future.result().offset + count - 1
        return last

    def _batches(self, rows: Rows) -> Iterable[BatchBuilder]:
        """Pack rows into closed batches."""
        batch = self.producer.create_batch()
        for key, value, headers in rows:
            # Plain keywords: a dict per record made of them costs as much as the append.
            if batch.append(timestamp=None, key=key, value=value, headers=list(headers)) is None:
                batch.close()
                yield batch
                batch = self.producer.create_batch()
                # The library takes a batch's first record at any size.
                batch.append(timestamp=None, key=key, value=value, headers=list(headers))
            if batch.record_count() == 1 and batch.size() > BATCH_BYTES:
                message = f"a record of {len(value or b'')} bytes does not fit a batch of {BATCH_BYTES}"
                raise RuntimeError(message)
        batch.close()
        yield batch


class TransactionalPublisher(Publisher):
    """Writes one cycle's rows and input offsets in one transaction, or nothing of them.

    After an error it must be stopped and started: the start asks for a new epoch of the transactional
    id, and with that the broker aborts what was open. aiokafka's own `abort_transaction` is not used:
    after a refused offset commit it believes the transaction to be empty, tells the broker nothing, and
    the next commit of the same producer would make the refused data visible.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        client_id: str,
        transactional_id: str,
        group_id: str,
        timeout_seconds: float,
    ) -> None:
        super().__init__(bootstrap_servers, client_id=client_id)
        self.transactional_id = transactional_id
        self._group_id = group_id
        self._settings.update(
            transactional_id=transactional_id, transaction_timeout_ms=int(timeout_seconds * 1000)
        )

    def _build(self) -> AIOKafkaProducer:
        # Waiting for the last transaction's markers uses a constant of the library's, not a setting.
        aiokafka_sender.BACKOFF_OVERRIDE = RETRY_SECONDS
        producer = super()._build()
        producer._sender.__class__ = _FencedSender
        return producer

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
        """
        if membership.generation < 0:
            # Kafka takes a negative generation for a consumer without group, and checks nothing.
            message = f"no generation to commit with: {membership}"
            raise Refused(message)
        producer = self.producer
        producer._sender.membership = membership
        started = time.perf_counter()
        await producer.begin_transaction()
        last_offsets = (await self._write([*changelogs, *outputs]))[: len(changelogs)]
        faults.reached("offsets")
        written = time.perf_counter()
        await producer.send_offsets_to_transaction(
            {tp: OffsetAndMetadata(offset, "") for tp, offset in offsets.items()}, self._group_id
        )
        sent = time.perf_counter()
        await producer.commit_transaction()
        self.took = {
            "write": written - started,
            "offsets": sent - written,
            "end": time.perf_counter() - sent,
        }
        return last_offsets


async def end_transaction_of(transactional_id: str, bootstrap_servers: str) -> None:
    """Abort whatever transaction the owner of this id still has open, and fence that owner."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, transactional_id=transactional_id)
    await producer.start()
    await producer.stop()
