"""The loop's decisions, with real stores, codecs and models, over a log in memory."""

import asyncio
import itertools
import random

import pytest
from aiokafka.errors import KafkaConnectionError, ProducerFenced, RequestTimedOutError

import stream.loop
from state.errors import Refused, StopWorker, TooManyDeadLetters
from stream.codecs import decode_marker
from stream.loop import Delivery
from stream.store import MARKER
from stream.work import work
from stream.worker_metrics import ENDED
from tests.stream.fakes import ENGINE, folded, member, tp, until
from tests.stream.records import DictStore, chunk, click, cuts, records, shop_events

EVENTS = "events"
CLICKS = [click(f"u{i % 4}", f"i{i % 7}", event_id=f"e{i}") for i in range(40)]
RUN = records(CLICKS)


# One cycle -----------------------------------------------------------------------------------------


async def test_a_click_is_answered_applied_and_acknowledged(rig):
    await rig.begin()
    await rig.put(RUN[:1])
    await rig.idle()
    assert rig.slates() == [(EVENTS, 0, 0)]
    assert dict(rig.partitions.store(0).users()) == folded(RUN[:1])
    assert rig.partitions.store(0).applied(EVENTS) == 0
    assert rig.log.offsets == {tp(EVENTS, 0): 1}
    assert rig.acked == [(EVENTS, 0, 1)]


async def test_a_cycle_writes_its_outputs_its_changelog_and_the_offsets_together(rig):
    await rig.begin()
    await rig.put(records([*CLICKS[:3], b"{"]))
    await rig.idle()
    ((outputs, changelogs, offsets, membership),) = rig.publisher.cycles
    assert [(topic, partition, len(rows)) for topic, partition, rows in outputs] == [
        ("slates", 0, 3),
        ("deltas", 0, 1),
        ("events.dlq", 0, 1),
    ]
    ((topic, partition, rows),) = changelogs
    assert (topic, partition) == ("profiles", 0)
    assert rows[-1][:2] == (MARKER + b"events", rows[-1][1])
    assert decode_marker(rows[-1][1]) == (3, "me")
    assert offsets == {tp(EVENTS, 0): 4}
    assert membership == member(1)


async def test_the_store_stands_where_the_changelog_does_after_each_cycle(rig):
    await rig.begin()
    for i in range(5):
        await rig.put(RUN[i : i + 1])
        await rig.idle()
    assert len(rig.publisher.cycles) == 5
    assert rig.partitions.store(0).position == len(rig.log.topics["profiles", 0])


async def test_what_waits_is_gathered_into_one_cycle_in_order(rig):
    for start in range(0, 12, 3):
        await rig.put(RUN[start : start + 3])
    await rig.begin()
    await rig.idle()
    assert len(rig.publisher.cycles) == 1
    assert rig.offsets() == list(range(12))


async def test_a_cycle_takes_no_more_than_its_cap_and_the_rest_comes_next(make):
    rig = make(cycle_max_events=5)
    for start in range(0, 12, 3):
        await rig.put(RUN[start : start + 3])
    await rig.begin()
    await rig.idle()
    sizes = [
        len(rows) for outputs, *_ in rig.publisher.cycles for topic, _, rows in outputs if topic == "slates"
    ]
    assert sizes == [6, 6]  # whole chunks: the one that reaches the cap is the last
    assert rig.offsets() == list(range(12))


async def test_the_time_an_event_takes_is_learned_from_the_cycles(make):
    rig = make(cycle_step_seconds=1e-9)
    await rig.begin()
    assert rig.loop._pace.cap() == rig.settings.most_cycle_events == 6000
    await rig.put(RUN[:20])
    await rig.idle()
    assert rig.loop._pace.cap() == 1


async def test_partitions_of_one_cycle_share_a_transaction_but_not_a_store(rig):
    await rig.put(records(CLICKS[:3]))
    await rig.put(records(CLICKS[3:5], partition=2))
    await rig.begin(0, 2)
    await rig.idle()
    ((_, changelogs, offsets, _),) = rig.publisher.cycles
    assert [(topic, partition) for topic, partition, _ in changelogs] == [("profiles", 0), ("profiles", 2)]
    assert offsets == {tp(EVENTS, 0): 3, tp(EVENTS, 2): 2}
    assert rig.partitions.store(0).applied(EVENTS) == 2
    assert rig.partitions.store(2).applied(EVENTS) == 1
    assert rig.partitions.store(2).position == len(rig.log.topics["profiles", 2])


async def test_several_topics_of_a_partition_have_a_marker_each(make):
    rig = make(inputs="clicks,purchases")
    value = {"user_id": "ann", "item_id": "a"}
    await rig.put(records([value] * 3, topic="clicks", start=5), start=0)
    await rig.put(records([value] * 2, topic="purchases"))
    await rig.begin()
    await rig.idle()
    store = rig.partitions.store(0)
    assert len(rig.publisher.cycles) == 1
    assert (store.applied("clicks"), store.applied("purchases")) == (7, 1)
    assert rig.log.offsets == {tp("clicks", 0): 8, tp("purchases", 0): 2}
    assert len(rig.log.topics["profiles", 0]) == 3  # one user, two markers


async def test_a_cycle_under_load_lasts_its_minimum(make, monkeypatch):
    rig = make(cycle_min_seconds=0.005)
    slept = []
    sleep = asyncio.sleep

    async def noted(seconds):
        slept.append(seconds)
        await sleep(0)

    await rig.begin()
    monkeypatch.setattr(stream.loop.asyncio, "sleep", noted)
    monkeypatch.setattr(rig.loop, "_cycle", lambda _: sleep(0))
    await rig.put(RUN[:1])
    async with asyncio.timeout(20):
        while not any(0 < seconds <= 0.005 for seconds in slept):
            await sleep(0)
    assert max(slept) <= 0.005


# Rule 2: a chunk must continue what was applied ------------------------------------------------------


async def test_records_that_were_applied_already_are_skipped(rig):
    await rig.begin()
    await rig.put(RUN[:6])
    await rig.idle()
    await rig.put(RUN[2:4])
    await rig.put(RUN[4:9])
    await rig.idle()
    assert rig.offsets() == list(range(9))
    assert dict(rig.partitions.store(0).users()) == folded(RUN[:9])
    assert rig.acked == [(EVENTS, 0, 6), (EVENTS, 0, 4), (EVENTS, 0, 9)]


async def test_an_overlap_within_one_cycle_is_trimmed(rig):
    await rig.put(RUN[:5])
    await rig.put(RUN[3:8])
    await rig.begin()
    await rig.idle()
    assert len(rig.publisher.cycles) == 1
    assert rig.offsets() == list(range(8))


async def test_a_cycle_of_nothing_new_writes_nothing_but_is_acknowledged(rig):
    await rig.begin()
    await rig.put(RUN[:3])
    await rig.idle()
    await rig.put(RUN[:3])
    await rig.idle()
    assert len(rig.publisher.cycles) == 1
    assert rig.acked == [(EVENTS, 0, 3)] * 2


async def test_a_chunk_beyond_a_gap_is_dropped_and_the_partition_sought_back(rig):
    await rig.begin()
    await rig.put(RUN[:3])
    await rig.put(RUN[5:7])
    await rig.put(RUN[7:9])
    await rig.idle()
    assert rig.offsets() == [0, 1, 2]
    assert set(rig.source.sought) == {(EVENTS, 0, 3)}
    assert rig.acked == [(EVENTS, 0, 3)]
    await rig.put(RUN[3:9])
    await rig.idle()
    assert rig.offsets() == list(range(9))


async def test_a_gap_in_one_partition_holds_back_no_other(rig):
    await rig.begin(0, 1)
    await rig.put(RUN[4:6])
    await rig.put(records(CLICKS[:2], partition=1))
    await rig.idle()
    assert rig.slates() == [(EVENTS, 1, 0), (EVENTS, 1, 1)]
    assert rig.source.sought == [(EVENTS, 0, 0)]


async def test_a_chunk_that_starts_before_its_first_record_leaves_no_gap(rig):
    """Between the two stood control records of an upstream transaction."""
    await rig.begin()
    await rig.put(RUN[:3])
    await rig.put(records(CLICKS[3:5], start=6, step=3), start=3)
    await rig.idle()
    assert rig.offsets() == [0, 1, 2, 6, 9]
    assert rig.source.sought == []


async def test_a_gap_that_retention_tore_stops_the_worker(rig):
    await rig.begin()
    await rig.put(RUN[:3])
    await rig.idle()
    rig.log.bounds[tp(EVENTS, 0)] = (20, 40)
    await rig.put(RUN[20:22])
    with pytest.raises(StopWorker, match="removed by retention"):
        await rig.task
    assert rig.offsets() == [0, 1, 2]


async def test_records_removed_while_the_fetch_waited_stop_the_worker_too(rig):
    """The fetch went on from the expected position, and got what was left."""
    await rig.begin()
    await rig.put(RUN[:3])
    await rig.idle()
    rig.log.bounds[tp(EVENTS, 0)] = (20, 40)
    await rig.put(RUN[20:22], start=3)
    with pytest.raises(StopWorker, match="removed by retention"):
        await rig.task
    assert rig.offsets() == [0, 1, 2]


async def test_behind_lost_input_the_worker_goes_on_if_told_so(make):
    rig = make(on_lost_input="continue")
    await rig.begin()
    await rig.put(RUN[:3])
    await rig.idle()
    rig.log.bounds[tp(EVENTS, 0)] = (20, 40)
    await rig.put(RUN[22:24])
    await rig.idle()
    assert rig.source.sought == [(EVENTS, 0, 20)]
    await rig.put(RUN[20:24])
    await rig.idle()
    assert rig.offsets() == [0, 1, 2, 20, 21, 22, 23]


# Rule 1: after a refusal, nothing more on that assignment --------------------------------------------


async def test_a_refused_worker_lets_go_and_asks_for_a_new_generation(rig):
    await rig.begin()
    rig.log.generation = 2  # somebody else's
    await rig.put(RUN[:3])
    await rig.idle()
    await until(lambda: rig.source.rejoins == 1)
    assert rig.slates() == []
    assert rig.acked == []
    assert rig.partitions.opened == frozenset()
    assert rig.metrics.value(ENDED, "Refused") == 1
    assert rig.loop._membership is None


async def test_after_a_refusal_nothing_of_that_generation_is_processed(rig):
    await rig.begin()
    rig.publisher.before = [Refused("stale")]
    await rig.put(RUN[:3])
    await until(lambda: rig.source.rejoins == 1)
    for start in (3, 6, 9):
        await rig.put(RUN[start : start + 3])
        await rig.idle()
    assert rig.publisher.cycles == []
    assert rig.acked == []
    assert rig.partitions.opened == frozenset()


async def test_chunks_that_waited_during_the_refusal_are_dropped(rig):
    await rig.begin()
    rig.publisher.before = [Refused("stale")]
    rig.publisher.gate.clear()
    await rig.put(RUN[:3])
    await rig.publisher.entered.wait()
    await rig.put(RUN[3:6])
    rig.publisher.gate.set()
    await rig.idle()
    assert (rig.publisher.cycles, rig.acked) == ([], [])


async def test_chunks_of_a_former_generation_are_dropped_in_the_next(rig):
    await rig.begin()
    await rig.put(RUN[:3])
    await rig.idle()
    await rig.loop.revoked()
    await rig.begin(generation=2)
    await rig.put(RUN[3:6], generation=1)
    await rig.idle()
    assert rig.offsets() == [0, 1, 2]
    await rig.put(RUN[3:6], generation=2)
    await rig.idle()
    assert rig.offsets() == list(range(6))


async def test_the_next_generation_goes_on_where_the_changelog_stands(rig):
    await rig.begin()
    rig.publisher.before = [None, Refused("stale")]
    await rig.put(RUN[:3])
    await rig.idle()
    await rig.put(RUN[3:6])
    await until(lambda: rig.source.rejoins == 1)
    await rig.begin(generation=2)
    assert rig.partitions.expected(EVENTS, 0) == 3
    await rig.put(RUN[3:6], generation=2)
    await rig.idle()
    assert rig.offsets() == list(range(6))
    assert dict(rig.partitions.store(0).users()) == folded(RUN[:6])


async def test_the_publisher_starts_anew_after_a_refusal(rig):
    """Its start ends the transaction that is still open."""
    await rig.begin()
    assert (rig.publisher.started, rig.publisher.stopped) == (1, 0)
    rig.publisher.before = [Refused("stale")]
    await rig.put(RUN[:3])
    await until(lambda: rig.source.rejoins == 1)
    assert (rig.publisher.started, rig.publisher.stopped) == (2, 1)


@pytest.mark.parametrize("error", [KafkaConnectionError(), RequestTimedOutError(), ProducerFenced()])
async def test_a_kafka_error_ends_the_assignment_too(rig, error):
    """What was committed is for the changelog to say."""
    await rig.begin()
    rig.publisher.before = [error]
    await rig.put(RUN[:3])
    await until(lambda: rig.source.rejoins == 1)
    assert rig.partitions.opened == frozenset()
    assert not rig.task.done()


async def test_a_commit_of_unknown_outcome_is_not_repeated(rig):
    await rig.begin()
    rig.publisher.after = [RequestTimedOutError()]
    await rig.put(RUN[:3])
    await until(lambda: rig.source.rejoins == 1)
    assert rig.acked == []
    await rig.begin(generation=2)
    await rig.put(RUN[:5], generation=2)
    await rig.idle()
    assert rig.offsets() == list(range(5))
    assert dict(rig.partitions.store(0).users()) == folded(RUN[:5])


async def test_a_publisher_that_cannot_start_ends_the_assignment_and_is_tried_again(rig):
    failures = [KafkaConnectionError(), KafkaConnectionError()]
    start = rig.publisher.start

    async def flaky():
        if failures:
            raise failures.pop()
        await start()

    rig.publisher.start = flaky
    await rig.loop.assigned((0,), member(1))
    rig.task = asyncio.create_task(rig.loop.run())
    await until(lambda: rig.source.rejoins == 1)
    await rig.begin(generation=2)
    await rig.put(RUN[:2], generation=2)
    await rig.idle()
    assert rig.offsets() == [0, 1]


async def test_a_connection_that_never_comes_ends_the_assignment_and_can_be_stopped(rig, monkeypatch):
    monkeypatch.setattr("stream.loop.CONNECT_SECONDS", 0.01)
    rig.publisher.start = asyncio.Event().wait
    await rig.loop.assigned((0,), member(1))
    rig.task = asyncio.create_task(rig.loop.run())
    await until(lambda: rig.source.rejoins == 1)
    async with asyncio.timeout(5):
        await rig.loop.stop()


async def test_a_restore_that_fails_ends_the_assignment(rig):
    rig.partitions._changelog.fails = KafkaConnectionError()
    await rig.loop.assigned((0,), member(1))
    rig.task = asyncio.create_task(rig.loop.run())
    await until(lambda: rig.source.rejoins == 1)
    assert rig.partitions.opened == frozenset()


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_fails_every_event_counts_once(rig, seed):
    """Refusals, failures before and after the commit, lost and repeated chunks, in random order."""
    draw = random.Random(seed)
    log, generations = rig.log, itertools.count(1)
    values = shop_events(seed, count=90)
    run = records(values)
    while log.offsets.get(tp(EVENTS, 0), 0) < len(run):
        if rig.loop._membership is None:
            generation = next(generations)
            await rig.begin(generation=generation)
            at = log.offsets.get(tp(EVENTS, 0), 0)
        rig.publisher.before = [draw.choice([None, None, Refused("x"), RequestTimedOutError()])]
        rig.publisher.after = [draw.choice([None, None, KafkaConnectionError()])]
        rig.source.sought.clear()
        (length, *_) = cuts(draw, len(run), most=15)
        start = min(max(0, at + draw.choice([-3, 0, 0, 2])), len(run) - 1)
        await rig.put(run[start : start + length], generation=generation)
        at = start + length
        await rig.idle()
        if rig.source.sought:
            at = rig.source.sought[-1][2]
        at = min(at, len(run) - 1)
    if rig.loop._membership is None:
        await rig.begin(generation=next(generations))
    assert dict(rig.partitions.store(0).users()) == folded(run)
    whole = work(0, {EVENTS: run}, DictStore(), ENGINE)
    assert log.values("slates") == [value for _, value, _ in whole.slates]
    assert log.values("rewards") == [value for _, value, _ in whole.rewards]
    assert log.values("events.dlq") == [value for _, value, _ in whole.dead_letters]


# What is not for the loop to handle ------------------------------------------------------------------


@pytest.mark.parametrize("error", [StopWorker("look at it"), ValueError("a bug of ours")])
async def test_any_other_error_comes_out_of_run_and_nothing_is_acknowledged(rig, error):
    await rig.begin()
    rig.publisher.before = [error]
    await rig.put(RUN[:3])
    with pytest.raises(type(error)):
        await rig.task
    assert (rig.acked, rig.source.rejoins, rig.slates()) == ([], 0, [])


async def test_too_many_dead_letters_stop_the_worker_before_they_are_committed(make):
    rig = make(dead_letter_window=10)
    await rig.begin()
    await rig.put(records([b"{"] * 10))
    with pytest.raises(TooManyDeadLetters):
        await rig.task
    assert rig.log.values("events.dlq") == []
    assert rig.log.offsets == {}


# Rule 4, back-pressure and stopping ------------------------------------------------------------------


async def test_a_revocation_waits_for_the_running_cycle(rig):
    await rig.begin()
    rig.publisher.gate.clear()
    await rig.put(RUN[:3])
    await rig.publisher.entered.wait()
    revoked = asyncio.create_task(rig.loop.revoked())
    for _ in range(50):
        await asyncio.sleep(0)
    assert not revoked.done()
    assert rig.partitions.opened == {0}
    rig.publisher.gate.set()
    await revoked
    assert rig.offsets() == [0, 1, 2]
    assert rig.partitions.opened == frozenset()


async def test_a_revocation_drops_what_waits(rig):
    await rig.loop.assigned((0,), member(1))
    await rig.put(RUN[:3])
    await rig.loop.revoked()
    assert rig.loop._queue.empty()


async def test_nothing_begins_between_a_revocation_and_the_next_assignment(rig):
    await rig.begin()
    await rig.loop.revoked()
    await rig.put(RUN[:3])
    await rig.idle()
    assert (rig.publisher.cycles, rig.acked) == ([], [])


async def test_what_comes_before_its_assignment_is_processed_once_that_begins(rig):
    """No further record may come to show that one is missing."""
    await rig.begin()
    await rig.put(RUN[:3])
    await rig.idle()
    await rig.loop.revoked()
    await rig.put(RUN[3:6], generation=2)
    await rig.idle()
    assert rig.offsets() == [0, 1, 2]
    await rig.begin(generation=2)
    await rig.idle()
    assert rig.offsets() == list(range(6))
    assert rig.acked == [(EVENTS, 0, 3), (EVENTS, 0, 6)]


async def test_what_came_for_an_assignment_that_never_began_is_dropped(rig):
    await rig.begin()
    await rig.loop.revoked()
    await rig.put(RUN[:3], generation=2)
    await rig.idle()
    await rig.begin(generation=3)
    await rig.idle()
    assert rig.publisher.cycles == []
    assert rig.loop._early == []


async def test_an_assignment_opens_its_partitions_before_the_first_record_comes(rig):
    await rig.begin(0, 3)
    assert rig.partitions.opened == {0, 3}
    assert rig.publisher.cycles == []


async def test_a_full_queue_holds_back_the_consumer(make):
    rig = make(queue_chunks=2)
    await rig.put(RUN[:1])
    await rig.put(RUN[1:2])
    third = asyncio.create_task(rig.put(RUN[2:3]))
    for _ in range(50):
        await asyncio.sleep(0)
    assert not third.done()
    await rig.loop.assigned((0,), member(1))  # its wake-up finds the queue full, and needs none
    rig.task = asyncio.create_task(rig.loop.run())
    await third
    await rig.idle()
    assert rig.offsets() == [0, 1, 2]


async def test_nothing_is_acknowledged_before_it_is_applied(rig):
    await rig.begin()
    order = []
    store = rig.partitions.store(0)
    apply = store.apply
    store.apply = lambda *rows: (order.append("apply"), apply(*rows))
    made = chunk(RUN[:2])
    await rig.loop.put(Delivery(made, lambda: order.append("ack")))
    await rig.idle()
    assert order == ["apply", "ack"]


async def test_a_stop_finishes_the_running_cycle_and_lets_go(rig):
    await rig.begin()
    rig.publisher.gate.clear()
    await rig.put(RUN[:3])
    await rig.publisher.entered.wait()
    stopping = asyncio.create_task(rig.loop.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    rig.publisher.gate.set()
    await stopping
    assert rig.offsets() == [0, 1, 2]
    assert rig.publisher.stopped == 1
    assert rig.partitions.opened == frozenset()
    assert not rig.partitions._changelog.running
