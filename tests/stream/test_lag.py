import asyncio
import logging

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from hypothesis import given
from hypothesis import strategies as st

import stream.lag
from stream.lag import MOST_SAMPLES, NO_LAG, Lag, LagWatch, Samples, following
from stream.transport import Passed

A, B = TopicPartition("events", 0), TopicPartition("events", 1)


class Broker:
    """Ends of partitions, as the test says."""

    def __init__(self):
        self.offsets = {A: 0, B: 0}
        self.asked = []
        self.error = None
        self.refusal = None
        self.meanwhile = lambda: None
        self.stopped = False

    async def ends(self, tps):
        self.asked.append(list(tps))
        self.meanwhile()
        if self.error:
            raise self.error
        return {tp: self.offsets[tp] for tp in tps}

    async def why(self):
        return self.refusal

    async def stop(self):
        self.stopped = True


class Gauges:
    def __init__(self):
        self.shown = {}

    def set_lag(self, topic, partition, records, seconds):
        self.shown[topic, partition] = (records, seconds)

    def forget_lag(self, topic, partition):
        del self.shown[topic, partition]


class Scene:
    """A watch with everything around it in the test's hands."""

    def __init__(self):
        self.now = 100.0
        self.broker = Broker()
        self.gauges = Gauges()
        self.processed = {A: 0}
        self.watch = LagWatch(
            ends=self.broker,
            probe=A,
            next_offsets=lambda: self.processed,
            gauges=self.gauges,
            clock=lambda: self.now,
        )

    async def look(self, *, after=0.0, end=None, processed=None):
        self.now += after
        if end is not None:
            self.broker.offsets[A] = end
        if processed is not None:
            self.processed[A] = processed
        await self.watch.look()
        return self.watch.lags and self.watch.lags.get(A)


@pytest.fixture
def scene():
    return Scene()


# Seconds by sampling ---------------------------------------------------------------------------------


def test_lag_in_seconds_is_the_age_of_the_sample_that_first_saw_what_is_next():
    samples = Samples()
    for now, end in [(0, 10), (5, 20), (10, 20), (15, 30)]:
        samples.add(now, end)
    assert samples.seconds(15, 5) == 15  # offset 5 was there at 0
    assert samples.seconds(15, 10) == 10  # offset 10 came between 0 and 5
    assert samples.seconds(15, 19) == 10
    assert samples.seconds(16, 20) == 1
    assert samples.seconds(17, 30) == 0


def test_without_lag_nothing_is_kept():
    samples = Samples()
    samples.add(0, 10)
    assert samples.seconds(5, 10) == 0
    samples.add(60, 11)
    assert samples.seconds(61, 10) == 1


def test_a_long_standstill_takes_bounded_room_and_keeps_the_beginning():
    samples = Samples()
    for n in range(10 * MOST_SAMPLES):
        samples.add(float(n), n + 1)
    assert len(samples._samples) <= MOST_SAMPLES
    assert samples.seconds(10.0 * MOST_SAMPLES, 0) == 10 * MOST_SAMPLES


@given(
    steps=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), min_size=1, max_size=60),
    poll=st.integers(1, 10),
)
def test_seconds_are_right_to_within_one_poll(steps, poll):
    """Against the true arrival time of the record that is next."""
    samples, arrived, processed = Samples(), [], 0
    for n, (comes, done) in enumerate(steps):
        now = n * poll
        arrived += [now - poll] * comes  # at the earliest just after the last look
        samples.add(now, len(arrived))
        processed = min(len(arrived), processed + done)
        seconds = samples.seconds(now, processed)
        if processed == len(arrived):
            assert seconds == 0
        else:
            assert now - arrived[processed] - poll <= seconds <= now - arrived[processed]


# What comes next --------------------------------------------------------------------------------------


class Held:
    opened = frozenset({0})

    def expected(self, topic, partition):
        return 50


@pytest.mark.parametrize(
    ("passed", "offset"),
    [
        (None, 50),  # nothing was read yet
        (Passed(delivered=0, position=50), 50),  # read on from where the last owner ended
        (Passed(delivered=50, position=50), 50),
        (Passed(delivered=50, position=53), 53),  # control records at the end
        (Passed(delivered=80, position=80), 50),  # 30 records wait in the queue
        (Passed(delivered=80, position=83), 50),
        (Passed(delivered=80, position=50), 50),  # sought back
    ],
)
def test_the_position_counts_once_all_that_was_delivered_is_processed(passed, offset):
    assert following(Held(), ["events"], {} if passed is None else {A: passed}) == {A: offset}


def test_only_open_partitions_have_a_next_offset():
    class Two(Held):
        opened = frozenset({0, 1})

    assert following(Two(), ["clicks", "buys"], {}).keys() == {
        TopicPartition(topic, p) for topic in ("clicks", "buys") for p in (0, 1)
    }
    Two.opened = frozenset()
    assert following(Two(), ["clicks", "buys"], {A: Passed(1, 1)}) == {}


# The watch --------------------------------------------------------------------------------------------


async def test_lag_grows_while_nothing_is_processed_and_ends_when_all_is(scene):
    assert scene.watch.records is None
    assert await scene.look(end=10, processed=10) == NO_LAG
    assert await scene.look(after=5, end=13) == Lag(3, 0.0)
    assert await scene.look(after=5, end=15) == Lag(5, 5.0)
    assert await scene.look(after=5, processed=13) == Lag(2, 5.0)
    assert scene.gauges.shown == {("events", 0): (2, 5.0)}
    assert await scene.look(after=5, processed=15) == NO_LAG
    assert scene.gauges.shown == {("events", 0): (0, 0.0)}


async def test_partitions_add_up_and_the_oldest_counts(scene):
    scene.processed[B] = 0
    await scene.look(end=2)
    scene.broker.offsets[B] = 5
    await scene.look(after=7)
    assert (scene.watch.records, scene.watch.seconds) == (7, 7.0)


async def test_what_is_processed_while_the_broker_answers_is_no_lag(scene):
    def process():
        scene.processed[A] = 12

    scene.broker.meanwhile = process
    assert await scene.look(end=10, processed=8) == NO_LAG


async def test_a_partition_that_was_taken_away_is_shown_no_more(scene):
    scene.processed[B] = 0
    await scene.look(end=3)
    scene.broker.meanwhile = lambda: scene.processed.pop(B, None)
    await scene.look(after=5)
    assert scene.gauges.shown.keys() == {("events", 0)}
    assert scene.watch.lags.keys() == {A}


async def test_without_partitions_the_broker_is_asked_all_the_same(scene):
    scene.processed.clear()
    await scene.look()
    assert scene.broker.asked == [[A]]
    assert (scene.watch.records, scene.watch.seconds, scene.watch.problem) == (0, 0.0, "")
    assert scene.gauges.shown == {}


async def test_lag_covers_what_was_open_at_the_last_look(scene):
    assert not scene.watch.covers([])
    await scene.look(end=3)
    assert scene.watch.covers([0])
    assert scene.watch.covers([])
    assert not scene.watch.covers([0, 1])


@pytest.mark.parametrize(
    "error", [KafkaConnectionError("refused"), TimeoutError(), OSError("unreachable")], ids=str
)
async def test_a_broker_that_is_away_makes_the_lag_unknown_and_is_told_once(scene, error, caplog):
    caplog.set_level(logging.INFO, "stream.lag")
    await scene.look(end=3)
    scene.broker.error = error
    for _ in range(3):
        await scene.look(after=5)
    assert (scene.watch.records, scene.watch.seconds) == (None, None)
    assert type(error).__name__ in scene.watch.problem
    assert scene.gauges.shown == {}
    scene.broker.error = None
    assert await scene.look(after=5) == Lag(3, 20.0)
    assert scene.watch.problem == ""
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_a_broker_that_refuses_us_is_told_once_and_in_its_own_words(scene, caplog):
    scene.broker.error = KafkaConnectionError("unable to bootstrap")
    await scene.look()
    scene.broker.refusal = "the Kafka broker at b:1: does not let in user worker"
    for _ in range(3):
        await scene.look(after=5)
    assert scene.watch.problem == scene.broker.refusal
    assert [record.getMessage().partition(": ")[2][:29] for record in caplog.records] == [
        "the broker does not answer: K",
        "the Kafka broker at b:1: does",
    ]


async def test_a_broker_that_is_silent_is_not_waited_for(scene, monkeypatch):
    async def ends(tps):
        await asyncio.Event().wait()

    monkeypatch.setattr(stream.lag, "ANSWER_SECONDS", 0.01)
    scene.broker.ends = ends
    await scene.look()
    assert scene.watch.problem == "the broker does not answer: TimeoutError"


async def test_it_looks_until_it_is_cancelled_and_then_lets_go(scene):
    looks = []
    done = asyncio.Event()

    def looked():
        looks.append(scene.watch.records)
        if len(looks) == 3:
            done.set()

    task = asyncio.create_task(scene.watch.run(0.001, looked))
    await done.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert looks == [0, 0, 0]
    assert scene.broker.stopped
