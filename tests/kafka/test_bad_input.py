"""Whatever comes in: a dead letter with its reason or a defined answer, and the next event is served."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from stream.reading import read_topic
from tests.kafka.harness import Shop, read_json, shop, until

DAY_MS = 86_400_000


async def put(it: Shop, *values: bytes | None, key: bytes = b"ada") -> None:
    """Send raw values into one partition."""
    async with AIOKafkaProducer(bootstrap_servers=it.settings.broker, max_request_size=2 << 20) as producer:
        for value in values:
            await producer.send_and_wait(
                it.settings.input_topics[0], value, key=key, partition=0, headers=[("trace", b"42")]
            )


def event(**fields: Any) -> bytes:
    return json.dumps({"type": "click", "user_id": "ada", "item_id": "i1", **fields}).encode()


async def test_bad_records_become_dead_letters_and_the_next_event_is_served(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    now = int(time.time() * 1000)
    bad = {
        "not_json": b'{"type": "click", ',
        "wrong_type": event(item_id=["i1"]),
        "missing_user": json.dumps({"type": "click", "item_id": "i1"}).encode(),
        "missing_item": json.dumps({"type": "click", "user_id": "ada"}).encode(),
        "unknown_type": event(type="teleport"),
        "time_in_future": event(time=now + 2 * DAY_MS),
        "time_too_old": event(time=now - 400 * DAY_MS),
        "too_large": event(context={"blob": "x" * 1_000_000}),
        "null_value": None,
    }
    async with shop(broker, prefix, tmp_path, dead_letter_share=1.0) as it:
        it.start()
        await put(it, *bad.values(), event(event_id="good"))
        await it.settled(len(bad) + 1)
        letters = [r async for r in read_topic(broker, it.settings.dlq_topic)]
        reasons = [dict(r.headers)["dlq.reason"].decode() for r in letters]
        assert reasons == list(bad)
        assert [r.value for r in letters] == list(bad.values())
        assert {r.key for r in letters} == {b"ada"}
        assert all(dict(r.headers)["trace"] == b"42" for r in letters)
        assert [dict(r.headers)["dlq.source.offset"] for r in letters] == [b"%d" % n for n in range(len(bad))]
        slates = await read_json(it, it.settings.slates_topic)
        assert [slate["trigger"]["event_id"] for slate in slates] == ["good"]
        assert (await it.audit()).is_clean


async def test_odd_but_valid_events_get_a_defined_answer(broker: str, prefix: str, tmp_path: Path) -> None:
    now = int(time.time() * 1000)
    basket = [{"item_id": f"b{n}", "quantity": 2, "price": 9.5} for n in range(50)]
    async with shop(broker, prefix, tmp_path) as it:
        it.start()
        await put(
            it,
            event(event_id="twice", user_id=7, item_id=1001, time=now),
            event(event_id="twice", user_id=7, item_id=1001, time=now),
            event(event_id="late", user_id=7, item_id="old", time=now - 20 * 60_000),
            json.dumps({"type": "purchase", "user_id": 7, "items": basket, "event_id": "basket"}).encode(),
            event(event_id="new", user_id="never seen", item_id="not in the catalogue", unknown={"a": 1}),
            json.dumps({"type": "search", "anonymous_id": "guest", "query": "shoes"}).encode(),
        )
        await it.settled(6)
        slates = {s["trigger"]["event_id"]: s for s in await read_json(it, it.settings.slates_topic)}
        search = next(iter(slates.keys() - {"twice", "late", "basket", "new"}))
        assert len(slates) == 5
        assert slates["twice"]["user_id"] == "7"
        assert {item["item_id"] for item in slates["basket"]["items"]}.isdisjoint(
            f"b{n}" for n in range(18, 50)
        )
        assert search == f"{prefix}events-0-5"
        report = await it.audit()
        assert report.is_clean, report
        assert report.duplicate_events == 1
        assert report.dead_letters == 0


async def test_only_available_items_of_the_catalogue_are_recommended(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path) as it:
        async with AIOKafkaProducer(bootstrap_servers=broker) as producer:
            for n in range(20):
                item = {"title": f"Thing {n}", "available": n % 2 == 0}
                await producer.send_and_wait(
                    it.settings.items_topic, json.dumps(item).encode(), key=b"i%d" % n
                )
            await producer.send_and_wait(it.settings.items_topic, None, key=b"i0")
        it.start()
        await put(it, event(item_id="i2"), event(item_id="elsewhere"), event(item_id="i4"))
        await it.settled(3)
        slates = await read_json(it, it.settings.slates_topic)
        offered = {item["item_id"] for slate in slates for item in slate["items"]}
        assert offered
        assert offered <= {f"i{n}" for n in range(2, 20, 2)}


async def test_too_many_dead_letters_stop_the_worker_before_anything_is_committed(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path, dead_letter_window=100) as it:
        worker = it.start()
        await put(it, *[b"garbage"] * 100)
        code = await asyncio.to_thread(worker.wait, 60)
        assert code == 1
        last_line = it.log(worker).splitlines()[-1]
        assert last_line.startswith("freshslate: 100 of the latest 100 records of")
        assert await it.processed() < 100


async def test_a_topic_that_was_created_again_is_one_clear_error(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    from aiokafka.admin import AIOKafkaAdminClient

    from stream.topics import create_topics, topic_specs

    async with shop(broker, prefix, tmp_path) as it:
        worker = it.start()
        await put(it, event(), event(), event())
        await it.settled(3)
        worker.terminate()
        assert await asyncio.to_thread(worker.wait, 30) == 0
        admin = AIOKafkaAdminClient(bootstrap_servers=broker)
        await admin.start()
        await admin.delete_topics(list(it.settings.input_topics))
        await asyncio.sleep(1)
        await admin.close()
        await create_topics(broker, topic_specs(it.settings))
        again = it.start()
        await until(lambda: again.poll() is not None, 60, it.logs)
        assert again.returncode != 0
        assert "was deleted and created again" in it.log(again)


@pytest.mark.parametrize("missing", ["slates", "events"])
async def test_a_missing_topic_is_one_clear_error_at_start(
    broker: str, prefix: str, tmp_path: Path, missing: str
) -> None:
    from aiokafka.admin import AIOKafkaAdminClient

    async with shop(broker, prefix, tmp_path) as it:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker)
        await admin.start()
        await admin.delete_topics([prefix + missing])
        await admin.close()
        worker = it.start()
        await until(lambda: worker.poll() is not None, 60, it.logs)
        assert worker.returncode != 0
        assert prefix + missing in it.log(worker)
        assert "topics create" in it.log(worker)
