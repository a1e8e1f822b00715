"""Moves everything that is known to topics of another prefix, cluster or partition count.

A partition count is fixed for life, because a user's state lives in the partition of their key. So state
moves to new topics, where every user is put into the partition in which the producers' partitioner will put
their next event. The profiles arrive byte for byte, open slates included, so that feedback to slates of
before the move is credited to them. Old events replayed into new topics instead would have every slate
decided anew, and the clicks of then credited to slates that nobody saw.

Nothing is deleted, and nothing written to the old topics: until the new workers start, there is a way back.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import Final, NamedTuple, TypeAlias
from zlib import crc32

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import murmur2
from msgspec import UNSET, Struct
from msgspec.structs import replace

from state.errors import SetupError
from stream.codecs import decode_delta, decode_marker, encode_delta
from stream.config import Settings
from stream.connection import arguments, compression, connection
from stream.reading import high_watermarks, is_heartbeat, read_topic
from stream.store import MARKER
from stream.topic_check import check_topics
from stream.topics import BATCH_BYTES, admin_client, create_topics, describe, topic_specs
from stream.work import Record

MOVED: Final = "moved.from"
"""Header of every record that was moved: where it was, as `topic-partition-offset`."""
Partitioner: TypeAlias = Callable[[bytes, int], int]
"""Partition of a key, by the number of partitions."""
Progress: TypeAlias = Callable[[str, int], None]
"""Is told a topic and how many of its records were moved so far."""
PROGRESS_RECORDS: Final = 10_000
_LOCAL: Final = b"\x00"
"""Begins the keys of the changelog that are no users."""


def java_partition(key: bytes, partitions: int) -> int:
    """Where the Java client, aiokafka and `freshslate replay` put a key."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


def librdkafka_partition(key: bytes, partitions: int) -> int:
    """Where librdkafka's default (`consistent_random`) puts a key."""
    return crc32(key) % partitions


PARTITIONERS: Final[Mapping[str, Partitioner]] = {
    "murmur2": java_partition,
    "crc32": librdkafka_partition,
}
"""By the names that clients' settings have for them."""


class Moved(Struct, kw_only=True):
    """What was moved."""

    partitioner: str
    """Of `PARTITIONERS`: the one that explains where every user was."""
    profiles: int = 0
    profiles_different: int = 0
    """Of those, the ones that cannot be read back byte for byte from where they belong."""
    records: dict[str, int] = {}
    """Of the other topics, by the name of the old one."""
    records_missing: int = 0
    """Of those, the ones that did not arrive, or arrived twice."""

    @property
    def is_whole(self) -> bool:
        """Whether everything arrived as it was."""
        return not (self.profiles_different or self.records_missing)


_Places: TypeAlias = Callable[[Record], int | None]
"""Partition that a record is to be in; None where its key alone decides."""


class _Place(NamedTuple):
    """Where a user's profile is to be, and what it is."""

    partition: int
    digest: bytes


async def move(settings: Settings, target: Settings, on_progress: Progress = lambda *_: None) -> Moved:
    """Copy profiles, slates, rewards, deltas, catalogue and rankers; make the new topics that are missing.

    Not copied: events, which the profiles contain, and dead letters.

    Args:
        settings: Of the old workers. They must have processed every event, and must have ended.
        target: Of the new ones: another prefix and application id.
        on_progress: Is told how far it is.

    Raises:
        SetupError: Something is not as it must be; what to do about it. Nothing was copied.
        aiokafka.errors.KafkaError: A broker does not answer. Begin again with another prefix.
    """
    _refuse_same(settings, target)
    await check_topics(connection(settings), topic_specs(settings))
    await create_topics(connection(target), topic_specs(target))
    await check_topics(connection(target), topic_specs(target))
    await _refuse_running(settings)
    await _refuse_filled(target)
    name, choose = await _partitioner(settings)
    async with _producer(target) as producer:
        placed = await _move_profiles(settings, target, choose, producer, on_progress)
        records = {}
        for old, new, places in _others(settings, target, choose):
            records[old] = await _copy(producer, old, new, places, settings, on_progress)
        await producer.flush()
    ends = {
        old: sum((await _ends(target, new)).values()) for old, new, _ in _others(settings, target, choose)
    }
    return Moved(
        partitioner=name,
        profiles=len(placed),
        profiles_different=await _differences(target, placed),
        records=records,
        records_missing=sum(abs(ends[old] - count) for old, count in records.items()),
    )


async def _copy(
    producer: AIOKafkaProducer, old: str, new: str, places: _Places, settings: Settings, on_progress: Progress
) -> int:
    """Copy a topic record by record but for heartbeats; returns how many there were."""
    count = 0
    async for record in read_topic(connection(settings), old):
        if is_heartbeat(record):
            continue
        partition = places(record)
        value = record.value
        if old == settings.deltas_topic and value is not None:
            # Without what it says of topics that are not there: the events it is of, and the models then.
            delta = replace(decode_delta(value), partition=partition or 0, spans=(), folded=UNSET)
            value = encode_delta(delta)
        await _send(producer, new, partition, record, value)
        count += 1
        if count % PROGRESS_RECORDS == 0:
            on_progress(old, count)
    on_progress(old, count)
    return count


def _refuse_same(settings: Settings, target: Settings) -> None:
    """Slate ids begin with an input's name, and a worker's folder has the application's: both must change."""
    for name in ("topic_prefix", "app_id"):
        if getattr(settings, name) == getattr(target, name):
            message = (
                f"the new {name} must be another one than {getattr(target, name)!r}: new slates would have "
                "the ids of old ones, and workers would take the old state on their disks for the new"
            )
            raise SetupError(message)


async def _refuse_running(settings: Settings) -> None:
    async with admin_client(connection(settings)) as admin:
        (answer,) = await admin.describe_consumer_groups([settings.app_id])
        members = sum(len(group[5]) for group in answer.groups)
    if members:
        message = (
            f"{members} workers are still members of group {settings.app_id}: stop them; one with "
            f"FRESHSLATE_INSTANCE_ID is forgotten {settings.session_timeout_seconds:g} s after its end"
        )
        raise SetupError(message)


async def _refuse_filled(target: Settings) -> None:
    names = [spec.name for spec in topic_specs(target) if not spec.is_input]
    filled = [name for name in names if any((await _ends(target, name)).values())]
    if filled:
        message = (
            f"{', '.join(filled)} hold records already: choose another prefix, or delete these topics if "
            "they are what is left of a move that did not come to its end"
        )
        raise SetupError(message)


async def _partitioner(settings: Settings) -> tuple[str, Partitioner]:
    """The partitioner of the producers, once it is known that every event of theirs was processed."""
    wrong: Counter[str] = Counter()
    markers: dict[TopicPartition, int] = {}
    example = b""
    async for record in read_topic(connection(settings), settings.profiles_topic):
        key = record.key or b""
        if key.startswith(MARKER) and record.value is not None:
            topic = key.removeprefix(MARKER).decode()
            markers[TopicPartition(topic, record.partition)] = decode_marker(record.value).offset
        if not key.startswith(_LOCAL) and not is_heartbeat(record):
            for name, choose in PARTITIONERS.items():
                if choose(key, settings.partitions) != record.partition:
                    wrong[name] += 1
                    example = key
    await _refuse_waiting(settings, markers)
    for name, choose in PARTITIONERS.items():
        if not wrong[name]:
            return name, choose
    message = (
        f"producers place users as no known partitioner does ({', '.join(PARTITIONERS)}; user "
        f"{example.decode(errors='replace')!r} is an example), so nobody can say where their next events "
        "will be: let all producers use one of these partitioners, with the user's key of docs/events.md"
    )
    raise SetupError(message)


async def _refuse_waiting(settings: Settings, markers: Mapping[TopicPartition, int]) -> None:
    """Refuse if an event is not in the state: it would be lost."""
    waiting = 0
    for topic in settings.input_topics:
        tps = [TopicPartition(topic, partition) for partition in range(settings.partitions)]
        for tp, end in (await high_watermarks(connection(settings), tps)).items():
            if (last := end - markers.get(tp, -1) - 1) > 0:
                tail = read_topic(connection(settings), topic, partitions=(tp.partition,), last=last)
                waiting += sum([not is_heartbeat(record) async for record in tail])
    if waiting:
        message = (
            f"{waiting} events of {', '.join(settings.input_topics)} are not processed yet: point the "
            "producers at the new topics, let the old workers run until their lag is 0, then stop them"
        )
        raise SetupError(message)


@asynccontextmanager
async def _producer(target: Settings) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        **arguments(connection(target)),
        **compression(target),
        enable_idempotence=True,
        linger_ms=20,
        max_batch_size=1 << 18,
        max_request_size=BATCH_BYTES,
    )
    async with producer:
        yield producer


async def _move_profiles(
    settings: Settings,
    target: Settings,
    choose: Partitioner,
    producer: AIOKafkaProducer,
    on_progress: Progress,
) -> dict[bytes, _Place]:
    """Send each user's latest profile; where each is to be. One partition at a time is held in memory."""
    placed: dict[bytes, _Place] = {}
    for partition in range(settings.partitions):
        latest: dict[bytes, Record] = {}
        async for record in read_topic(
            connection(settings), settings.profiles_topic, partitions=(partition,)
        ):
            if record.key is not None and not record.key.startswith(_LOCAL) and not is_heartbeat(record):
                latest[record.key] = record
        for key, record in latest.items():
            if record.value is not None:
                placed[key] = _Place(choose(key, target.partitions), _digest(record.value))
                await _send(producer, target.profiles_topic, placed[key].partition, record, record.value)
        on_progress(settings.profiles_topic, len(placed))
    await producer.flush()
    return placed


def _others(settings: Settings, target: Settings, choose: Partitioner) -> Iterable[tuple[str, str, _Places]]:
    """Old and new names of the topics that are copied whole, and where their records are to be."""

    def of_user(record: Record) -> int:
        return choose(record.key or b"", target.partitions)

    yield settings.items_topic, target.items_topic, lambda _: None
    yield settings.rankers_topic, target.rankers_topic, lambda record: int(record.partition)
    yield settings.slates_topic, target.slates_topic, of_user
    yield settings.rewards_topic, target.rewards_topic, of_user
    yield settings.deltas_topic, target.deltas_topic, lambda record: int(record.partition) % target.partitions


async def _send(
    producer: AIOKafkaProducer, topic: str, partition: int | None, record: Record, value: bytes | None
) -> None:
    """Send a record with the key, the time and the headers it had."""
    origin = f"{record.topic}-{record.partition}-{record.offset}".encode()
    await producer.send(
        topic,
        value,
        key=record.key,
        partition=partition,
        timestamp_ms=record.timestamp,
        headers=[*record.headers, (MOVED, origin)],
    )


async def _ends(target: Settings, topic: str) -> Mapping[TopicPartition, int]:
    partitions = (await describe(connection(target), [topic]))[topic].partitions
    return await high_watermarks(connection(target), [TopicPartition(topic, p) for p in range(partitions)])


async def _differences(target: Settings, placed: Mapping[bytes, _Place]) -> int:
    """How many users' profiles are not, byte for byte, where they belong; and those that nobody moved."""
    found: dict[bytes, _Place] = {}
    async for record in read_topic(connection(target), target.profiles_topic):
        if record.key is not None and record.value is not None:
            found[record.key] = _Place(record.partition, _digest(record.value))
    return sum(found.get(key) != placed.get(key) for key in found.keys() | placed.keys())


def _digest(value: bytes) -> bytes:
    return blake2b(value, digest_size=16).digest()


def is_moved(record: Record) -> bool:
    """Whether a record came here by `move`."""
    return any(name == MOVED for name, _ in record.headers)
