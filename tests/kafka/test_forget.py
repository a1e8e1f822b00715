"""A user is forgotten by the worker that holds the state, and stays forgotten whatever dies."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from stream.codecs import decode_profile
from stream.forget import NotForgotten, forget, left_behind, look
from stream.inspection import InspectionError, inspect_user
from stream.reading import read_topic
from tests.kafka.harness import Shop, clicks, send, shop
from tests.kafka.test_commands import Shell


async def profile_of(it: Shop, user: str) -> bytes | None:
    """What the changelog says last."""
    value = None
    async for record in read_topic(it.settings.broker, it.settings.profiles_topic):
        if record.key == user.encode():
            value = record.value
    return value


async def visit(it: Shop, user: str, name: str) -> None:
    event: dict[str, Any] = {"event_id": name, "type": "click", "user_id": user, "item_id": "i1"}
    await send(it, [event])


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
async def test_a_user_is_forgotten_by_the_owner_of_the_state_and_nobody_else_is(
    guarantee: str, broker: str, prefix: str, tmp_path: Path
) -> None:
    limits = {"events_retention_seconds": 86_400, "rewards_retention_seconds": -1, "instance_id": "worker"}
    limits["processing_guarantee"] = guarantee
    async with shop(broker, prefix, tmp_path, **limits) as it:
        worker = it.start()
        await check_what_stays(it)
        sent = await send(it, clicks(600, users=20))
        await it.settled(sent)
        assert sum(decode_profile(await profile_of(it, "u1") or b"").counts) > 1
        others = {user: await profile_of(it, user) for user in ("u2", "u3", "u4")}
        await check_that_a_tombstone_from_outside_is_no_way(it)
        sent += 1

        shell = Shell(broker, prefix, tmp_path)
        before = await profile_of(it, "u1")
        refused = shell.run("forget", "u1")
        assert (refused.returncode, await profile_of(it, "u1")) == (1, before)  # nobody is there to say yes
        told = shell.run("forget", "u1", "--yes")
        assert told.returncode == 0, told.stderr
        assert "forgotten, in" in told.stdout
        sent += 1
        assert await profile_of(it, "u1") is None
        with pytest.raises(InspectionError, match="nothing is known"):
            await inspect_user(it.settings, "u1")
        assert {user: await profile_of(it, user) for user in others} == others

        worker.send_signal(signal.SIGKILL)
        await asyncio.to_thread(worker.wait, 30)
        with pytest.raises(NotForgotten, match="do workers of this version run"):
            await forget(it.settings, await look(it.settings, "u2", "default"), wait_seconds=0)
        if guarantee == "at_least_once":
            # Between the tombstone among the slates and the one in the changelog: the wish is obeyed again.
            dying = it.start(FRESHSLATE_FAULT_POINT="offsets@1")
            assert await asyncio.to_thread(dying.wait, 60) == -signal.SIGKILL
        it.start()
        await visit(it, "u1", "back")
        await it.settled(sent + 2)
        assert await profile_of(it, "u2") is None
        after = decode_profile(await profile_of(it, "u1") or b"")
        assert (sum(after.counts), after.items) == (1, ("i1",))
        report = await it.audit()
        assert report.is_clean, report
        assert report.forgotten == (2 if guarantee == "exactly_once" else 3)


async def check_that_a_tombstone_from_outside_is_no_way(it: Shop) -> None:
    """The worker holds the profile, and writes it back with the user's next event."""
    partition = (await look(it.settings, "u1", "default")).partition
    async with AIOKafkaProducer(bootstrap_servers=it.settings.broker) as producer:
        await producer.send_and_wait(it.settings.profiles_topic, None, key=b"u1", partition=partition)
    processed = await it.processed()
    await visit(it, "u1", "unaware")
    await it.settled(processed + 1)
    assert sum(decode_profile(await profile_of(it, "u1") or b"").counts) > 2


async def check_what_stays(it: Shop) -> None:
    """It is told by what the broker has set, here its own `segment.ms` of a week among it."""
    left = {each.where: each.seconds for each in await left_behind(it.settings)}
    prefix, week = it.settings.topic_prefix, 7 * 86_400
    assert left[f"{prefix}events"] == 86_400 + week
    assert left[f"{prefix}rewards"] is None
    assert left[f"{prefix}profiles"] == 3600 + week  # the tombstone's
    assert left[f"{prefix}slates"] == 30 * 86_400 + week
