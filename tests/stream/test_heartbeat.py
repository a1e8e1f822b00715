import asyncio
import json
import logging

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, TopicAuthorizationFailedError

import stream.heartbeat
from state.event import HEARTBEAT_TENANT, EventRules, Origin
from stream.codecs import decode_event
from stream.config import Settings
from stream.heartbeat import Heartbeat, heartbeat, heartbeat_key
from stream.reading import is_heartbeat
from stream.worker_metrics import HEARTBEATS_SENT, WorkerMetrics
from tests.stream.fakes import until
from tests.stream.records import T, click, record


class FakeProducer:
    """Takes what is sent, or fails."""

    def __init__(self, taken, error=None):
        self.taken = taken
        self.error = error
        self.stopped = False

    async def start(self):
        if isinstance(self.error, KafkaConnectionError):
            raise self.error

    async def send(self, topic, value, *, key, partition):
        self.taken.append((topic, json.loads(value), key, partition))
        future = asyncio.get_running_loop().create_future()
        if self.error:
            future.set_exception(self.error)
        else:
            future.set_result(None)
        return future

    async def stop(self):
        self.stopped = True


class Scene:
    """A heartbeat with its surroundings."""

    def __init__(self, **settings):
        self.owned = frozenset({0, 3})
        self.metrics = WorkerMetrics()
        self.taken = []
        self.errors = []
        """Of the producers to come, one each."""
        self.producers = []
        self.heart = Heartbeat(
            Settings(inputs="clicks,purchases", topic_prefix="p.", **settings),
            lambda: self.owned,
            self.metrics,
            producer=self.make,
            now=lambda: T,
        )

    def make(self, settings, name):
        self.producers.append(FakeProducer(self.taken, self.errors.pop(0) if self.errors else None))
        return self.producers[-1]


@pytest.fixture
def scene():
    return Scene()


def test_what_is_sent_is_a_valid_event_that_every_reader_tells_from_a_shoppers():
    event = decode_event(heartbeat(3, T), Origin("clicks", 3, 17, T), EventRules())
    assert event.is_heartbeat
    assert (event.tenant, event.user_id, event.type, event.time) == (HEARTBEAT_TENANT, "3", "search", T)
    assert event.key.encode() == heartbeat_key(3)
    assert is_heartbeat(record(heartbeat(3, T), key=heartbeat_key(3)))
    for key in (b"3", b"freshslate-heartbeat", b"default|freshslate-heartbeat|3", None):
        assert not is_heartbeat(record(click("3", "a"), key=key))


async def test_each_partition_gets_one_on_the_first_input(scene):
    await scene.heart.beat()
    assert [(topic, key, partition) for topic, _, key, partition in scene.taken] == [
        ("p.clicks", heartbeat_key(0), 0),
        ("p.clicks", heartbeat_key(3), 3),
    ]
    assert [fields["user_id"] for _, fields, _, _ in scene.taken] == ["0", "3"]
    assert scene.metrics.value(HEARTBEATS_SENT) == 2
    await scene.heart.beat()
    assert len(scene.producers) == 1
    assert scene.metrics.value(HEARTBEATS_SENT) == 4


async def test_a_worker_without_partitions_sends_nothing_and_connects_to_nothing(scene):
    scene.owned = frozenset()
    await scene.heart.beat()
    assert (scene.taken, scene.producers) == ([], [])


@pytest.mark.parametrize("error", [TopicAuthorizationFailedError(), KafkaConnectionError("away")])
async def test_a_broker_that_takes_none_is_told_of_once_and_asked_again(scene, caplog, error):
    caplog.set_level(logging.INFO, "stream.heartbeat")
    scene.errors = [error, error]
    for _ in range(3):
        await scene.heart.beat()
    said = [line.getMessage() for line in caplog.records]
    assert [line.split(" (")[0] for line in said] == [
        "no heartbeat can be sent to p.clicks",
        "heartbeats are sent again",
    ]
    assert type(error).__name__ in said[0]
    assert "FRESHSLATE_CANARY_SECONDS=0" in said[0]
    assert [producer.stopped for producer in scene.producers] == [True, True, False]
    assert scene.metrics.value(HEARTBEATS_SENT) == 2


async def test_a_producer_whose_broker_is_away_is_kept_since_it_goes_on_trying(scene, monkeypatch):
    await scene.heart.beat()
    (producer,) = scene.producers
    producer.error = KafkaTimeoutError()
    await scene.heart.beat()
    producer.error = None
    monkeypatch.setattr(stream.heartbeat, "SEND_SECONDS", 0.0)
    producer.send = never
    await scene.heart.beat()
    assert scene.metrics.value(HEARTBEATS_SENT) == 2
    monkeypatch.undo()
    del producer.send
    await scene.heart.beat()
    assert scene.producers == [producer]
    assert not producer.stopped
    assert scene.metrics.value(HEARTBEATS_SENT) == 4


async def never(*_, **__):
    await asyncio.Event().wait()


async def test_it_beats_until_it_is_cancelled_and_lets_go_of_its_producer():
    scene = Scene(canary_seconds=0.001)
    beating = asyncio.create_task(scene.heart.run())
    await until(lambda: len(scene.taken) >= 6)
    beating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beating
    assert [producer.stopped for producer in scene.producers] == [True]
