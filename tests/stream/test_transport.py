from itertools import pairwise
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError
from faust import transport as faust_transport
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from stream.app import create_app
from stream.config import Settings
from stream.transport import (
    SCHEMES,
    AtLeastOnceTransport,
    Chunk,
    ChunkConsumer,
    ExactlyOnceConsumer,
    ExactlyOnceTransport,
    Membership,
    Passed,
    register,
)
from tests.stream.records import record, records

TP0 = TP("events", 0)


@pytest.fixture
async def consumer_of(tmp_path):
    """Makes the consumer that faust would run; nothing is connected."""
    made = []

    def make(guarantee="at_least_once", **settings):
        settings = Settings(processing_guarantee=guarantee, data_dir=tmp_path, worker_port=6066, **settings)
        made.append(create_app(settings).consumer)
        return made[-1]

    yield make
    for consumer in made:
        consumer._thread.thread_loop.close()


@pytest.fixture
async def consumer(consumer_of):
    return consumer_of(chunk_records=3)


@pytest.fixture
async def inner(consumer):
    """aiokafka's consumer as faust's thread makes it, not started."""
    made = consumer._thread._create_worker_consumer(consumer._thread.transport)
    yield made
    made._fetcher = None
    await made.stop()


def cut(consumer, before, run, generation=7):
    return list(consumer._cut(TP0, before, run, generation))


async def test_a_chunk_ends_after_its_last_record(consumer):
    run = records([b"a", b"b"], start=5, step=2)
    assert Chunk("events", 0, 5, run, 1).end == 8


async def test_a_fetch_is_cut_into_chunks_that_follow_each_other(consumer):
    run = records([b"x"] * 7, start=10)
    chunks = cut(consumer, 10, run)
    assert [len(chunk.records) for chunk in chunks] == [3, 3, 1]
    assert [(chunk.start, chunk.end) for chunk in chunks] == [(10, 13), (13, 16), (16, 17)]
    assert {(chunk.topic, chunk.partition, chunk.generation) for chunk in chunks} == {("events", 0, 7)}


async def test_a_chunk_starts_where_the_fetch_did_so_control_records_leave_no_gap(consumer):
    run = records([b"x"] * 5, start=12, step=2)  # offsets 12 14 16 | 18 20, fetched from 9 on
    assert [(chunk.start, chunk.end) for chunk in cut(consumer, 9, run)] == [(9, 17), (17, 21)]


@pytest.mark.parametrize("before", [None, 11, 500])
async def test_records_know_better_than_a_position_that_was_moved(consumer, before):
    assert cut(consumer, before, records([b"x"], start=10))[0].start == 10


@given(
    gaps=st.lists(st.integers(1, 4), min_size=1, max_size=30),
    before=st.none() | st.integers(0, 12),
    size=st.integers(1, 9),
)
def test_chunks_cover_every_record_once_and_leave_no_hole(gaps, before, size):
    offsets = [10 + sum(gaps[:i]) for i in range(len(gaps))]
    run = [record(b"x", offset) for offset in offsets]
    consumer = ChunkConsumer.__new__(ChunkConsumer)
    consumer.app = SimpleNamespace(chunk_records=size)
    chunks = cut(consumer, before, run)
    assert [r.offset for chunk in chunks for r in chunk.records] == offsets
    assert all(len(chunk.records) <= size for chunk in chunks)
    assert all(left.end == right.start for left, right in pairwise(chunks))
    assert chunks[0].start == min(offsets[0], offsets[0] if before is None else before)


async def test_a_message_carries_the_chunk_and_the_generation_it_was_fetched_in(consumer):
    (chunk,) = cut(consumer, 4, records([b"a", b"b"], start=4))
    message = consumer._message(TP0, chunk)
    assert message.value is chunk
    assert (message.tp, message.offset, message.generation_id) == (TP0, 5, 7)
    assert message.timestamp == chunk.records[-1].timestamp / 1000


async def test_acknowledging_a_chunk_commits_the_offset_after_its_last_record(consumer, monkeypatch):
    committed = {}

    async def commit(offsets, start_new_transaction=True):
        committed.update(offsets)
        return True

    monkeypatch.setattr(consumer, "_commit_offsets", commit)
    for chunk in cut(consumer, 0, records([b"x"] * 5)):
        assert consumer.ack(consumer._message(TP0, chunk))
    assert await consumer.force_commit()
    assert committed == {TP0: 5}


async def test_a_chunk_after_a_hole_in_the_offsets_still_commits_to_its_end(consumer):
    consumer._committed_offset[TP0] = 3
    (chunk,) = cut(consumer, 3, records([b"x"] * 2, start=40, step=10))
    consumer.ack(consumer._message(TP0, chunk))
    assert consumer._new_offset(TP0) == 51


async def test_acknowledging_twice_counts_once(consumer):
    message = consumer._message(TP0, cut(consumer, 0, records([b"x"]))[0])
    consumer._unacked_messages.add(message)
    assert consumer.ack(message)
    consumer._acked[TP0] = [99]
    assert not consumer.ack(message)
    assert consumer._acked[TP0] == [99]
    assert message not in consumer._unacked_messages


async def test_nothing_is_committed_before_anything_is_acknowledged(consumer):
    assert consumer._new_offset(TP0) is None


async def test_the_exactly_once_consumer_commits_nothing(consumer_of, monkeypatch):
    consumer = consumer_of("exactly_once")
    assert isinstance(consumer, ExactlyOnceConsumer)

    async def commit(*_, **__):
        pytest.fail("offsets belong to the worker's transaction")

    monkeypatch.setattr(consumer, "_commit_offsets", commit)
    consumer.ack(consumer._message(TP0, cut(consumer, 0, records([b"x"]))[0]))
    assert not await consumer.force_commit()
    assert not await consumer.commit()


async def test_each_guarantee_has_the_consumer_that_keeps_it(consumer_of):
    assert type(consumer_of("at_least_once")) is ChunkConsumer
    assert type(consumer_of("exactly_once")) is ExactlyOnceConsumer


def test_registering_makes_both_schemes_known_to_faust():
    for scheme in SCHEMES.values():
        TRANSPORTS.aliases.pop(scheme, None)
    register()
    assert faust_transport.by_url(f"{SCHEMES['exactly_once']}://b:1") is ExactlyOnceTransport
    assert faust_transport.by_url(f"{SCHEMES['at_least_once']}://b:1") is AtLeastOnceTransport


async def test_the_consumer_reads_committed_records_only(inner):
    assert inner._isolation_level == "read_committed"


# The thread's fetch, and what getmany makes of it -------------------------------------------------


class Fetched:
    """faust's fetch of one round, without a broker."""

    def __init__(self, consumer, fetched, monkeypatch):
        async def next_records(timeout):
            return fetched, self.active

        self.active = None
        monkeypatch.setattr(consumer, "_wait_next_records", next_records)


async def messages_of(consumer):
    return [message async for _, message in consumer.getmany(timeout=1.0)]


async def test_a_fetch_becomes_one_message_per_chunk(consumer, monkeypatch):
    consumer.app.consumer_generation_id = 4
    other = TopicPartition("events", 1)
    Fetched(
        consumer,
        {
            TopicPartition(*TP0): (0, records([b"x"] * 4)),
            other: (7, records([b"y"] * 2, partition=1, start=8)),
        },
        monkeypatch,
    )
    chunks = [message.value for message in await messages_of(consumer)]
    assert [(c.partition, c.start, c.end, c.generation) for c in chunks] == [
        (0, 0, 3, 4),
        (0, 3, 4, 4),
        (1, 7, 10, 4),
    ]


async def test_a_partition_that_is_no_longer_active_is_left_out(consumer, monkeypatch):
    fetched = Fetched(consumer, {TopicPartition(*TP0): (0, records([b"x"]))}, monkeypatch)
    fetched.active = {TP("events", 1)}
    assert await messages_of(consumer) == []


async def test_a_rebalance_in_the_middle_of_a_fetch_ends_it(consumer, monkeypatch):
    Fetched(consumer, {TopicPartition(*TP0): (0, records([b"x"] * 9))}, monkeypatch)
    seen = []
    async for _, message in consumer.getmany(timeout=1.0):
        seen.append(message.value.start)
        consumer.app.consumer_generation_id += 1
    assert seen == [0]


async def test_nothing_is_handed_over_while_the_flow_is_stopped(consumer, monkeypatch):
    Fetched(consumer, {TopicPartition(*TP0): (0, records([b"x"]))}, monkeypatch)
    sought = []

    async def perform_seek():
        sought.append(True)

    monkeypatch.setattr(consumer, "perform_seek", perform_seek)
    consumer.flow_active = False
    assert await messages_of(consumer) == []
    assert sought == [True]


async def test_an_empty_round_hands_over_nothing(consumer, monkeypatch):
    Fetched(consumer, None, monkeypatch)
    assert await messages_of(consumer) == []


class Fetcher:
    """aiokafka's fetcher, which moves the position as it hands over records."""

    _closed = False

    def __init__(self, inner, fetched):
        self._subscriptions = inner._subscription
        self._inner = inner
        self._fetched = fetched

    async def fetched_records(self, partitions, timeout=None, max_records=None):
        for tp, run in self._fetched.items():
            self._inner._subscription.subscription.assignment.state_value(tp).seek(run[-1].offset + 1)
        return self._fetched


async def test_the_fetch_notes_where_each_partition_stood_before(consumer, inner):
    thread, tp = consumer._thread, TopicPartition("events", 0)
    inner._fetcher = Fetcher(inner, {tp: [record(b"x", 18)]})
    assert thread._positions(inner) == {}
    inner._subscription.assign_from_user([tp])
    assert thread._positions(inner) == {}  # no position yet
    inner._subscription.subscription.assignment.state_value(tp).seek(17)
    assert thread._positions(inner) == {tp: 17}
    ((before, run),) = (await thread._fetch_records(inner, {tp})).values()
    assert (before, [r.offset for r in run]) == (17, [18])
    assert thread._positions(inner) == {tp: 19}


async def test_between_two_fetches_it_is_told_how_far_each_partition_was_read(consumer, inner):
    thread, tp = consumer._thread, TopicPartition("events", 0)
    assert consumer.passed == {}
    inner._subscription.assign_from_user([tp])
    state = inner._subscription.subscription.assignment.state_value(tp)
    state.seek(17)
    inner._fetcher = Fetcher(inner, {tp: [record(b"x", 18)]})
    await thread._fetch_records(inner, {tp})
    assert consumer.passed == {tp: Passed(delivered=0, position=17)}
    inner._fetcher = Fetcher(inner, {})
    await thread._fetch_records(inner, {tp})
    assert consumer.passed == {tp: Passed(delivered=19, position=19)}
    state.seek(21)  # a control record and one that was aborted
    await thread._fetch_records(inner, {tp})
    assert consumer.passed == {tp: Passed(delivered=19, position=21)}
    inner._subscription.assign_from_user([])
    await thread._fetch_records(inner, {tp})
    assert consumer.passed == {}


async def test_membership_is_taken_at_the_moment_of_the_assignment(consumer, monkeypatch):
    thread = consumer._thread
    coordinator = SimpleNamespace(generation=5, member_id="m-5", _group_instance_id="static")
    joined = SimpleNamespace(_coordinator=coordinator)
    monkeypatch.setattr(thread, "_ensure_consumer", lambda: joined)
    seen = []

    async def on_assigned(assigned, generation):
        seen.append((assigned, generation, consumer.membership))

    monkeypatch.setattr(thread, "on_partitions_assigned", on_assigned)
    await consumer.RebalanceListener(thread).on_partitions_assigned([TopicPartition(*TP0)])
    assert seen == [({TP0}, 5, Membership(5, "m-5", "static"))]
    coordinator.generation, coordinator.member_id = -1, ""
    assert consumer.membership == Membership(5, "m-5", "static")


async def test_faust_is_told_nothing_of_full_buffers_and_single_messages(consumer):
    consumer.on_buffer_full(TP0)
    consumer.verify_event_path(0.0, TP0)
    assert consumer._active_partitions == set()
    assert consumer._buffered_partitions == set()


async def test_partitions_that_go_while_their_offsets_are_asked_for_are_no_error(
    consumer, monkeypatch
) -> None:
    async def seek_to_committed(thread):
        raise IllegalStateError("No current assignment for partition events-3")

    monkeypatch.setattr(AIOKafkaConsumerThread, "seek_to_committed", seek_to_committed)
    await consumer.perform_seek()
    assert consumer._committed_offset == {}
