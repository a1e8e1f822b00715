"""What is known of one user, from the topics alone: the profile, and the latest slates.

No worker is asked: the changelog topic holds what every worker would restore.
"""

from collections import deque
from collections.abc import Collection
from typing import Any

from aiokafka.partitioner import DefaultPartitioner
from msgspec import Struct, to_builtins

from state.errors import FreshslateError
from state.event import DEFAULT_TENANT, EVENT_TYPES, state_key
from state.profile import OpenSlate, Profile
from state.session import session_items
from state.slate import Slate
from stream.codecs import decode_profile, decode_slate
from stream.config import Settings
from stream.connection import connection
from stream.reading import read_topic
from stream.topics import describe


class InspectionError(FreshslateError):
    """There is nothing to show; the message says where it was looked for and what to check."""


class Inspection(Struct, kw_only=True):
    """One user, as the topics have it now."""

    user_id: str
    tenant: str
    key: str
    partition: int
    """Where the user's state is."""
    expected_partition: int
    """Where the default partitioner puts the key. Another one means that the producer of the events uses
    another partitioner."""
    partitions: int
    profile: Profile | None
    """None where the user's state has expired and only slates are left."""
    slates: tuple[Slate, ...]
    """The latest ones, oldest first."""


def partition_of(key: str, partitions: int) -> int:
    """Partition of a key as the Java client's and aiokafka's default partitioner choose it (murmur2)."""
    numbers = list(range(partitions))
    chosen: int = DefaultPartitioner()(key.encode(), numbers, numbers)
    return chosen


async def inspect_user(
    settings: Settings, user_id: str, *, tenant: str = DEFAULT_TENANT, slates: int = 3
) -> Inspection:
    """Read the user's partition of the changelog and of the slates.

    Raises:
        InspectionError: Nothing is known of the user, or the topics do not exist.
        BrokerUnreachableError: No broker answers.
        UnreadableState: Something of another version.
    """
    partitions = await state_partitions(settings, (settings.slates_topic,))
    key = state_key(tenant, user_id)
    expected = partition_of(key, partitions)
    partition, value, others = await find_profile(settings, key.encode(), expected, partitions)
    latest = await _slates(settings, key.encode(), partition, slates) if slates or value is None else ()
    if value is None and not latest:
        raise InspectionError(_nothing(settings, key, expected, partitions, others))
    return Inspection(
        user_id=user_id,
        tenant=tenant,
        key=key,
        partition=partition,
        expected_partition=expected,
        partitions=partitions,
        profile=decode_profile(value) if value is not None else None,
        slates=latest,
    )


async def state_partitions(settings: Settings, others: Collection[str]) -> int:
    """Number of partitions of the changelog, once it is known that it and the other topics exist.

    Raises:
        InspectionError: One does not.
        BrokerUnreachableError: No broker answers.
    """
    needed = {settings.profiles_topic, *others}
    found = await describe(connection(settings), sorted(needed))
    if missing := needed - found.keys():
        message = (
            f"there is no topic {' or '.join(sorted(missing))} at {settings.broker}: is "
            "FRESHSLATE_TOPIC_PREFIX that of the workers? `freshslate topics create` makes the topics"
        )
        raise InspectionError(message)
    return found[settings.profiles_topic].partitions


async def find_profile(
    settings: Settings, key: bytes, expected: int, partitions: int
) -> tuple[int, bytes | None, int]:
    """Where the key is and its last value; and how many users there are where it is not.

    Args:
        settings: Of the workers.
        key: Of the user's state.
        expected: Partition to look in first.
        partitions: Of the changelog.
    """
    users: dict[bytes, bytes | None] = {}
    async for record in read_topic(connection(settings), settings.profiles_topic, partitions=(expected,)):
        if record.key is not None and not record.key.startswith(b"\x00"):
            users[record.key] = record.value
    if key in users:
        return expected, users[key], len(users)
    elsewhere = [number for number in range(partitions) if number != expected]
    at, value = expected, None
    if elsewhere:
        async for record in read_topic(connection(settings), settings.profiles_topic, partitions=elsewhere):
            if record.key is not None and not record.key.startswith(b"\x00"):
                users[record.key] = record.value
                if record.key == key:
                    at, value = record.partition, record.value
    return at, value, len(users)


async def _slates(settings: Settings, key: bytes, partition: int, count: int) -> tuple[Slate, ...]:
    latest: deque[bytes] = deque(maxlen=max(1, count))
    async for record in read_topic(connection(settings), settings.slates_topic, partitions=(partition,)):
        if record.key == key:
            if record.value is None:  # the user was forgotten
                latest.clear()
            else:
                latest.append(record.value)
    return tuple(map(decode_slate, latest))


def _nothing(settings: Settings, key: str, expected: int, partitions: int, users: int) -> str:
    hints = [
        f"nothing is known of {key!r}: it is not in partition {expected} of {partitions} of "
        f"{settings.profiles_topic}, where the key belongs, nor in any other ({users:,} users there)",
        "is the id right? a user of another tenant needs --tenant",
        f"do workers run on {', '.join(settings.input_topics)}? the first event of a user makes the profile",
        f"were the events refused? dead letters are in {settings.dlq_topic}",
    ]
    return "\n  - ".join(hints)


def as_json(inspection: Inspection) -> dict[str, Any]:
    """The inspection as plain values, with names where the profile has codes and hashes left out."""
    profile = inspection.profile
    return {
        "user_id": inspection.user_id,
        "tenant": inspection.tenant,
        "key": inspection.key,
        "partition": inspection.partition,
        "expected_partition": inspection.expected_partition,
        "profile": profile and profile_json(profile),
        "slates": to_builtins(inspection.slates),
    }


def interactions(profile: Profile) -> list[tuple[str, str, int]]:
    """Item id, event type and event time of the remembered interactions, oldest first."""
    return [
        (item_id, EVENT_TYPES[code], profile.base + time)
        for item_id, code, time in zip(profile.items, profile.types, profile.times, strict=True)
    ]


def counted(profile: Profile) -> dict[str, int]:
    """Events so far by type, those that never came left out."""
    return {name: count for name, count in zip(EVENT_TYPES, profile.counts, strict=False) if count}


def profile_json(profile: Profile) -> dict[str, Any]:
    """A profile as plain values."""
    return {
        "session": {
            "session_id": profile.session_id,
            "start": profile.session_start,
            "last_time": profile.last_time,
            "items": len(session_items(profile)),
        },
        "items": [
            {"item_id": item_id, "type": kind, "time": time} for item_id, kind, time in interactions(profile)
        ],
        "counts": counted(profile),
        "open_slates": [_open_slate(slate) for slate in profile.open_slates],
    }


def _open_slate(slate: OpenSlate) -> dict[str, Any]:
    return {
        "slate_id": slate.slate_id,
        "time": slate.time,
        "scenario": slate.scenario,
        "policy": slate.policy,
        "policy_version": slate.policy_version,
    }
