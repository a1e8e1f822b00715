"""The faust transport that hands over chunks: one message per (partition, run of records).

faust spends some 75 us of Python on each message; a chunk of 500 records pays that once. All else
stays faust's: membership, assignment, rebalance callbacks, the app's life cycle.

Two transports, one per processing guarantee. They differ in who commits offsets: the worker's own
transaction (`ExactlyOnceTransport`), or faust's commit timer (`AtLeastOnceTransport`).
"""

import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError
from aiokafka.structs import ConsumerRecord
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from faust.types.tuples import ack_lock

log = logging.getLogger(__name__)

SCHEMES: Final = {
    "exactly_once": "freshslate-exactly-once",
    "at_least_once": "freshslate-at-least-once",
}
"""URL scheme of the broker setting by processing guarantee."""


FETCH_WAIT_MS: Final = 20
"""How long the broker holds a fetch that finds nothing. The library asks a broker one thing at a time, and
leaves out the partitions whose last records are still being handed over: what comes for these meanwhile waits
for the fetch to end. With faust's 1.5 s a busy partition beside idle ones stood still for a second."""


class Chunk(NamedTuple):
    """A run of records of one partition, in offset order."""

    topic: str
    partition: int
    start: int
    """Position the fetch started from. `records[0].offset` may lie beyond it where the log has
    control records of upstream transactions, or where retention removed records; nothing that could
    be read lies between."""
    records: Sequence[ConsumerRecord[bytes | None, bytes | None]]
    generation: int
    """Generation of the consumer group in which it was fetched."""

    @property
    def end(self) -> int:
        """Offset after the last record."""
        return int(self.records[-1].offset) + 1


class Membership(NamedTuple):
    """What the group coordinator knows this worker by; it goes into every offset commit (KIP-447)."""

    generation: int
    member_id: str
    instance_id: str | None


class Passed(NamedTuple):
    """How far a partition has been read; both as of the same moment."""

    delivered: int
    """Offset after the last record that the consumer handed over; 0 before the first."""
    position: int
    """Offset that is fetched next. It also passes control records, which are never handed over."""


class RebalanceListener(driver.ConsumerRebalanceListener):  # type: ignore[misc]  # untyped base
    """Takes the membership at the moment of the assignment.

    Later would be too late: a worker that lost its partitions while frozen must commit with the
    generation it had, and be refused. aiokafka resets its own fields as soon as it learns better.
    """

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Remember who we are in this generation, then go on as faust does."""
        coordinator = self._thread._ensure_consumer()._coordinator
        self._thread.consumer.membership = Membership(
            coordinator.generation, coordinator.member_id, coordinator._group_instance_id
        )
        await super().on_partitions_assigned(assigned)


class ChunkThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # untyped base
    """faust's consumer thread, reading committed records only and noting where fetches start."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._delivered: dict[TopicPartition, int] = {}
        self.passed: Mapping[TopicPartition, Passed] = {}
        """By assigned partition. Replaced whole between two fetches, so any thread may read it."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # faust ties this to its own transactions, which are not used here; what an upstream
        # transaction aborted must not reach a profile.
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek every assigned partition to its committed offset.

        Where a rebalance takes partitions while the broker is being asked for them, there is nothing to
        seek: the next assignment asks again. The library raises what would end the worker.
        """
        try:
            offsets: Mapping[TP, int] = await super().seek_to_committed()
        except IllegalStateError as error:
            log.info("the assignment changed during a seek: %s", error)
            return {}
        return offsets

    async def _fetch_records(self, consumer: Any, active_partitions: set[TP], **limits: Any) -> Any:
        before = self._positions(consumer)
        self.passed = {tp: Passed(self._delivered.get(tp, 0), position) for tp, position in before.items()}
        fetched = await super()._fetch_records(consumer, active_partitions, **limits)
        self._delivered.update((tp, records[-1].offset + 1) for tp, records in fetched.items())
        return {tp: (before.get(tp), records) for tp, records in fetched.items()}

    @staticmethod
    def _positions(consumer: Any) -> dict[TopicPartition, int]:
        subscription = consumer._fetcher._subscriptions.subscription
        assignment = subscription.assignment if subscription is not None else None
        if assignment is None:
            return {}
        states = ((tp, assignment.state_value(tp)) for tp in assignment.tps)
        return {tp: state._position for tp, state in states if state is not None and state.has_valid_position}


class ChunkConsumer(driver.Consumer):  # type: ignore[misc]  # untyped base
    """Yields chunks; acknowledging one acknowledges all of its records."""

    RebalanceListener = RebalanceListener
    membership: Membership | None = None

    @property
    def passed(self) -> Mapping[TopicPartition, Passed]:
        """How far each assigned partition has been read."""
        passed: Mapping[TopicPartition, Passed] = self._thread.passed
        return passed

    def _new_consumer_thread(self) -> ChunkThread:
        return ChunkThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(  # faust's signature
        self,
        timeout: float,  # noqa: ASYNC109
    ) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Fetch, and hand over one message per (partition, chunk)."""
        fetched, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if fetched is None or self.should_stop:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        for raw_tp, (before, records) in fetched.items():
            tp = TP(raw_tp.topic, raw_tp.partition)
            if active is not None and tp not in active:
                continue
            for chunk in self._cut(tp, before, records, generation):
                if not self.flow_active or generation != self.app.consumer_generation_id:
                    return
                # Chunks are checked for gaps against the store's marker, by the loop; faust's own
                # bookkeeping of single offsets would take every chunk for one.
                self._read_offset[tp] = None
                yield tp, self._message(tp, chunk)

    def _cut(self, tp: TP, before: int | None, records: Sequence[Any], generation: int) -> Iterable[Chunk]:
        size = self.app.chunk_records
        # A seek may have moved the position between the look at it and the fetch: then the
        # records themselves know better.
        start = records[0].offset if before is None else min(before, records[0].offset)
        for i in range(0, len(records), size):
            run = records[i : i + size]
            yield Chunk(tp.topic, tp.partition, start, run, generation)
            start = run[-1].offset + 1

    @staticmethod
    def _message(tp: TP, chunk: Chunk) -> ConsumerMessage:
        last = chunk.records[-1]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            None,
            None,
            chunk,
            None,
            0,
            0,
            tp,
            generation_id=chunk.generation,
        )

    def ack(self, message: ConsumerMessage) -> bool:
        """Acknowledge a whole chunk; the loop does so in offset order."""
        with ack_lock:
            if message.acked:
                return False
            message.acked = True
            self._unacked_messages.discard(message)
            self._acked[message.tp] = [message.offset + 1]
            return True

    def _new_offset(self, tp: TP) -> int | None:
        acked = self._acked[tp]
        return acked[-1] if acked else None

    def on_buffer_full(self, tp: TP) -> None:
        """Let the full queue hold back the fetch itself.

        faust's way, to take the partition out of the fetch, sleeps a whole second once every
        partition is out.
        """

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Say nothing: faust's check counts messages, and ours are chunks."""


class ExactlyOnceConsumer(ChunkConsumer):
    """Never commits: offsets are part of the worker's own transaction."""

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002
        """Commit nothing."""
        return False


class AtLeastOnceTransport(driver.Transport):  # type: ignore[misc]  # untyped base
    """Chunks, with offsets committed by faust's timer after they were applied."""

    Consumer = ChunkConsumer


class ExactlyOnceTransport(driver.Transport):  # type: ignore[misc]  # untyped base
    """Chunks, with offsets committed by the worker's transactions."""

    Consumer = ExactlyOnceConsumer


def register() -> None:
    """Make both transports known to faust by their URL scheme."""
    aliases: Mapping[str, str] = {
        SCHEMES["exactly_once"]: f"{__name__}:{ExactlyOnceTransport.__name__}",
        SCHEMES["at_least_once"]: f"{__name__}:{AtLeastOnceTransport.__name__}",
    }
    TRANSPORTS.aliases.update(aliases)
