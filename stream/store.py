"""One partition of state: RocksDB on local disk, a copy of its partition of the changelog topic.

The changelog is the truth. The local copy is written only after the transaction that made it true,
together with the changelog offset it stands for, so a restart reads no more than the tail. RocksDB's own
log is off: rows and offset reach the disk together or not at all, so a copy is always the state at one
offset, and what a crash takes from it is in the changelog (docs/decisions/recovery.md).
"""

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from rocksdict import BlockBasedOptions, Cache, DBCompressionType, Options, Rdict, WriteBatch, WriteOptions

from state.errors import DamagedCopy, DiskFault, FreshslateError
from stream import faults
from stream.batches import Fetched, fetched
from stream.codecs import Marker, decode_marker
from stream.connection import Where, arguments

log = logging.getLogger(__name__)

MARKER: Final = b"\x00applied\x00"
"""Key prefix, before the topic's name: which records of an input topic the state contains."""
_POSITION: Final = b"\x00changelog"
"""Key, local only: the changelog offset after the last record this copy contains."""
_WRITTEN: Final = b"\x00written"
"""Key, local only: when that was, epoch seconds by this machine's clock."""
MOST_AGE_SECONDS: Final = 6 * 86_400
"""A copy older than this may lack tombstones that are in the changelog no more: they stay 7 days there
(`delete.retention.ms`, `stream/topics.py`)."""

_USAGE: Final = (
    "rocksdb.total-sst-files-size",
    "rocksdb.cur-size-all-mem-tables",
    "rocksdb.block-cache-usage",
)
"""RocksDB's names of the fields of `Usage`."""

_DAMAGE: Final = ("Corruption", "No such file or directory")
"""How RocksDB says that a copy's files are not what it wrote."""
_POLL_MS: Final = 200
_OPEN_TRANSACTION_POLL_SECONDS: Final = 0.05


class Memory:
    """RocksDB's memory, shared by all partitions of a worker.

    The bindings' defaults would give each partition a cache of its own and no bloom filter.

    Args:
        cache_bytes: block cache of the whole worker.
        write_buffer_bytes: memtable of one partition; RocksDB keeps up to two.
    """

    def __init__(self, *, cache_bytes: int, write_buffer_bytes: int) -> None:
        self._cache = Cache(cache_bytes)
        self._write_buffer_bytes = write_buffer_bytes

    def options(self) -> Options:
        """Options for one partition's database."""
        blocks = BlockBasedOptions()
        blocks.set_block_cache(self._cache)
        blocks.set_bloom_filter(10, False)
        blocks.set_cache_index_and_filter_blocks(True)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_block_based_table_factory(blocks)
        options.set_write_buffer_size(self._write_buffer_bytes)
        options.set_max_write_buffer_number(2)
        options.set_compression_type(DBCompressionType.lz4())
        options.set_max_open_files(64)
        return options


class Usage(NamedTuple):
    """What RocksDB holds, bytes."""

    sst_files: int
    """On disk."""
    memtables: int
    block_cache: int


class PartitionStore:
    """The profiles of one partition, and what they contain of each input topic."""

    def __init__(self, path: Path, memory: Memory) -> None:
        """Open or create the local copy.

        Args:
            path: folder of this partition's database; one process may have it open.
            memory: options shared by the worker's partitions.

        Raises:
            DamagedCopy: its files are broken.
            DiskFault: the disk does not let it be opened.
        """
        self.path = path
        self._fault: FreshslateError | None = None
        """What went wrong here; nothing else is worth a line afterwards."""
        self._unlogged = WriteOptions()
        self._unlogged.disable_wal = True
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = Rdict(str(path), memory.options())
            self._open = True
            self.position = int(self._db.get(_POSITION) or b"0")
            self.written = int(self._db.get(_WRITTEN) or b"0")
        """Changelog offset from which this copy is to be brought up to date."""
        self.markers: dict[str, Marker] = {}
        """By input topic, once restored."""

    @classmethod
    def opened(cls, path: Path, memory: Memory, *, changelog_end: int, now: float | None = None) -> Self:
        """Open the local copy, or start an empty one where it is damaged, too old or of another changelog.

        Args:
            path: folder of this partition's database.
            memory: options shared by the worker's partitions.
            changelog_end: high watermark of the partition's changelog.
            now: epoch seconds; this machine's if not given.
        """
        try:
            store = cls(path, memory)
        except DamagedCopy as error:
            log.warning("%s", error)
            shutil.rmtree(path, ignore_errors=True)
            store = cls(path, memory)
        is_old = store.position > 0 and store.written < (now or time.time()) - MOST_AGE_SECONDS
        if is_old:
            log.info("the local copy %s is too old to have seen every tombstone: it is rebuilt", path)
        # Beyond the end: the topic was deleted and created again, and what is here was never in this log.
        if is_old or store.position > changelog_end:
            store.close()
            shutil.rmtree(path)
            store = cls(path, memory)
        return store

    def applied(self, topic: str) -> int:
        """Offset of the last record of an input topic that the state contains; -1 for none."""
        marker = self.markers.get(topic)
        return -1 if marker is None else marker.offset

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values by key, None for a user never seen.

        Raises:
            DamagedCopy: a block is not what its checksum says.
        """
        with self._told():
            found: list[bytes | None] = self._db.get(list(keys))
        return found

    def apply(
        self, rows: Iterable[tuple[bytes, bytes | None]], markers: Mapping[str, Marker], position: int
    ) -> None:
        """Write one cycle's rows, all or nothing.

        Args:
            rows: exactly what was written to the changelog, markers included; None deletes.
            markers: the decoded markers among `rows`, by topic.
            position: changelog offset after them.

        Raises:
            DamagedCopy: the copy is broken, which nothing but the next assignment can mend.
            DiskFault: the disk is full.
        """
        self.extend(rows, position)
        self.markers.update(markers)

    def restored(self, topics: Iterable[str]) -> None:
        """Read the markers, once the changelog's tail has been read."""
        names = list(topics)
        values = self.get([MARKER + name.encode() for name in names])
        for topic, value in zip(names, values, strict=True):
            if value is not None:
                self.markers[topic] = decode_marker(value)

    def users(self) -> Iterable[tuple[bytes, bytes]]:
        """Every user's key and encoded profile."""
        for key, value in self._db.items():
            if not key.startswith(b"\x00"):
                yield key, value

    def usage(self) -> Usage:
        """How much it holds; the block cache is shared, and reported whole."""
        return Usage(*(int(self._db.property_int_value(name) or 0) for name in _USAGE))

    def close(self) -> None:
        """Close the database, and remove a damaged one; a second call does nothing."""
        if not self._open:
            return
        self._open = False
        known = self._fault
        try:
            with self._told():
                self._db.close()
        except FreshslateError as error:
            # Nobody can do anything about it now, and the changelog has what did not get to the disk.
            if known is None:
                log.warning("%s", error)
        if isinstance(self._fault, DamagedCopy):
            shutil.rmtree(self.path, ignore_errors=True)

    def extend(self, rows: Iterable[tuple[bytes, bytes | None]], position: int) -> None:
        """Write rows of the changelog and the offset after them, all or nothing."""
        batch = WriteBatch(raw_mode=True)
        for key, value in rows:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(_POSITION, b"%d" % position)
        batch.put(_WRITTEN, b"%d" % time.time())
        with self._told():
            self._db.write(batch, self._unlogged)
        self.position = position

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Name RocksDB's errors, which all come as bare `Exception`, by what to do about them."""
        try:
            yield
        except OSError as error:
            raise DiskFault(str(self.path), str(error)) from error
        except Exception as error:
            if type(error) is not Exception:
                raise
            detail = " ".join(str(error).split())
            named = DamagedCopy if any(words in detail for words in _DAMAGE) else DiskFault
            self._fault = named(str(self.path), detail)
            raise self._fault from error


class Changelog:
    """Reads the changelog topic for restore.

    Args:
        where: the brokers are.
        topic: the changelog.
        inputs: topics whose bounds will be asked for.
    """

    def __init__(self, where: Where, topic: str, inputs: Sequence[str] = ()) -> None:
        self.topic = topic
        self._known = (topic, *inputs)
        self._settings: dict[str, Any] = {
            **arguments(where),
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "max_partition_fetch_bytes": 8 << 20,
            "fetch_max_bytes": 32 << 20,
        }

    async def start(self) -> None:
        """Connect."""
        self._committed = AIOKafkaConsumer(isolation_level="read_committed", **self._settings)
        self._uncommitted = AIOKafkaConsumer(**self._settings)
        for consumer in (self._committed, self._uncommitted):
            await consumer.start()
            for topic in self._known:
                # Without this the first question about a topic fails, and is asked again 0.1 s later.
                await consumer._client._wait_on_metadata(topic)

    async def stop(self) -> None:
        """Disconnect."""
        await self._committed.stop()
        await self._uncommitted.stop()

    def _partition(self, partition: int) -> TopicPartition:
        return TopicPartition(self.topic, partition)

    async def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """High watermark by partition."""
        found = await self._uncommitted.end_offsets([self._partition(p) for p in partitions])
        return {tp.partition: offset for tp, offset in found.items()}

    async def bounds(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """First offset still in the log and offset after the last, of partitions of any topic.

        Asked here rather than of the worker's consumer, whose thread answers between two fetches.
        """
        first = await self._uncommitted.beginning_offsets(tps)
        end = await self._uncommitted.end_offsets(tps)
        return {tp: (first[tp], end[tp]) for tp in tps}

    async def open_transactions(self, partitions: Iterable[int]) -> dict[int, int]:
        """Last stable offset of the partitions in which a transaction is still open."""
        tps = [self._partition(p) for p in partitions]
        stable = await self._committed.end_offsets(tps)
        high = await self._uncommitted.end_offsets(tps)
        return {tp.partition: stable[tp] for tp in tps if stable[tp] < high[tp]}

    async def wait_until_stable(self, partitions: Sequence[int], timeout_seconds: float) -> dict[int, int]:
        """Wait for open transactions to end.

        Returns:
            Last stable offset of the partitions where one is still open after the timeout.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        # Nobody tells us when a transaction of another process ends: this can only ask.
        while (still := await self.open_transactions(partitions)) and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_OPEN_TRANSACTION_POLL_SECONDS)
        return still

    async def writer_since(self, partition: int, stable: int) -> str | None:
        """Transactional id of whoever wrote after the last stable offset, from its marker."""
        tp = self._partition(partition)
        high = (await self.ends([partition]))[partition]
        self._uncommitted.assign([tp])
        self._uncommitted.seek(tp, stable)
        writer = None
        while await self._uncommitted.position(tp) < high:
            for records in (await self._uncommitted.getmany(tp, timeout_ms=_POLL_MS)).values():
                for record in records:
                    if record.key is not None and record.key.startswith(MARKER) and record.value:
                        writer = decode_marker(record.value).writer
        return writer

    async def restore(self, stores: Mapping[int, PartitionStore]) -> int:
        """Bring local copies up to date, all partitions at once.

        Returns:
            How many records were read.
        """
        ends = await self.ends(stores)
        behind = {self._partition(p): store for p, store in stores.items() if store.position < ends[p]}
        self._committed.assign(list(behind))
        for tp, store in behind.items():
            self._committed.seek(tp, store.position)
        count = 0
        while behind:
            for run in await fetched(self._committed, _POLL_MS / 1000):
                if run.tp in behind:
                    count += await _finished(behind[run.tp], run)
                    faults.reached("restore")
                run.release()
            for tp in [tp for tp in behind if await self._committed.position(tp) >= ends[tp.partition]]:
                del behind[tp]
        return count


async def _finished(store: PartitionStore, fetch: Fetched) -> int:
    """Write what was fetched, in a thread, which has the store for itself until it is done.

    Returns:
        How many records it was.
    """

    def write() -> int:
        run = fetch.unpack()
        store.extend(run.rows.items(), run.position)
        return run.records

    writing = asyncio.ensure_future(asyncio.to_thread(write))
    try:
        return await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait([writing])
        raise
