"""The worker's one loop: gather, open, step, commit, apply, ack.

Four rules make it exactly once, and each has a test that fails without it
(`tests/stream/test_loop.py`, for the third `tests/kafka/test_transaction.py`):

1. After a refusal or a failed transaction, do nothing more on that assignment.
2. A chunk must continue what was applied; one that starts beyond was preceded by records that got
   lost on the way here, so it is dropped and the partition sought back.
3. Data first, acknowledged; then the offset commit; then the end (`stream/transaction.py`).
4. A revoked partition's cycle ends before the rebalance goes on.
"""

import asyncio
import bisect
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from state.errors import Refused
from stream import faults
from stream.config import Settings
from stream.measures import Cycle, Transaction, measure, transactions
from stream.metrics import Metrics
from stream.pace import Pace
from stream.partitions import Partitions
from stream.transaction import Publisher, Written
from stream.transport import Chunk, Membership
from stream.work import Record, Result, Work
from stream.worker_metrics import ENDED, REBALANCES, RESTORE_SECONDS, RESTORED

Runs: TypeAlias = Mapping[int, Mapping[str, Sequence[Record]]]
"""Records by partition, by topic."""

log = logging.getLogger(__name__)

CONNECT_SECONDS = 15.0
"""How long a connection may take, an open transaction's timeout included."""
RETRY_SECONDS = 0.5
"""Pause before the broker is tried again."""
clock = time.perf_counter
"""What takes how long. The event loop's own clock, uvloop's, ticks in milliseconds."""


class Delivery(NamedTuple):
    """A chunk, and how to acknowledge it."""

    chunk: Chunk
    ack: Callable[[], Any]
    since: float = 0.0
    """When it was handed over, by `clock`; the loop fills it in."""


class Input(Protocol):
    """What the loop needs of the consumer."""

    async def seek(self, topic: str, partition: int, offset: int) -> None:
        """Read this partition from this offset next."""
        ...

    async def rejoin(self) -> None:
        """Ask the group for a new generation."""
        ...


class _Accepted(NamedTuple):
    runs: dict[int, dict[str, Sequence[Record]]]
    """By partition, by topic."""
    acks: list[Callable[[], Any]]


class Loop:
    """Processes what the consumer delivers, until it is stopped."""

    def __init__(
        self,
        *,
        source: Input,
        partitions: Partitions,
        publisher: Publisher,
        work: Work,
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            source: the consumer.
            partitions: of state.
            publisher: of results.
            work: what is done with records.
            settings: of the worker.
            metrics: of the worker.
        """
        self.on_commit: Callable[[], object] = tuple
        """Called when a cycle's transaction is in the log."""
        self._source = source
        self._partitions = partitions
        self._publisher = publisher
        self._work = work
        self._settings = settings
        self._metrics = metrics
        self._pace = Pace(settings.most_cycle_events, settings.cycle_step_seconds)
        self._queue: asyncio.Queue[Delivery | None] = asyncio.Queue(settings.queue_chunks)
        self._lock = asyncio.Lock()
        self._membership: Membership | None = None
        self._generation = 0
        """Of the latest assignment, whether it goes on or has ended."""
        self._early: list[Delivery] = []
        """Of an assignment that is still to begin."""
        self._assigned: frozenset[int] = frozenset()
        self._connected = False
        self.transactions: dict[int, Transaction] = {}
        """The latest cycle of each partition that was ours."""

    @property
    def generation(self) -> int:
        """Of the latest assignment, whether it goes on or has ended; 0 before the first."""
        return self._generation

    @property
    def assignment(self) -> frozenset[int]:
        """Partitions that the group gave us."""
        return self._assigned

    @property
    def waiting(self) -> int:
        """Chunks that wait for the next cycle."""
        return self._queue.qsize()

    @property
    def queued(self) -> Counter[int]:
        """Those chunks by partition."""
        waiting: Iterable[Delivery | None] = self._queue._queue  # type: ignore[attr-defined]  # no other way to look
        return Counter(delivery.chunk.partition for delivery in waiting if delivery is not None)

    # What the consumer tells us ------------------------------------------------------------------

    async def put(self, delivery: Delivery) -> None:
        """Hand over a chunk; waits while the queue is full, which holds back the consumer."""
        await self._queue.put(delivery._replace(since=clock()))

    async def assigned(self, partitions: Collection[int], membership: Membership) -> None:
        """Begin an assignment."""
        async with self._lock:
            self._assigned = frozenset(partitions)
            self._membership = membership
            self._generation = membership.generation
            self._metrics.add(REBALANCES, 1)
            log.info("assigned partitions %s", sorted(self._assigned), extra=self._life())
            self._wake()

    async def revoked(self) -> None:
        """End the assignment; returns when the running cycle has ended (rule 4)."""
        async with self._lock:
            if self._membership is not None:
                log.info("drained: partitions %s are let go", sorted(self._assigned), extra=self._life())
            self._give_up()

    async def stop(self) -> None:
        """Finish the running cycle, then let go of everything."""
        await self.revoked()
        async with self._lock:
            await self._publisher.stop()
            await self._partitions.stop()

    # The loop -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Cycle for ever.

        Raises:
            StopWorker: an operator has to look; nothing of the failed cycle was committed.
        """
        while True:
            deliveries = await self._gather()
            started = clock()
            async with self._lock:
                await self._cycle(deliveries)
            if deliveries and (rest := started + self._settings.cycle_min_seconds - clock()) > 0:
                await asyncio.sleep(rest)

    async def _gather(self) -> list[Delivery]:
        """Wait for a delivery, then take all that wait, up to the cap."""
        gathered = [await self._queue.get()]
        cap = self._pace.cap()
        count = _size(gathered[0])
        while count < cap and not self._queue.empty():
            gathered.append(self._queue.get_nowait())
            count += _size(gathered[-1])
        return [delivery for delivery in gathered if delivery is not None]

    async def _cycle(self, deliveries: Sequence[Delivery]) -> None:
        """Run one cycle, and if it fails, end the assignment (rule 1)."""
        membership = self._membership
        if membership is None:
            # The library fetches for an assignment while it still tells of it. Nobody would fetch that again
            # before a later record of the partition shows the gap, and there may be none for long.
            self._early += [d for d in deliveries if d.chunk.generation > self._generation]
            return
        waiting = [*self._early, *deliveries]
        self._early = []
        current = [d for d in waiting if d.chunk.generation == membership.generation]
        try:
            await self._connect()
            await self._open()
            accepted = await self._accept(current)
            if accepted.runs:
                await self._process(accepted.runs, membership, [delivery.since for delivery in current])
        except (Refused, KafkaError, TimeoutError) as error:
            await self._end_assignment(error)
            return
        for ack in accepted.acks:
            ack()

    async def _connect(self) -> None:
        if not self._connected:
            # The library asks without end while the broker cannot end our former transaction; the lock is
            # held meanwhile, so nobody could stop the worker.
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._publisher.start()
            self._connected = True

    async def _open(self) -> None:
        """Restore what was assigned and is not open yet."""
        missing = self._assigned - self._partitions.opened
        if missing:
            faults.reached("assigned")
            started = clock()
            count = await self._partitions.open(missing)
            self._metrics.add(RESTORED, count)
            self._metrics.observe(RESTORE_SECONDS, [clock() - started])

    async def _accept(self, deliveries: Sequence[Delivery]) -> _Accepted:
        """Take the records that continue what was applied; seek back where some are missing (rule 2)."""
        runs: dict[int, dict[str, Sequence[Record]]] = {}
        acks: list[Callable[[], Any]] = []
        gaps: dict[tuple[str, int], int] = {}
        for chunk, ack, _ in deliveries:
            place = (chunk.topic, chunk.partition)
            if place in gaps:
                continue
            run = runs.get(chunk.partition, {}).get(chunk.topic, ())
            expected = run[-1].offset + 1 if run else self._partitions.expected(*place)
            if chunk.start > expected:
                gaps[place] = expected
                continue
            if chunk.records[0].offset > expected:
                await self._partitions.check_log_start(*place, expected)
            new = chunk.records[bisect.bisect_left(chunk.records, expected, key=_offset) :]
            if new:
                runs.setdefault(chunk.partition, {})[chunk.topic] = [*run, *new] if run else new
            acks.append(ack)
        for place, expected in gaps.items():
            await self._seek_back(*place, expected)
        return _Accepted(runs, acks)

    async def _seek_back(self, topic: str, partition: int, expected: int) -> None:
        await self._partitions.check_log_start(topic, partition, expected)
        log.warning(
            "%s-%d: records from %d on got lost on the way; reading again",
            topic,
            partition,
            expected,
            extra={"partitions": [partition], "generation": self._generation},
        )
        await self._source.seek(topic, partition, max(expected, self._partitions.expected(topic, partition)))

    async def _process(self, runs: Runs, membership: Membership, since: Sequence[float]) -> None:
        """Step, commit, apply."""
        started = clock()
        results = {
            partition: self._work(partition, by_topic, self._partitions.store(partition), clock=clock)
            for partition, by_topic in runs.items()
        }
        for partition, result in results.items():
            self._partitions.count_dead_letters(partition, result)
        stepped = clock()
        offsets = {
            TopicPartition(topic, partition): run[-1].offset + 1
            for partition, by_topic in runs.items()
            for topic, run in by_topic.items()
        }
        outputs, changelogs = self._written(results)
        last = await self._publisher.publish(outputs, changelogs, offsets, membership)
        self.on_commit()
        faults.reached("apply")
        committed, committed_at = clock(), self._metrics.now()
        for (partition, result), offset in zip(results.items(), last, strict=True):
            self._partitions.store(partition).apply(result.changelog, result.markers, offset + 1)
        cycle = Cycle(
            records=sum(len(run) for by_topic in runs.values() for run in by_topic.values()),
            results=list(results.values()),
            queued=[started - each for each in since],
            step=stepped - started,
            commit=committed - stepped,
            apply=clock() - committed,
            phases=self._publisher.took,
            committed_at=committed_at,
        )
        self._pace.learn(cycle.step, cycle.records)
        measure(self._metrics, cycle)
        self.transactions |= transactions(cycle, {p: sum(map(len, runs[p].values())) for p in results})

    def _written(self, results: Mapping[int, Result]) -> tuple[list[Written], list[Written]]:
        """Rows by topic and partition: outputs, and one changelog entry per partition of state."""
        topics = self._settings
        outputs = []
        changelogs = []
        for partition, result in results.items():
            rows = [(key, value, ()) for key, value in result.changelog]
            changelogs.append(Written(topics.profiles_topic, partition, rows))
            for topic, answer in (
                (topics.slates_topic, result.slates),
                (topics.rewards_topic, result.rewards),
                (topics.deltas_topic, result.deltas),
                (topics.dlq_topic, result.dead_letters),
            ):
                if answer:
                    outputs.append(Written(topic, partition, answer))
        return outputs, changelogs

    # Ending an assignment -------------------------------------------------------------------------

    async def _end_assignment(self, error: Exception) -> None:
        """Let go, and ask for a new generation.

        Whatever the error, this process can no longer say what was committed; the changelog can.
        A refused worker gets its next generation anyway; one whose transaction timed out in a pause
        is still a member, and asks.
        """
        log.warning("assignment ended: %s: %s", type(error).__name__, error, extra=self._life())
        self._metrics.add(ENDED, 1, type(error).__name__)
        self._give_up()
        self._connected = False
        with contextlib.suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(RETRY_SECONDS):
                await self._publisher.stop()
        with contextlib.suppress(KafkaError, TimeoutError):
            # A start ends the open transaction, so that readers need not wait for its timeout.
            async with asyncio.timeout(RETRY_SECONDS):
                await self._connect()
        await asyncio.sleep(RETRY_SECONDS)
        await self._source.rejoin()

    def _give_up(self) -> None:
        self._membership = None
        self._assigned = frozenset()
        self._partitions.close()
        while not self._queue.empty():
            self._queue.get_nowait()

    def _life(self) -> dict[str, object]:
        """What a line of the log is about, for those who search it."""
        return {"partitions": sorted(self._assigned), "generation": self._generation}

    def _wake(self) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(None)


def _size(delivery: Delivery | None) -> int:
    return 0 if delivery is None else len(delivery.chunk.records)


def _offset(record: Record) -> int:
    return int(record.offset)
