import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from state.catalogue import CatalogueItem
from state.event import Event, EventItem, EventRules, Origin
from stream.codecs import decode_event, decode_item
from stream.config import Settings, load_settings
from stream.event_file import EventFile, EventList, Span
from stream.replay import ReplayError, replay, replay_items
from stream.sender import Progress
from stream.topics import create_topics, topic_specs

SAMPLE = Path(__file__).parents[1] / "samples" / "otto.jsonl"
DAY = 86_400_000
FOR_EVER = {"events_retention_seconds": -1}


async def made(broker: str, prefix: str, **overrides: object) -> Settings:
    settings = load_settings(broker=broker, topic_prefix=prefix, partitions=4, **overrides)
    await create_topics(broker, topic_specs(settings))
    return settings


async def records_of(settings: Settings, *topics: str) -> list[Any]:
    """Every record of the topics, by default the inputs, by topic, partition and offset."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.broker)
    await consumer.start()
    try:
        names = topics or settings.input_topics
        await consumer.topics()
        places = [
            TopicPartition(name, n)
            for name in names
            for n in sorted(consumer.partitions_for_topic(name) or ())
        ]
        consumer.assign(places)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(places)
        records = []
        while any([await consumer.position(place) < ends[place] for place in places]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                records += batch
        return sorted(records, key=lambda record: (record.topic, record.partition, record.offset))
    finally:
        await consumer.stop()


def decoded(records: Sequence[Any]) -> list[Event]:
    rules = EventRules()
    return [
        decode_event(r.value, Origin(r.topic, r.partition, r.offset, r.timestamp), rules) for r in records
    ]


def clicks(*times: int, user: str = "u") -> EventList:
    return EventList(
        [
            Event(event_id=str(n), type="click", user_id=user, time=at, items=(EventItem("i"),))
            for n, at in enumerate(times)
        ]
    )


async def test_every_event_of_a_file_arrives_once_and_in_its_users_order(broker: str, prefix: str) -> None:
    settings = await made(broker, prefix, **FOR_EVER)
    file = EventFile(SAMPLE, "otto")
    told: list[Progress] = []
    before = time.time() * 1000
    report = await replay(settings, file, on_progress=told.append)
    records = await records_of(settings)
    sent, arrived = list(file), decoded(records)
    assert report.sent == len(sent) == len(arrived) == 857
    shift = report.last - sent[-1].time
    assert before <= report.last <= time.time() * 1000
    expected, got = by_user(sent), by_user(arrived)
    assert got.keys() == expected.keys()
    for user, events in expected.items():
        assert [(e.event_id, e.time, e.items) for e in got[user]] == [
            (e.event_id, e.time + shift, e.items) for e in events
        ]
    assert all(record.timestamp == event.time for record, event in zip(records, arrived, strict=True))
    assert all(record.key == event.key.encode() for record, event in zip(records, arrived, strict=True))
    assert len({record.partition for record in records}) == 4
    assert told[-1] == Progress(857, report.size, report.last)
    assert report.size == sum(len(record.value) for record in records)


def by_user(events: Sequence[Event]) -> dict[str, list[Event]]:
    users = defaultdict(list)
    for event in events:
        users[event.user_id].append(event)
    return users


async def test_kept_times_arrive_as_they_are(broker: str, prefix: str) -> None:
    settings = await made(broker, prefix, **FOR_EVER)
    report = await replay(settings, EventFile(SAMPLE, "otto", limit=50), times="keep")
    assert (report.sent, report.first) == (50, 1_659_304_800_025)
    records = await records_of(settings)
    assert min(record.timestamp for record in records) == 1_659_304_800_025
    assert [record.timestamp for record in records] == [event.time for event in decoded(records)]


async def test_events_that_kafka_would_delete_are_refused_before_anything_is_sent(
    broker: str, prefix: str
) -> None:
    settings = await made(broker, prefix)
    with pytest.raises(ReplayError, match=rf"{prefix}events keeps 30\.0: Kafka would delete them at once"):
        await replay(settings, EventFile(SAMPLE, "otto"), times="keep")
    now = int(time.time() * 1000)
    with pytest.raises(ReplayError, match=r"reach back 40\.0 days"):
        await replay(settings, clicks(now - 80 * DAY, now - 40 * DAY))
    assert await records_of(settings) == []


async def test_each_type_goes_to_its_own_input(broker: str, prefix: str) -> None:
    settings = await made(broker, prefix, inputs="clicks,purchases", **FOR_EVER)
    await replay(settings, EventFile(SAMPLE, "otto"))
    topics = defaultdict(set)
    for record in await records_of(settings):
        (event,) = decoded([record])
        topics[record.topic].add(event.type)
    assert topics == {f"{prefix}clicks": {"click", "add_to_cart"}, f"{prefix}purchases": {"purchase"}}


async def test_a_paced_replay_keeps_the_events_distances(broker: str, prefix: str) -> None:
    settings = await made(broker, prefix)
    report = await replay(settings, clicks(0, 2000, 10_000), speed=20)
    assert report.seconds >= 0.5
    times = [record.timestamp for record in await records_of(settings)]
    assert [at - times[0] for at in times] == [0, 2000, 10_000]
    assert times[-1] <= time.time() * 1000


async def test_the_lines_that_gave_no_event_are_in_the_report(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    settings = await made(broker, prefix)
    path = tmp_path / "rows.csv"
    path.write_text("1,2,3,pv,1511658005\n1,2,3,sing,1511658000\n1,2\n1,4,3,buy,1511658006\n")
    report = await replay(settings, EventFile(path, "taobao"))
    assert report.sent == 2
    assert report.rejects == {"unknown_type": 1, "wrong_columns": 1}


async def test_more_events_than_a_round_and_a_batch_hold_all_arrive(broker: str, prefix: str) -> None:
    settings = await made(broker, prefix)
    now = int(time.time() * 1000)
    report = await replay(settings, clicks(*range(now - 9000, now)))
    records = await records_of(settings)
    assert report.sent == 9000
    assert [event.event_id for event in decoded(records)] == [str(n) for n in range(9000)]


async def test_a_missing_topic_is_told(broker: str, prefix: str) -> None:
    settings = load_settings(broker=broker, topic_prefix=prefix)
    with pytest.raises(ReplayError, match=f"{prefix}events: no such topic; run `freshslate topics create`"):
        await replay(settings, clicks(0))


async def test_a_pipe_cannot_be_shifted(broker: str, prefix: str) -> None:
    class Pipe(EventList):
        def span(self) -> Span | None:
            return None

    settings = await made(broker, prefix)
    with pytest.raises(ReplayError, match="cannot shift the times of a pipe"):
        await replay(settings, Pipe([]))


async def test_an_event_too_large_for_the_topic_stops_the_replay_with_one_error(
    broker: str, prefix: str
) -> None:
    settings = await made(broker, prefix)
    now = int(time.time() * 1000)
    events = [
        Event(event_id="1", type="search", user_id="u", time=now, query="q"),
        Event(event_id="2", type="search", user_id="u", time=now, extra={"note": "x" * 9_000_000}),
    ]
    with pytest.raises(ReplayError, match="the broker stopped the replay: MessageSizeTooLargeError"):
        await replay(settings, EventList(events))


async def test_a_catalogue_arrives_with_its_ids_as_keys(
    broker: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.replay.ITEMS_AT_ONCE", 3)
    settings = await made(broker, prefix)
    items = [CatalogueItem(item_id=f"i{n}", category="hats", price=n + 0.5) for n in range(7)]
    assert await replay_items(settings, iter(items)) == 7
    records = await records_of(settings, settings.items_topic)
    assert sorted((decode_item(r.key, r.value) for r in records), key=lambda item: item.item_id) == items


async def test_a_catalogue_without_its_topic_says_what_to_do(broker: str, prefix: str) -> None:
    settings = load_settings(broker=broker, topic_prefix=prefix)
    assert await replay_items(settings, []) == 0
    with pytest.raises(ReplayError, match="items: no such topic; run `freshslate topics create`"):
        await replay_items(settings, [CatalogueItem(item_id="i")])
