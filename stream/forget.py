"""Forgetting a user: a record of type `forget` that the owner of the user's state obeys, and what is left.

A tombstone written to `profiles` from outside would be wrong: the worker that holds the profile does not read
its own changelog, and would write the profile back with the user's next event. So the wish goes the way of
all events, and the tombstones of profile and slates are written by their one writer, in its transaction.
"""

import asyncio
import time
import uuid
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition

from state.errors import FreshslateError
from state.event import FORGET, state_key
from stream.config import Settings
from stream.connection import arguments, connection
from stream.inspection import find_profile, partition_of, state_partitions
from stream.reading import high_watermarks, read_topic
from stream.topics import TopicState, describe

LOOK_SECONDS: Final = 0.3
"""Between two looks for the tombstone."""
NO_LIMIT: Final = (1 << 63) - 1
"""Kafka's way to say that nothing limits a time, beside -1."""


class NotForgotten(FreshslateError):
    """No worker has done it yet; the message says what to check."""


class Known(NamedTuple):
    """What there is of a user."""

    user_id: str
    tenant: str
    key: str
    partition: int
    """Where the state is, or would be."""
    profile_bytes: int
    """Of the profile; 0 where there is none."""
    slates: int
    """In the log, of the user."""


class Left(NamedTuple):
    """What stays somewhere after a user was forgotten."""

    where: str
    what: str
    seconds: int | None
    """How long at most; None where nothing limits it."""
    how: str
    """What ends it."""


async def look(settings: Settings, user_id: str, tenant: str) -> Known:
    """Find the user's partition, and what is known there.

    Raises:
        InspectionError: The topics do not exist.
        BrokerUnreachableError: No broker answers.
    """
    partitions = await state_partitions(settings, (settings.slates_topic, *settings.input_topics))
    key = state_key(tenant, user_id)
    expected = partition_of(key, partitions)
    partition, value, _ = await find_profile(settings, key.encode(), expected, partitions)
    slates = 0
    async for record in read_topic(connection(settings), settings.slates_topic, partitions=(partition,)):
        if record.key == key.encode():
            slates = slates + 1 if record.value is not None else 0
    return Known(user_id, tenant, key, partition, len(value or b""), slates)


async def forget(settings: Settings, known: Known, *, wait_seconds: float) -> float:
    """Have the user forgotten; returns the seconds that it took.

    Raises:
        NotForgotten: No worker has done it in time. It is done as soon as one runs.
        aiokafka.errors.KafkaError: The broker does not answer; nothing was sent for sure.
    """
    topic, place = settings.input_topics[0], TopicPartition(settings.profiles_topic, known.partition)
    end = (await high_watermarks(connection(settings), [place]))[place]
    started = time.monotonic()
    async with AIOKafkaProducer(**arguments(connection(settings)), enable_idempotence=True) as producer:
        fields = {"event_id": f"forget-{uuid.uuid4()}", "type": FORGET, "user_id": known.user_id}
        value = msgspec.json.encode(fields | {"tenant": known.tenant})
        sent = await producer.send_and_wait(
            topic, value, key=known.key.encode(), partition=known.partition, headers=[]
        )
    while not await _is_gone(settings, known, end):
        if time.monotonic() - started > wait_seconds:
            message = (
                f"{known.key!r} is not forgotten yet, {wait_seconds:g} s after it was asked for in {topic}-"
                f"{known.partition} at offset {sent.offset}: do workers of this version run, and how much do "
                "they lag? They do it when they get there; `freshslate inspect` says whether they have"
            )
            raise NotForgotten(message)
        await asyncio.sleep(LOOK_SECONDS)
    return time.monotonic() - started


async def _is_gone(settings: Settings, known: Known, end: int) -> bool:
    """Whether the changelog has the user's tombstone behind this offset."""
    starts = {known.partition: end}
    async for record in read_topic(connection(settings), settings.profiles_topic, starts=starts):
        if record.key == known.key.encode() and record.value is None:
            return True
    return False


async def left_behind(settings: Settings) -> list[Left]:
    """What stays where of any user that is forgotten, and for how long, by what the broker really has set.

    Raises:
        BrokerUnreachableError: No broker answers.
    """
    topics = await describe(connection(settings), [*settings.input_topics, *settings.own_topics])

    def kept(topic: str, what: str) -> Left:
        seconds = _kept_seconds(topics[topic].config)
        return Left(topic, what, seconds, "retention.ms, and segment.ms until the segment is closed")

    rows = [
        *_compacted(topics[settings.profiles_topic], settings.profiles_topic),
        kept(settings.slates_topic, "slates before now, with items and user id; compaction may come first"),
        *(kept(topic, "events, the wish to forget among them") for topic in settings.input_topics),
        kept(settings.rewards_topic, "rewards, with user id, item and value"),
        kept(settings.deltas_topic, "items, times and hashes of sessions; no user id"),
        kept(settings.dlq_topic, "dead letters of the user: freshslate dlq list --user finds them"),
    ]
    return [*rows, *_on_disk(settings)]


def _on_disk(settings: Settings) -> list[Left]:
    folder = str(settings.data_dir)
    return [
        Left(
            folder,
            "the deleted profile, in RocksDB's files",
            None,
            "RocksDB's compaction, or delete the folder",
        ),
        Left(
            folder,
            "profiles in copies of partitions that other workers had before",
            None,
            "opened again there, or delete the folder while that worker is stopped",
        ),
        Left("models and snapshots", "items by hash of session; no user id", None, "newer sessions"),
        Left("elsewhere", "exports, backups, logs of producers, readers of slates", None, "you"),
    ]


def _compacted(state: TopicState, topic: str) -> list[Left]:
    lag = int(state.config.get("max.compaction.lag.ms", NO_LIMIT))
    tombstone = int(state.config.get("delete.retention.ms", NO_LIMIT))
    return [
        Left(
            topic, "the profile before now", _seconds(lag), "max.compaction.lag.ms, and a run of the cleaner"
        ),
        Left(
            topic, "the tombstone: the user's key", _seconds(lag, tombstone), "delete.retention.ms after that"
        ),
    ]


def _kept_seconds(config: Mapping[str, str]) -> int | None:
    return _seconds(int(config.get("retention.ms", -1)), int(config.get("segment.ms", 0)))


def _seconds(*milliseconds: int) -> int | None:
    if any(each < 0 or each == NO_LIMIT for each in milliseconds):
        return None
    return sum(milliseconds) // 1000
