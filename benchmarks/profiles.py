"""A million shoppers' state in the changelog within a minute: written by batch, as workers write it."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from msgspec import structs

from state.event import DEFAULT_TENANT, TYPE_CODES, state_key
from state.profile import MAX_ITEMS, MAX_SEEN, SEEN_BYTES, OpenSlate, Profile, item_hashes
from stream.codecs import encode_marker, encode_profile
from stream.config import Settings
from stream.store import MARKER

BATCH_BYTES: Final = 1 << 20
PENDING_BATCHES: Final = 8
"""Batches on their way to the broker at once."""
SHAPES: Final = 500
"""Different profiles; each user gets one of them, with times and event ids of its own."""
SLATE_ITEMS: Final = 10
SLATES: Final = (0, 1, 2, 3)
ITEMS: Final = 40_000
WRITER: Final = "benchmark"


def shapes(seed: int = 1, count: int = SHAPES, *, now: int) -> Sequence[Profile]:
    """Profiles of active users: 3 to 32 items, up to three open slates.

    Args:
        seed: another one gives others.
        count: how many.
        now: epoch milliseconds of the latest activity.
    """
    rng = random.Random(seed)
    return [_shape(rng, now) for _ in range(count)]


def _shape(rng: random.Random, now: int) -> Profile:
    items = tuple(str(10_000 + int(ITEMS * rng.random() ** 2)) for _ in range(rng.randint(3, MAX_ITEMS)))
    times = tuple(sorted(rng.randrange(86_400_000) for _ in items))
    kinds = [TYPE_CODES[rng.choices(["view", "click", "add_to_cart"], [6, 3, 1])[0]] for _ in items]
    return Profile(
        session_key=rng.randrange(1 << 53),
        session_start=now - 600_000,
        last_time=now,
        base=now - 86_400_000,
        items=items,
        times=times,
        types=bytes(kinds),
        counts=tuple(kinds.count(code) for code in sorted(TYPE_CODES.values())),
        seen=rng.randbytes(SEEN_BYTES * min(MAX_SEEN, len(items))),
        open_slates=tuple(_slate(rng, now) for _ in range(rng.choices(SLATES, [1, 1, 2, 6])[0])),
    )


def _slate(rng: random.Random, now: int) -> OpenSlate:
    item_ids = [str(10_000 + rng.randrange(ITEMS)) for _ in range(SLATE_ITEMS)]
    return OpenSlate(
        slate_id=f"{rng.getrandbits(64):016x}",
        time=now,
        scenario="feed",
        policy="softmax",
        policy_version="t=0.15",
        items=item_hashes(item_ids),
        propensities=rng.randbytes(4 * SLATE_ITEMS),
    )


def rows(partition: int, settings: Settings, profiles: int, now: int) -> Iterator[tuple[bytes, bytes]]:
    """One partition's share of so many users' rows, and the markers that say: nothing of the input yet."""
    made = shapes(now=now)
    rng = random.Random(partition)
    for user in range(partition, profiles, settings.partitions):
        shape = made[user % SHAPES]
        own = structs.replace(shape, seen=rng.randbytes(len(shape.seen)), session_key=rng.getrandbits(53))
        yield user_key(user), encode_profile(own)
    for topic in settings.input_topics:
        yield MARKER + topic.encode(), encode_marker(-1, WRITER)


def user_key(user: int) -> bytes:
    """State key of a user of the benchmark."""
    return state_key(DEFAULT_TENANT, f"shopper-{user:08d}").encode()


async def write_profiles(
    settings: Settings, profiles: int, on_progress: Callable[[int], None] = lambda _: None
) -> int:
    """Fill the changelog with profiles.

    Args:
        settings: which broker and topics; the topics exist.
        profiles: how many users.
        on_progress: hears how many are written.

    Returns:
        Bytes of their keys and values.
    """
    now = time.time_ns() // 1_000_000
    done = size = 0
    async with AIOKafkaProducer(
        bootstrap_servers=settings.broker, max_batch_size=BATCH_BYTES, max_request_size=8 * BATCH_BYTES
    ) as producer:
        pending: list[Any] = []
        for partition in range(settings.partitions):
            batch = producer.create_batch()
            for key, value in rows(partition, settings, profiles, now):
                size += len(key) + len(value)
                if batch.append(timestamp=None, key=key, value=value) is None:
                    done += batch.record_count()
                    pending.append(await _sent(producer, batch, settings.profiles_topic, partition))
                    batch = producer.create_batch()
                    batch.append(timestamp=None, key=key, value=value)
                    on_progress(done)
                    if len(pending) >= PENDING_BATCHES:
                        await pending.pop(0)
            done += batch.record_count()
            pending.append(await _sent(producer, batch, settings.profiles_topic, partition))
        await asyncio.gather(*pending)
    on_progress(done)
    return size


async def _sent(producer: AIOKafkaProducer, batch: Any, topic: str, partition: int) -> Any:
    batch.close()
    return await producer.send_batch(batch, topic, partition=partition)
