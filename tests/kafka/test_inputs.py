"""Several input topics: one user's events meet in one worker, whichever topic they came by."""

import asyncio
import signal
from pathlib import Path

from aiokafka import AIOKafkaProducer

from stream.connection import connection
from stream.inspection import partition_of
from stream.reading import read_topic
from tests.kafka.harness import PARTITIONS, Shop, clicks, read_json, send, shop

VIEW = b'{"event": "Product Viewed", "messageId": "m-1", "userId": "ada", "properties": {"sku": "d"}}'
PAGE = b'{"type": "page",  "messageId": "m-2", "userId": "ada"}'
ORDER = b'{"user_id": "ada", "item_id": "d"}'
TOPICS = {"click": "clicks", "purchase": "purchases", "impression": "impressions"}


async def send_raw(it: Shop, name: str, value: bytes, **headers: str) -> None:
    """Send a record of ada's to an input."""
    topic, pairs = it.settings.topic_prefix + name, [(key, text.encode()) for key, text in headers.items()]
    partition = partition_of("ada", it.settings.partitions)
    async with AIOKafkaProducer(bootstrap_servers=it.settings.broker) as producer:
        await producer.send_and_wait(topic, value, key=b"ada", partition=partition, headers=pairs)


async def test_equal_partitions_of_all_inputs_are_always_in_the_same_worker(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    inputs = tuple(TOPICS.values())
    async with shop(broker, prefix, tmp_path, inputs=inputs, session_timeout_seconds=6) as it:
        _, second = it.start(), it.start()
        await it.started()
        events = [event for event in clicks(9_000) if event["type"] in TOPICS]
        sent = 0
        for kind, name in TOPICS.items():
            chosen = [
                {k: v for k, v in event.items() if k != "type"} for event in events if event["type"] == kind
            ]
            sent += await send(it, chosen, topic=prefix + name)
        await it.settled(sent)
        second.send_signal(signal.SIGTERM)
        sent += await send(it, clicks(3_000, seed=2), topic=prefix + "clicks")
        await it.settled(sent)
        report = await it.audit()
        assert report.is_clean, report
        assert report.records == sent
        assert await asyncio.to_thread(second.wait, 20) == 0


async def test_one_cycle_takes_a_partitions_topics_together_each_in_its_format_with_a_marker_each(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    inputs, formats = ("clicks", "purchases", "web", "orders"), ("web=segment", "orders=cloudevents")
    async with shop(broker, prefix, tmp_path, inputs=inputs, input_formats=formats) as it:
        base = {"user_id": "ada", "time": 1_700_000_000_000}
        now = {"user_id": "ada"}
        await send(it, [{"item_id": "a", **now}, {"item_id": "b", **now}], topic=prefix + "clicks")
        await send(it, [{"item_id": "b", **now}, {"item_id": "c", **base}], topic=prefix + "purchases")
        await send_raw(it, "web", VIEW)
        await send_raw(it, "web", PAGE)
        await send_raw(it, "orders", ORDER, ce_specversion="1.0", ce_id="o-1", ce_type="shop.purchase")
        it.start()
        await it.settled(7)
        deltas = await read_json(it, it.settings.deltas_topic)
        topics = {span["topic"] for delta in deltas for span in delta["spans"]}
        assert topics == {prefix + name for name in inputs}
        slates = await read_json(it, it.settings.slates_topic)
        assert {slate["user_id"] for slate in slates} == {"ada"}
        assert len(slates) == 5
        assert {"m-1", "o-1"} <= {slate["trigger"]["event_id"] for slate in slates}
        letters = [
            letter
            async for letter in read_topic(connection(it.settings), it.settings.dlq_topic)
            if letter.value
        ]
        reasons = {dict(letter.headers)["dlq.reason"]: letter.value for letter in letters}
        assert reasons.keys() == {b"time_too_old", b"passed_over"}
        assert reasons[b"passed_over"] == PAGE
        report = await it.audit()
        assert report.is_clean, report
        assert report.dead_letters == 2


async def test_a_killed_worker_restarts_from_every_topics_own_marker(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path, inputs=("views", "carts"), session_timeout_seconds=6) as it:
        worker = it.start()
        await it.started()
        sent = await send(it, clicks(2_000, seed=3), topic=prefix + "views")
        sent += await send(it, clicks(1_000, seed=4), topic=prefix + "carts")
        await asyncio.sleep(0.3)
        worker.kill()
        it.start()
        await it.settled(sent)
        report = await it.audit()
        assert report.is_clean, report
        assert report.records == sent
        assert PARTITIONS > 1
