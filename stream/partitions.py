"""The partitions of state that this worker holds: opening them safely, and what each expects next."""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from aiokafka import TopicPartition

from state.errors import Refused, StopWorker
from stream.config import Settings
from stream.connection import connection
from stream.dead_letter import DeadLetterLimit, DeadLetterPolicy
from stream.published import Published
from stream.store import Changelog, Memory, PartitionStore, Usage
from stream.transaction import end_transaction_of
from stream.work import Result

log = logging.getLogger(__name__)

STUCK_SECONDS = 0.5
"""How long a changelog's last stable offset stands still before its writer is taken for dead."""


class Partitions:
    """Opens, holds and closes this worker's partition stores."""

    def __init__(
        self, settings: Settings, folder: Path, *, writer: str, published: Published | None = None
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            settings: of the worker.
            folder: of this process alone.
            writer: our own transactional id.
            published: is told what a cycle that never ended has published; without it nobody asks.
        """
        self._settings = settings
        self._folder = folder
        self._writer = writer
        self._published = published
        self._memory = Memory(
            cache_bytes=settings.rocksdb_cache_bytes, write_buffer_bytes=settings.rocksdb_write_buffer_bytes
        )
        self._changelog = Changelog(connection(settings), settings.profiles_topic, settings.input_topics)
        self._started = False
        self._stores: dict[int, PartitionStore] = {}
        self._restoring: tuple[Mapping[int, PartitionStore], Mapping[int, int]] | None = None
        """Stores, and where their changelogs end."""
        self._first: dict[tuple[str, int], int] = {}
        self._dead_letters = DeadLetterPolicy(
            window=settings.dead_letter_window, share=settings.dead_letter_share
        )
        self._limits: dict[tuple[str, int], DeadLetterLimit] = {}

    @property
    def opened(self) -> frozenset[int]:
        """Partitions that are open."""
        return frozenset(self._stores)

    @property
    def restore_left(self) -> int | None:
        """Changelog offsets still to read by the restore that is running; None while there is none."""
        return None if self._restoring is None else sum(self.restoring.values())

    @property
    def restoring(self) -> Mapping[int, int]:
        """Changelog offsets still to read, by partition that is being restored."""
        if self._restoring is None:
            return {}
        stores, ends = self._restoring
        return {p: max(0, ends[p] - store.position) for p, store in stores.items()}

    def store(self, partition: int) -> PartitionStore:
        """The open store of a partition."""
        return self._stores[partition]

    def expected(self, topic: str, partition: int) -> int:
        """Offset of the input record that comes next."""
        return max(self._stores[partition].applied(topic) + 1, self._first[topic, partition])

    async def open(self, partitions: Collection[int]) -> int:
        """Open and restore partitions.

        Args:
            partitions: not yet open.

        Returns:
            How many changelog records were read.

        Raises:
            Refused: another worker is writing to one of them, so this assignment is over.
            StopWorker: the input log does not contain what comes next.
        """
        if not partitions:
            return 0
        if not self._started:
            await self._changelog.start()
            self._started = True
        started = time.monotonic()
        await self._settle(sorted(partitions))
        ends = await self._changelog.ends(partitions)
        stores: dict[int, PartitionStore] = {}
        self._restoring = stores, ends
        try:
            for p in partitions:
                path = self._folder / f"p{p}"
                stores[p] = PartitionStore.opened(path, self._memory, changelog_end=ends[p])
            count = await self._changelog.restore(stores)
            for store in stores.values():
                store.restored(self._settings.input_topics)
            await self._check_inputs(stores)
            if self._published is not None:
                await self._published.restore(stores)
        except BaseException:
            for store in stores.values():
                store.close()
            raise
        finally:
            self._restoring = None
        self._stores.update(stores)
        log.info(
            "opened partitions %s, restored %d changelog records in %.2f s",
            sorted(partitions),
            count,
            time.monotonic() - started,
            extra={"partitions": sorted(partitions)},
        )
        return count

    async def _settle(self, partitions: Sequence[int]) -> None:
        """Wait until no transaction of a former owner is open; end it where its writer is dead.

        A frozen writer holds the last stable offset until its transaction times out. Fencing its
        transactional id ends that at once. An offset that moves belongs to a living owner: then it
        is us who are late.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.session_timeout_seconds
        still = await self._changelog.wait_until_stable(partitions, STUCK_SECONDS)
        while still:
            for partition, stable in still.items():
                holder = await self._changelog.writer_since(partition, stable)
                now = (await self._changelog.open_transactions([partition])).get(partition)
                if now == stable and holder and holder != self._writer:
                    log.warning("ending the transaction that %s left open in partition %d", holder, partition)
                    await end_transaction_of(holder, connection(self._settings))
            still = await self._changelog.wait_until_stable(partitions, STUCK_SECONDS)
            if still and loop.time() > deadline:
                message = f"partitions {sorted(still)} are being written by another worker"
                raise Refused(message)

    async def _check_inputs(self, stores: Mapping[int, PartitionStore]) -> None:
        tps = [TopicPartition(topic, p) for topic in self._settings.input_topics for p in stores]
        for tp, (first, end) in (await self._changelog.bounds(tps)).items():
            expected = stores[tp.partition].applied(tp.topic) + 1
            if expected > end:
                message = (
                    f"{tp.topic}-{tp.partition} ends at offset {end}, but offset {expected} was expected "
                    "next: the topic was deleted and created again. Delete the topic "
                    f"{self._settings.profiles_topic} too, or start with another FRESHSLATE_APP_ID and "
                    "FRESHSLATE_TOPIC_PREFIX."
                )
                raise StopWorker(message)
            self._first[tp.topic, tp.partition] = first
            if 0 < expected < first:
                self._lost(tp.topic, tp.partition, expected, first)

    async def check_log_start(self, topic: str, partition: int, expected: int) -> None:
        """Find out whether a jump in offsets is harmless (control records) or lost input.

        Raises:
            StopWorker: records were removed from the log before they were read.
        """
        tp = TopicPartition(topic, partition)
        first, _ = (await self._changelog.bounds([tp]))[tp]
        if first > expected:
            self._lost(topic, partition, expected, first)
            self._first[topic, partition] = first

    def _lost(self, topic: str, partition: int, expected: int, first: int) -> None:
        message = (
            f"{first - expected} records of {topic}-{partition} (offsets {expected} to {first - 1}) were "
            "removed by retention before they were read. Raise the topic's retention.ms; to go on without "
            "them, set FRESHSLATE_ON_LOST_INPUT=continue."
        )
        if self._settings.on_lost_input == "stop":
            raise StopWorker(message)
        log.error(message)

    def count_dead_letters(self, partition: int, result: Result) -> None:
        """Count a cycle's dead letters against the limit, before they are committed.

        Raises:
            state.errors.TooManyDeadLetters: nearly everything is invalid, so the fault is probably ours.
        """
        for topic, flags in result.invalid.items():
            limit = self._limits.get((topic, partition))
            if limit is None:
                limit = self._limits[topic, partition] = DeadLetterLimit(self._dead_letters, topic, partition)
            limit.record(bytes(flags), last=result.last_error)

    def usage(self) -> Usage:
        """What RocksDB holds for all open partitions together."""
        used = [store.usage() for store in self._stores.values()]
        return Usage(
            sum(each.sst_files for each in used),
            sum(each.memtables for each in used),
            # One cache for all of them, of which each reports the whole.
            max((each.block_cache for each in used), default=0),
        )

    def close(self) -> None:
        """Close all stores."""
        for store in self._stores.values():
            store.close()
        if self._published is not None:
            self._published.forget()
        self._stores.clear()
        self._first.clear()
        self._limits.clear()

    async def stop(self) -> None:
        """Close all and disconnect."""
        self.close()
        if self._started:
            await self._changelog.stop()
            self._started = False
