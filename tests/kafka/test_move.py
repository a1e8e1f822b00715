"""Everything that is known moves to topics with more partitions, and goes on there as if nothing had been."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from state.errors import SetupError
from state.event import HEARTBEAT_TENANT
from stream.broker import Broker
from stream.move import java_partition, move
from stream.reading import is_heartbeat, read_topic
from tests.kafka.harness import Shop, clicks, read_json, send, shop
from tests.kafka.test_commands import Shell

WIDER = 7
"""Partitions after the move; no multiple of those before, so that users part and meet."""


async def profiles(it: Shop) -> dict[bytes, tuple[int, bytes]]:
    """Partition and latest profile by user; heartbeats are none."""
    return {
        record.key: (record.partition, record.value)
        async for record in read_topic(it.settings.broker, it.settings.profiles_topic)
        if record.key and record.value and not record.key.startswith(b"\x00") and not is_heartbeat(record)
    }


async def slates(it: Shop) -> list[dict[str, Any]]:
    """Of shoppers."""
    return [
        each
        for each in await read_json(it, it.settings.slates_topic)
        if each.get("tenant") != HEARTBEAT_TENANT
    ]


async def feedback(it: Shop) -> Iterator[dict[str, Any]]:
    """A click on the first item of each user's latest slate."""
    latest = {slate["user_id"]: slate for slate in await slates(it)}
    now = int(time.time() * 1000)
    return iter(
        [
            {
                "event_id": f"after-{user}",
                "type": "click",
                "user_id": user,
                "item_id": slate["items"][0]["item_id"],
                "time": now,
            }
            for user, slate in latest.items()
            if slate["items"]
        ]
    )


async def test_profiles_move_to_more_partitions_byte_for_byte_and_feedback_finds_its_slates_there(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    async with (
        shop(broker, prefix, tmp_path, canary_seconds=0.2) as it,
        shop(broker, f"{prefix}wider.", tmp_path / "new", partitions=WIDER) as wider,
    ):
        sent = await send(it, clicks(1_500))
        with pytest.raises(SetupError, match=r"1500 events of .* are not processed yet: point the producers"):
            await move(it.settings, wider.settings)
        worker = it.start()
        await it.settled(sent)
        # Now the models know items, and slates have some.
        sent += await send(it, clicks(1_500, seed=2))
        await it.settled(sent)
        with pytest.raises(SetupError, match="1 workers are still members of group"):
            await move(it.settings, wider.settings)
        worker.terminate()
        assert await asyncio.to_thread(worker.wait, 30) == 0

        # Producers write to the new topics before anybody reads them.
        clicked = await send(wider, await feedback(it))
        assert clicked > 100
        moved = await move(it.settings, wider.settings)
        assert moved.is_whole
        before, after = await profiles(it), await profiles(wider)
        assert len(before) == moved.profiles > 200
        assert {user: value for user, (_, value) in before.items()} == {
            user: value for user, (_, value) in after.items()
        }
        assert {user: place for user, (place, _) in after.items()} == {
            user: java_partition(user, WIDER) for user in before
        }
        old_slates = {slate["slate_id"] for slate in await slates(it)}
        assert {slate["slate_id"] for slate in await slates(wider)} == old_slates
        with pytest.raises(SetupError, match="hold records already: choose another prefix"):
            await move(it.settings, wider.settings)

        wider.start()
        await wider.settled(clicked)
        report = await wider.audit()
        assert report.is_clean, report
        assert report.records == clicked
        assert report.profiles_compared == len(before)
        rewards = await read_json(wider, wider.settings.rewards_topic)
        fresh = [reward for reward in rewards if reward["event_id"].startswith("after-")]
        # Clicks of after the move, credited to slates of before it.
        assert len(fresh) > 100
        assert {reward["slate_id"] for reward in fresh} <= old_slates

        # A profile that came by the move can be forgotten, and the audit does not bring it back.
        user = next(iter(before)).decode()
        clicked += await send(wider, [{"event_id": "wish", "type": "forget", "user_id": user}])
        await wider.settled(clicked)
        report = await wider.audit()
        assert report.is_clean, report
        assert (report.forgotten, report.profiles_compared) == (1, len(before) - 1)


async def test_a_move_to_another_cluster_is_a_copy_that_workers_start_on(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    with Broker.start() as second:
        async with shop(broker, prefix, tmp_path) as it:
            sent = await send(it, clicks(1_500, users=60))
            worker = it.start()
            await it.settled(sent)
            worker.terminate()
            assert await asyncio.to_thread(worker.wait, 30) == 0
            names = ["--to-prefix", f"{prefix}eu.", "--to-app-id", f"{prefix}eu"]
            shell = Shell(broker, prefix, tmp_path)
            told = shell.run("topics", "move", *names, "--to-broker", second.address)
            assert told.returncode == 0, told.stderr + told.stdout
            (tmp_path / "new").mkdir()
            async with shop(second.address, f"{prefix}eu.", tmp_path / "new") as there:
                assert await profiles(there) == await profiles(it)
                assert len(await slates(there)) == len(await slates(it)) > 0
                there.start()
                await there.started()
                report = await there.audit()
                assert report.is_clean, report


async def test_users_that_no_known_partitioner_placed_are_not_moved(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path) as it:
        async with AIOKafkaProducer(bootstrap_servers=broker) as producer:
            for number in range(40):
                key = b"u%d" % number
                await producer.send_and_wait(
                    it.settings.profiles_topic, json.dumps({}).encode(), key=key, partition=3
                )
        target = it.settings.model_copy(update={"topic_prefix": f"{prefix}new.", "app_id": f"{prefix}new"})
        with pytest.raises(SetupError, match="producers place users as no known partitioner does"):
            await move(it.settings, target)
