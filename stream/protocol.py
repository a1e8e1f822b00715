"""What a producer asks of the brokers: five requests, sent directly, repeated while the answer is "not yet".

aiokafka's own sender works for producers whose records come one by one: a task of its own drains an
accumulator and asks the coordinator one thing after the other. A cycle's rows are all there at once, so
nothing needs to be queued or waited for by another task, and requests that do not depend on each other
go out together. From aiokafka come connections, metadata, the producer id, record batches and most of the
protocol's types, some of them private: it is pinned to one minor version.

`TxnOffsetCommit` is built here in version 3, the first that carries the consumer's membership (KIP-447).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest
from aiokafka.protocol.types import (
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

from state.errors import Refused
from stream.transport import Membership

log = logging.getLogger(__name__)

Code: TypeAlias = int
"""Kafka's number of an error; 0 is none."""

RETRY_SECONDS: Final = 0.003
"""Pause before asking again while the last transaction's markers are still being written. The
library's 20 to 100 ms cost a factor of two in latency."""
MOST_RETRY_SECONDS: Final = 0.1
"""Longest pause, where a broker is away or a leader moves."""
FENCED_INSTANCE_ID: Final = 82
"""Error code of Kafka that aiokafka has no class for: another process uses our instance id."""
REFUSALS: Final = frozenset(
    {
        kafka_errors.IllegalGenerationError.errno,
        kafka_errors.UnknownMemberIdError.errno,
        kafka_errors.RebalanceInProgressError.errno,
        FENCED_INSTANCE_ID,
    }
)
"""Error codes of an offset commit that mean: somebody else owns the partitions now."""
FENCED: Final = frozenset({kafka_errors.InvalidProducerEpoch.errno, 90})
"""Error codes that mean: a newer producer has our transactional id, or our transaction timed out. For 90,
PRODUCER_FENCED, aiokafka has no class."""
_NOT_YET: Final = kafka_errors.ConcurrentTransactions.errno
_EVERY_REPLICA: Final = -1


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


class Requests:
    """The requests of one started producer; of no use after any of them has failed.

    Args:
        producer: started.
        patience_seconds: how long each request is repeated while brokers say "not yet" or do not answer.
    """

    def __init__(self, producer: AIOKafkaProducer, *, patience_seconds: float) -> None:
        self._client = producer.client
        self._sender = producer._sender
        self._producer = producer._txn_manager
        self._patience_seconds = patience_seconds
        self._sequences: dict[TopicPartition, int] = {}

    async def produce(self, batches: Mapping[TopicPartition, BatchBuilder]) -> dict[TopicPartition, int]:
        """Write one batch to each of these partitions; returns the offset of the first record of each.

        Raises:
            aiokafka.errors.KafkaError: it is unknown what was written.
            TimeoutError: the same.
        """
        left = {tp: self._sealed(tp, batch) for tp, batch in batches.items()}
        offsets: dict[TopicPartition, int] = {}

        async def attempt() -> set[Code]:
            codes: set[Code] = set()
            for response in await asyncio.gather(*await self._by_leader(left)):
                for topic, partitions in response.topics:
                    for partition, code, offset, *_ in partitions:
                        codes.add(code)
                        if not code:
                            tp = TopicPartition(topic, partition)
                            offsets[tp] = offset
                            del left[tp]
            return codes

        await self._repeat("Produce", attempt)
        return offsets

    async def add_partitions(self, partitions: Iterable[TopicPartition]) -> None:
        """Make these partitions part of the transaction: before anything is written to them.

        Raises:
            aiokafka.errors.KafkaError: the transaction is over.
            TimeoutError: the same.
        """
        request = AddPartitionsToTxnRequest(
            *self._identity(), _by_topic((tp, tp.partition) for tp in partitions)
        )

        async def attempt() -> set[Code]:
            response = await self._ask_coordinator(request)
            return {code for _, partitions in response.errors for _, code in partitions}

        await self._repeat("AddPartitionsToTxn", attempt)

    async def add_group(self, group_id: str) -> None:
        """Make this group's offsets part of the transaction; raises as `add_partitions`."""
        request = AddOffsetsToTxnRequest(*self._identity(), group_id)

        async def attempt() -> set[Code]:
            return {(await self._ask_coordinator(request)).error_code}

        await self._repeat("AddOffsetsToTxn", attempt)

    async def commit_offsets(
        self, group_id: str, offsets: Mapping[TopicPartition, int], membership: Membership
    ) -> None:
        """Commit offsets as this member of the group, once the transaction ends.

        Raises:
            Refused: the member is not of the group's current generation.
            aiokafka.errors.KafkaError: the transaction is over.
            TimeoutError: the same.
        """
        request = _commit_request(self._identity(), group_id, offsets, membership)

        async def attempt() -> set[Code]:
            node = await self._sender._find_coordinator(CoordinationType.GROUP, group_id)
            response = await self._client.send(node, request)
            codes = {
                (code, topic, partition)
                for topic, partitions, _ in response.errors
                for partition, code, _ in partitions
            }
            for code, topic, partition in codes:
                if code in REFUSALS:
                    message = f"error {code} for {topic}-{partition} as {membership}"
                    raise Refused(message)
            return {code for code, _, _ in codes}

        await self._repeat("TxnOffsetCommit", attempt)

    async def end(self) -> None:
        """Commit the transaction.

        Raises:
            aiokafka.errors.KafkaError: it is unknown whether the transaction was committed.
            TimeoutError: the same.
        """
        request = EndTxnRequest(*self._identity(), True)

        async def attempt() -> set[Code]:
            return {(await self._ask_coordinator(request)).error_code}

        await self._repeat("EndTxn", attempt)

    def _identity(self) -> tuple[str, int, int]:
        producer = self._producer
        return producer.transactional_id, producer.producer_id, producer.producer_epoch

    def _sealed(self, tp: TopicPartition, batch: BatchBuilder) -> Any:
        """The batch's bytes, with the sequence number by which a broker knows it when it comes again."""
        sequence = self._sequences.get(tp, 0)
        # The protocol's numbers begin again after 2**31 - 1.
        self._sequences[tp] = (sequence + batch.record_count()) & 0x7FFFFFFF
        batch._set_producer_state(self._producer.producer_id, self._producer.producer_epoch, sequence)
        return batch._build()

    async def _by_leader(self, batches: Mapping[TopicPartition, Any]) -> list[Awaitable[Any]]:
        """One request to each broker that leads some of the partitions."""
        by_leader: dict[int, list[tuple[TopicPartition, tuple[int, Any]]]] = {}
        for tp, data in batches.items():
            await self._client._wait_on_metadata(tp.topic)
            leader = self._client.cluster.leader_for_partition(tp)
            if leader is None or leader < 0:
                raise kafka_errors.LeaderNotAvailableError
            by_leader.setdefault(leader, []).append((tp, (tp.partition, data)))
        timeout_ms = int(self._patience_seconds * 1000)
        transactional_id = self._producer.transactional_id
        return [
            self._client.send(
                leader, ProduceRequest(transactional_id, _EVERY_REPLICA, timeout_ms, _by_topic(written))
            )
            for leader, written in by_leader.items()
        ]

    async def _ask_coordinator(self, request: Any) -> Any:
        transactional_id = self._producer.transactional_id
        node = await self._sender._find_coordinator(CoordinationType.TRANSACTION, transactional_id)
        return await self._client.send(node, request, group=ConnectionGroup.COORDINATION)

    async def _repeat(self, what: str, attempt: Callable[[], Awaitable[set[Code]]]) -> None:
        """Attempt until no error is left, or one that another attempt will not change."""
        pause = RETRY_SECONDS
        async with asyncio.timeout(self._patience_seconds):
            while True:
                try:
                    codes = await attempt() - {0}
                except KafkaError as error:
                    if not error.retriable:
                        raise
                    log.warning("%s: %s: %s", what, type(error).__name__, error)
                    codes = set()
                else:
                    if not codes:
                        return
                if codes == {_NOT_YET}:
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                for code in codes:
                    _raise_unless_retriable(code)
                self._forget()
                await asyncio.sleep(pause)
                pause = min(2 * pause, MOST_RETRY_SECONDS)

    def _forget(self) -> None:
        """Find leaders and coordinators anew."""
        self._sender._coordinator_dead(CoordinationType.GROUP)
        self._sender._coordinator_dead(CoordinationType.TRANSACTION)
        self._client.force_metadata_update()


def _commit_request(
    identity: tuple[str, int, int],
    group_id: str,
    offsets: Mapping[TopicPartition, int],
    membership: Membership,
) -> _FencedCommitRequest:
    transactional_id, producer_id, producer_epoch = identity
    unknown_epoch, no_metadata, no_tags = -1, "", dict[int, bytes]()
    partitions = (
        (tp, (tp.partition, offset, unknown_epoch, no_metadata, no_tags))
        for tp, offset in sorted(offsets.items())
    )
    return _FencedCommitRequest(
        transactional_id,
        group_id,
        producer_id,
        producer_epoch,
        membership.generation,
        membership.member_id,
        membership.instance_id,
        [(topic, of_topic, {}) for topic, of_topic in _by_topic(partitions)],
        {},
    )


def _by_topic(entries: Iterable[tuple[TopicPartition, Any]]) -> list[tuple[str, list[Any]]]:
    """Entries as the protocol has them: by topic."""
    topics: dict[str, list[Any]] = {}
    for tp, entry in entries:
        topics.setdefault(tp.topic, []).append(entry)
    return list(topics.items())


def _raise_unless_retriable(code: Code) -> None:
    if code in FENCED:
        raise kafka_errors.ProducerFenced
    error = kafka_errors.for_code(code)
    if not (error.retriable or code == _NOT_YET):
        raise error
