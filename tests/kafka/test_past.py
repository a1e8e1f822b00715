"""What the log says of a user, as a real worker wrote it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from state.models import Models
from stream.api.past import NoSuchPast, Past
from stream.api.user import User
from stream.codecs import decode_delta
from stream.connection import connection
from stream.inspection import partition_of
from stream.reading import read_topic
from tests.kafka.harness import Shop, read_json, send, shop

ADA = User("ada", "default")


async def models_of(it: Shop) -> Models:
    """As every worker has them."""
    models = Models()
    async for record in read_topic(connection(it.settings), it.settings.deltas_topic):
        models.learn([decode_delta(record.value or b"")])
    return models


def clicks(*users: str) -> list[dict[str, str]]:
    """Users who look at the same things."""
    return [
        {"event_id": f"{user}-{item}", "type": "click", "user_id": user, "item_id": item}
        for user in users
        for item in ("i1", "i2", "i3")
    ]


@asynccontextmanager
async def open_shop(broker: str, prefix: str, folder: Path) -> AsyncIterator[Shop]:
    """A worker that has learned, and then ada's clicks, one of them twice, and something wrong."""
    async with shop(broker, prefix, folder, partitions=2) as it:
        await misplace(it, "dan")
        it.start()
        sent = 1 + await send(it, clicks("bob", "cyd"))
        await it.settled(sent)
        slates: list[dict[str, Any]] = []
        while not (slates and slates[-1]["items"]):
            visit = {"type": "click", "user_id": "eve", "item_id": "i1"}
            sent += await send(it, [visit])
            await it.settled(sent)
            published = await read_json(it, it.settings.slates_topic)
            slates = [each for each in published if each["user_id"] == "eve"]
        mine = clicks("ada")
        sent += await send(it, [*mine, mine[0], {"event_id": "bad", "type": "wave", "user_id": "ada"}])
        await it.settled(sent)
        yield it


async def misplace(it: Shop, user: str) -> None:
    """Send an event to another partition than Kafka's own partitioner would."""
    event = {"event_id": f"{user}-i1", "type": "click", "user_id": user, "item_id": "i1"}
    elsewhere = 1 - partition_of(user, 2)
    async with AIOKafkaProducer(bootstrap_servers=it.settings.broker) as producer:
        value = json.dumps(event).encode()
        (topic,) = it.settings.input_topics
        await producer.send_and_wait(topic, value, key=user.encode(), partition=elsewhere)


async def test_the_log_tells_of_a_user_until_the_user_is_forgotten(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with open_shop(broker, prefix, tmp_path) as it:
        past = Past(it.settings, await models_of(it))
        await check_timeline(it, past)
        dan = await past.timeline(User("dan", "default"), 10, None)
        assert (dan.partition, dan.total) == (1 - partition_of("dan", 2), 1)
        slates = [each for each in await read_json(it, it.settings.slates_topic) if each["user_id"] == "ada"]
        await check_why(past, slates[2])
        await check_what_is_not_there(past, slates[0]["slate_id"])
        hasty = Past(it.settings.model_copy(update={"api_read_seconds": 0.001}), Models())
        with pytest.raises(TimeoutError):
            await hasty.forget(ADA, 1)

        forgotten = await past.forget(ADA, 30)
        assert forgotten.forgotten
        assert (forgotten.slates, forgotten.profile_bytes > 100) == (3, True)
        assert {it.settings.profiles_topic, *it.settings.input_topics} <= {r.where for r in forgotten.remains}
        after = await past.timeline(ADA, 10, None)
        assert [step["event"]["type"] for step in after.steps] == ["forget"]
        assert (after.total, after.profile["counts"], after.forgotten_at is not None) == (1, {}, True)
        with pytest.raises(NoSuchPast):
            await past.why(slates[2]["slate_id"], "default", then=True, since=None)

        for worker in it.workers:
            worker.kill()
            await asyncio.to_thread(worker.wait)
        await send(it, [{"event_id": "late", "type": "click", "user_id": "bob", "item_id": "i1"}])
        assert (await past.timeline(User("bob", "default"), 2, None)).waiting == 1
        later = await past.forget(User("bob", "default"), 0.1)
        assert (later.forgotten, later.took_seconds) == (False, None)


async def check_timeline(it: Shop, past: Past) -> None:
    told = await past.timeline(ADA, 100, None)
    assert [step["kind"] for step in told.steps] == ["event", "event", "event", "duplicate", "dead_letter"]
    assert (told.total, told.waiting, told.is_complete, told.forgotten_at) == (5, 0, True, None)
    assert told.profile["counts"] == {"click": 3}
    first, second, third = told.steps[:3]
    assert [step["state"]["session"] for step in (first, second, third)] == [
        "begun",
        "continued",
        "continued",
    ]
    published = await read_json(it, it.settings.slates_topic)
    mine = [each["slate_id"] for each in published if each["user_id"] == "ada"]
    assert [step["slate"]["slate_id"] for step in (first, second, third)] == mine
    rewards = [each for each in await read_json(it, it.settings.rewards_topic) if each["user_id"] == "ada"]
    earned = [reward for step in (first, second, third) for reward in step["rewards"]]
    assert json.loads(json.dumps(earned)) == rewards
    assert rewards
    latest = await past.timeline(ADA, 2, None)
    assert (latest.total, latest.steps) == (5, told.steps[-2:])
    since = third["origin"]["time"]
    assert (await past.timeline(ADA, 100, since)).total < 5 or since == first["origin"]["time"]


async def check_why(past: Past, slate: dict[str, Any]) -> None:
    items = [item["item_id"] for item in slate["items"]]
    then = await past.why(slate["slate_id"], "default", then=True, since=None)
    now = await past.why(slate["slate_id"], "*", then=False, since=None)
    assert json.loads(bytes(then.slate)) == slate
    assert (then.profile, now.profile, then.models) == ("then", "now", "now")
    assert items
    assert [each.item_id for each in then.why] == items
    assert any(each.session_count or each.rules or each.popularity for each in then.why)


async def check_what_is_not_there(past: Past, slate_id: str) -> None:
    topic, _, partition = slate_id.rpartition("-")[0].rpartition("-")
    for each in (f"{topic}-{partition}-99", f"{topic}-7-0"):
        with pytest.raises(NoSuchPast, match="no slate"):
            await past.why(each, "default", then=True, since=None)
    with pytest.raises(NoSuchPast, match="tenant"):
        await past.why(slate_id, "north", then=True, since=None)
    with pytest.raises(NoSuchPast, match="no event of 'ada' of the tenant 'north'"):
        await past.timeline(User("ada", "north"), 10, None)
