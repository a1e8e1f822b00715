"""Topics as Parquet files, a folder a day, that further runs go on with.

A part holds a range of one partition's offsets. Parts are written under another name and moved, and the
progress of a partition is written after them: whatever dies in between, the next run removes what goes beyond
the progress and writes it again. So each record is in exactly one file.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from filelock import FileLock, Timeout
from msgspec import Struct

from stream import arrow_rows
from stream.arrow_rows import ExportError, Kind, load_pyarrow, table_of
from stream.config import Settings
from stream.connection import arguments, connection
from stream.reading import high_watermarks, is_heartbeat
from stream.topics import describe
from stream.work import Record
from stream.worker import event_rules

What: TypeAlias = Literal["slates", "rewards", "events"]

PROGRESS: Final = "_progress.json"
"""Readers of datasets pass over names that begin so."""
TEMPORARY: Final = ".part"
ROWS: Final = 50_000
"""Most rows of a file."""
FILE_BYTES: Final = 128 << 20
"""Most bytes of records of a file, and so about a fifth of what is held in memory per partition."""
_POLL_MS: Final = 200


class Window(NamedTuple):
    """Times by record timestamp, epoch milliseconds; None is no limit."""

    first: int | None = None
    end: int | None = None


class Progress(Struct, frozen=True):
    """What of a topic is in the folder."""

    topic: str
    next_offsets: dict[int, int]
    """By partition."""


class Exported(NamedTuple):
    """How far an export is."""

    topic: str
    rows: int
    """Written."""
    read: int
    files: int
    share: float
    """Of the offsets to read, [0, 1]."""
    time: int
    """Timestamp of the latest record, epoch milliseconds."""


OnProgress: TypeAlias = Callable[[Exported], None]


async def export(
    settings: Settings,
    what: What,
    folder: Path,
    *,
    window: Window | None = None,
    rows: int = ROWS,
    on_progress: OnProgress = lambda _: None,
) -> list[Exported]:
    """Write what is committed now, and is not in the folder yet, to `folder/TOPIC/day=DAY/`.

    Args:
        settings: Of the workers.
        what: `events` is every input topic, each in a folder of its own.
        folder: To write to.
        window: Limits in time, for a folder's first run.
        rows: Most rows of a file.
        on_progress: Told what is done, for each part that is written.

    Returns:
        What was done, by topic.

    Raises:
        ExportError: pyarrow is missing, the topic does not exist, another export writes to the folder, or
            what is there does not fit.
        aiokafka.errors.KafkaError: The broker does not answer.
    """
    load_pyarrow()
    kinds = {
        "slates": ((settings.slates_topic,), arrow_rows.slates),
        "rewards": ((settings.rewards_topic,), arrow_rows.rewards),
        "events": (settings.input_topics, lambda: arrow_rows.events(event_rules(settings))),
    }
    topics, kind = kinds[what]
    found = await describe(connection(settings), sorted(topics))
    if missing := sorted(set(topics) - found.keys()):
        message = (
            f"there is no topic {' or '.join(missing)} at {settings.broker}: is FRESHSLATE_TOPIC_PREFIX that "
            "of the workers?"
        )
        raise ExportError(message)
    done = []
    for topic in topics:
        place = folder / topic.removeprefix(settings.topic_prefix)
        place.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(place / "_lock", timeout=0):
                writer = _Writer(place, topic, kind(), rows)
                done.append(await _export(settings, writer, window or Window(), on_progress))
        except Timeout:
            message = f"another export writes to {place}; wait for it, or give another folder"
            raise ExportError(message) from None
    return done


async def _export(settings: Settings, writer: "_Writer", window: Window, told: OnProgress) -> Exported:
    """Read one topic to its end, or to the window's."""
    async with AIOKafkaConsumer(
        **arguments(connection(settings)),
        isolation_level="read_committed",
        enable_auto_commit=False,
        max_partition_fetch_bytes=4 << 20,
    ) as consumer:
        starts, ends = await _range(consumer, settings, writer, window)
        waiting = {tp for tp, start in starts.items() if start < ends[tp]}
        if not waiting:
            # Nor is anything assigned: the client's consumer hangs when it is stopped before its first fetch.
            return writer.exported(1.0, 0)
        consumer.assign(list(starts))
        for tp, start in starts.items():
            consumer.seek(tp, start)
        total = sum(max(0, ends[tp] - start) for tp, start in starts.items())
        time = 0
        while waiting:
            for tp, records in (await consumer.getmany(*waiting, timeout_ms=_POLL_MS)).items():
                kept = [record for record in records if record.offset < ends[tp]]
                time = records[-1].timestamp
                writer.add(tp.partition, kept)
            positions = {tp: min(await consumer.position(tp), ends[tp]) for tp in starts}
            for tp in waiting & {tp for tp, position in positions.items() if position >= ends[tp]}:
                writer.flush(tp.partition, ends[tp])
                waiting.discard(tp)
            read = sum(positions[tp] - start for tp, start in starts.items())
            told(writer.exported(read / total if total else 1.0, time))
        return writer.exported(1.0, time)


async def _range(
    consumer: AIOKafkaConsumer, settings: Settings, writer: "_Writer", window: Window
) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
    """Where each partition is read from, and up to where.

    Raises:
        ExportError: What is in the folder is of another topic, or a window would leave a gap.
    """
    topic = writer.topic
    await consumer._client._wait_on_metadata(topic)
    tps = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
    ends = dict(await high_watermarks(connection(settings), tps))
    starts = dict(await consumer.beginning_offsets(tps))
    known = writer.next_offsets
    if known and window.first is not None:
        message = f"{writer.folder} goes on where it ended: leave --from out, or give another folder"
        raise ExportError(message)
    for tp in tps:
        if known.get(tp.partition, 0) > ends[tp]:
            message = (
                f"{writer.folder} stands at offset {known[tp.partition]} of {topic}-{tp.partition}, which "
                f"ends at {ends[tp]}: the topic was created again; give another folder"
            )
            raise ExportError(message)
        starts[tp] = max(starts[tp], known.get(tp.partition, 0))
    for limit, offsets in ((window.first, starts), (window.end, ends)):
        if limit is not None:
            for tp, found in (await consumer.offsets_for_times(dict.fromkeys(tps, limit))).items():
                offsets[tp] = ends[tp] if found is None else found.offset
    return starts, ends


class _Writer:
    """Writes parts of one topic, and remembers how far each partition is."""

    def __init__(self, folder: Path, topic: str, kind: Kind, rows: int) -> None:
        self.folder = folder
        self.topic = topic
        self._kind = kind
        self._most_rows = rows
        self._waiting: dict[int, list[Record]] = {}
        self._bytes: dict[int, int] = {}
        self.next_offsets = dict(self._read().next_offsets)
        self._rows = self._files = self._read_records = 0
        self._remove_unfinished()

    def add(self, partition: int, records: Sequence[Record]) -> None:
        """Take records of a partition, which continue those before."""
        waiting = self._waiting.setdefault(partition, [])
        for record in records:
            # A tombstone of the compacted slates is no slate, and a heartbeat is no shopper's.
            if record.value is None or is_heartbeat(record):
                continue
            waiting.append(record)
            self._read_records += 1
            self._bytes[partition] = self._bytes.get(partition, 0) + len(record.value)
            if len(waiting) >= self._most_rows or self._bytes[partition] >= FILE_BYTES:
                self.flush(partition, record.offset + 1)
                waiting = self._waiting.setdefault(partition, [])

    def flush(self, partition: int, next_offset: int) -> None:
        """Write what waits of a partition; the next run reads on from `next_offset`."""
        records = self._waiting.pop(partition, [])
        self._bytes[partition] = 0
        for day, of_day in _by_day(records):
            self._write(day, of_day)
        if self.next_offsets.get(partition) != next_offset:
            self.next_offsets[partition] = next_offset
            progress = Progress(self.topic, self.next_offsets)
            _replace(self.folder / PROGRESS, msgspec.json.encode(progress))

    def exported(self, share: float, time: int) -> Exported:
        """How far it is."""
        return Exported(self.topic, self._rows, self._read_records, self._files, share, time)

    def _write(self, day: str, records: Sequence[Record]) -> None:
        place = self.folder / f"day={day}"
        place.mkdir(exist_ok=True)
        path = place / f"part-{records[0].partition}-{records[0].offset}.parquet"
        beside = path.with_suffix(TEMPORARY)
        parquet: Any = load_pyarrow().parquet
        parquet.write_table(table_of(records, self._kind), beside, compression="zstd")
        _settle(beside, path)
        self._rows += len(records)
        self._files += 1

    def _read(self) -> Progress:
        path = self.folder / PROGRESS
        if not path.exists():
            if any(self.folder.glob("day=*/*.parquet")):
                message = f"{self.folder} holds Parquet files and no {PROGRESS}: give another folder"
                raise ExportError(message)
            # Written first, so that parts of a first run that dies are known to be its own.
            _replace(path, msgspec.json.encode(Progress(self.topic, {})))
        try:
            progress = msgspec.json.decode(path.read_bytes(), type=Progress)
        except msgspec.DecodeError as error:
            message = f"{path} is damaged: {error}; give another folder"
            raise ExportError(message) from None
        if progress.topic != self.topic:
            message = f"{self.folder} holds the topic {progress.topic}, not {self.topic}: give another folder"
            raise ExportError(message)
        return progress

    def _remove_unfinished(self) -> None:
        """Remove what a run that died has written beyond its progress."""
        for path in self.folder.glob(f"day=*/*{TEMPORARY}"):
            path.unlink()
        for path in self.folder.glob("day=*/part-*-*.parquet"):
            partition, offset = map(int, path.stem.removeprefix("part-").split("-"))
            if offset >= self.next_offsets.get(partition, 0):
                path.unlink()


def _by_day(records: Sequence[Record]) -> Iterator[tuple[str, list[Record]]]:
    days: dict[str, list[Record]] = {}
    for record in records:
        days.setdefault(day_of(record.timestamp), []).append(record)
    yield from days.items()


def day_of(timestamp: int) -> str:
    """The day in UTC of a record's timestamp, epoch milliseconds."""
    return datetime.fromtimestamp(timestamp / 1000, UTC).strftime("%Y-%m-%d")


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_suffix(TEMPORARY)
    beside.write_bytes(content)
    _settle(beside, path)


def _settle(beside: Path, path: Path) -> None:
    """Move a whole file to its name, on disk before it is seen."""
    with beside.open("rb") as file:
        os.fsync(file.fileno())
    beside.replace(path)


def next_offsets(folder: Path) -> Mapping[int, int]:
    """How far a topic's folder reaches, by partition."""
    return msgspec.json.decode((folder / PROGRESS).read_bytes(), type=Progress).next_offsets
