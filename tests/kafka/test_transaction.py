"""What the broker accepts and refuses: the fencing on which exactly-once stands."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from state.errors import Refused
from stream.codecs import encode_marker
from stream.reading import read_topic
from stream.store import MARKER, Changelog
from stream.transaction import TransactionalPublisher, Written, end_transaction_of
from stream.transport import Membership
from stream.worker_metrics import PHASES
from tests.kafka.harness import Shop, shop


@asynccontextmanager
async def member(it: Shop, **settings: Any) -> AsyncIterator[tuple[AIOKafkaConsumer, Membership]]:
    """A consumer that has joined the group, and what the coordinator knows it by."""
    consumer = AIOKafkaConsumer(
        it.settings.input_topics[0],
        bootstrap_servers=it.settings.broker,
        group_id=it.settings.app_id,
        enable_auto_commit=False,
        **settings,
    )
    async with consumer:
        while not consumer.assignment():
            await asyncio.sleep(0.05)
        coordinator = consumer._coordinator
        yield consumer, Membership(coordinator.generation, coordinator.member_id, None)


@asynccontextmanager
async def publisher(it: Shop, name: str = "a") -> AsyncIterator[TransactionalPublisher]:
    made = TransactionalPublisher(
        it.settings.broker,
        client_id="test",
        transactional_id=f"{it.settings.app_id}-{name}",
        group_id=it.settings.app_id,
        timeout_seconds=20,
    )
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


def rows(it: Shop, *values: bytes) -> tuple[list[Written], list[Written], dict[TopicPartition, int]]:
    slates = [Written(it.settings.slates_topic, 0, [(b"u", value, ()) for value in values])]
    profiles = [Written(it.settings.profiles_topic, 0, [(b"u", value, ()) for value in values])]
    return slates, profiles, {TopicPartition(it.settings.input_topics[0], 0): 7}


async def values(it: Shop, topic: str) -> list[bytes | None]:
    return [record.value async for record in read_topic(it.settings.broker, topic)]


async def test_a_commit_writes_all_rows_and_the_offset(broker: str, prefix: str, tmp_path: Path) -> None:
    async with (
        shop(broker, prefix, tmp_path) as it,
        member(it) as (consumer, membership),
        publisher(it) as made,
    ):
        last = await made.publish(*rows(it, b"1", b"2"), membership)
        assert last == [1]
        assert tuple(made.took) == PHASES
        assert min(made.took.values()) > 0
        assert await values(it, it.settings.slates_topic) == [b"1", b"2"]
        assert await values(it, it.settings.profiles_topic) == [b"1", b"2"]
        assert await consumer.committed(TopicPartition(it.settings.input_topics[0], 0)) == 7


async def test_a_stale_generation_is_refused_and_nothing_of_it_is_visible(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with (
        shop(broker, prefix, tmp_path) as it,
        member(it) as (first, stale),
        publisher(it) as made,
        member(it) as (second, fresh),
    ):
        while first._coordinator.generation == stale.generation:
            await asyncio.sleep(0.05)
        with pytest.raises(Refused):
            await made.publish(*rows(it, b"zombie"), stale)
        await made.stop()
        await made.start()
        assert await values(it, it.settings.slates_topic) == []
        assert await second.committed(TopicPartition(it.settings.input_topics[0], 0)) is None
        current = Membership(first._coordinator.generation, first._coordinator.member_id, None)
        await made.publish(*rows(it, b"owner"), current)
        assert await values(it, it.settings.slates_topic) == [b"owner"]
        assert fresh.generation > stale.generation


async def test_a_member_that_left_is_refused(broker: str, prefix: str, tmp_path: Path) -> None:
    async with shop(broker, prefix, tmp_path) as it, publisher(it) as made:
        async with member(it) as (_, gone):
            pass
        with pytest.raises(Refused):
            await made.publish(*rows(it, b"ghost"), gone)
        assert made.took == {}


async def test_the_data_is_in_the_log_before_the_offset_commit_is_sent(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path) as it, member(it) as (_, membership), publisher(it) as made:
        changelog = Changelog(broker, it.settings.profiles_topic)
        await changelog.start()
        written_at_commit = []
        commit = made.requests.commit_offsets

        async def watch(*arguments: Any) -> None:
            written_at_commit.append((await changelog.ends([0]))[0])
            await commit(*arguments)

        made.requests.commit_offsets = watch  # type: ignore[method-assign]
        await made.publish(*rows(it, b"1", b"2", b"3"), membership)
        await changelog.stop()
        assert written_at_commit == [3]


async def test_the_next_owner_finds_and_ends_a_dead_writers_transaction(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path) as it, publisher(it, "dead") as dead:
        profiles = it.settings.profiles_topic
        await dead.requests.add_partitions([TopicPartition(profiles, 0)])
        marker = (MARKER + b"events", encode_marker(3, dead.transactional_id), ())
        await dead._write(dead._packed([Written(profiles, 0, [(b"u", b"1", ()), marker])]))
        changelog = Changelog(broker, profiles)
        await changelog.start()
        open_now = await changelog.wait_until_stable([0, 1], 0.2)
        assert open_now == {0: 0}
        assert await changelog.writer_since(0, 0) == dead.transactional_id
        await end_transaction_of(dead.transactional_id, broker)
        assert await changelog.wait_until_stable([0, 1], 5.0) == {}
        await changelog.stop()
        assert await values(it, profiles) == []
