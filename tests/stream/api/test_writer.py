"""What is sent, and what is said of it."""

import asyncio

import pytest
from aiokafka.errors import KafkaError

from state.event import Event, EventItem
from stream.api.problem import Problem
from stream.api.writer import Row, Writer
from stream.config import load_settings
from stream.topics import TopicState
from tests.stream.api.fakes import NOW, MemoryProducer

ROWS = [Row("events", 0, b"u%d" % n, b"{}", NOW) for n in range(3)]


def writer_of(producer: MemoryProducer, **settings: object) -> Writer:
    made = load_settings(**settings)
    return Writer(producer, made, {name: TopicState(4, {}) for name in made.input_topics})


async def test_rows_are_sent_in_order_and_known_to_be_written() -> None:
    producer = MemoryProducer()
    writer = writer_of(producer)
    assert await writer.write(ROWS) == [True, True, True]
    assert [sent.key for sent in producer.sent] == [b"u0", b"u1", b"u2"]
    assert writer.waiting == 0
    assert await writer.write([]) == []


def test_an_event_goes_to_its_types_topic_and_its_users_partition() -> None:
    writer = writer_of(MemoryProducer(), inputs="clicks,purchases")
    made = [
        writer.row_of(
            Event(event_id="e", type=kind, user_id="u", tenant="t", time=5, items=(EventItem("i"),)), NOW
        )
        for kind in ("click", "purchase")
    ]
    assert [row.topic for row in made] == ["clicks", "purchases"]
    assert made[0].partition == made[1].partition
    assert (made[0].key, made[0].timestamp) == (b"t|u", NOW)


async def test_what_is_not_acknowledged_in_time_is_said_to_be_unwritten_and_waits_on() -> None:
    producer = MemoryProducer()
    producer.holds = True
    writer = writer_of(producer, api_ack_seconds=0.05)
    assert await writer.write(ROWS) == [False, False, False]
    assert writer.waiting == 3
    for future in producer.held:
        future.set_result(None)
    await asyncio.sleep(0)
    assert writer.waiting == 0


async def test_an_error_of_the_broker_is_no_acknowledgement() -> None:
    producer = MemoryProducer()
    producer.fails = KafkaError("gone")
    writer = writer_of(producer)
    assert await writer.write(ROWS) == [False, False, False]
    assert writer.waiting == 0


async def test_when_too_much_waits_nothing_more_is_taken() -> None:
    producer = MemoryProducer()
    producer.holds = True
    writer = writer_of(producer, api_ack_seconds=0.05, api_waiting_events=4)
    await writer.write(ROWS)
    with pytest.raises(Problem) as caught:
        await writer.write(ROWS)
    assert (caught.value.status, caught.value.reason) == (503, "overloaded")
    assert caught.value.headers["Retry-After"]
    assert len(producer.sent) == 3
    assert await writer.write(ROWS[:1]) == [False]
