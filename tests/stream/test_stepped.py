"""A decided cycle, and the next one decided on top of it while it commits, over a log in memory."""

import asyncio
import threading

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import RequestTimedOutError

from state.errors import Refused
from stream.config import Settings
from stream.loop import BESIDE_EVENTS
from stream.stepped import NOTHING, Stepped
from stream.work import work
from tests.stream.fakes import folded, until
from tests.stream.records import DictStore, click, engine, records

EVENTS = "events"
RUN = records([click(f"u{i % 4}", f"i{i % 7}", event_id=f"e{i}") for i in range(12)])

RUNS = {0: {"events": records([click("ann", "a"), click("bob", "b"), b"{"], start=7)}}
TOPICS = Settings(topic_prefix="shop.")


def stepped(runs=RUNS):
    return Stepped(runs, {p: work(p, by_topic, DictStore(), engine()) for p, by_topic in runs.items()})


def test_it_knows_how_many_records_it_has_and_where_the_input_stands_after_it():
    assert stepped().records == 3
    assert stepped().offsets == {TopicPartition("events", 0): 10}


def test_the_next_record_is_expected_after_its_last():
    assert stepped().expected("events", 0) == 10
    assert stepped().expected("events", 1) == NOTHING.expected("events", 0) == 0


def test_profiles_are_those_after_it_over_those_before():
    before = DictStore({b"ann": b"old", b"eve": b"known"})
    after = stepped().over(0, before)
    ann, eve, joe = after.get([b"ann", b"eve", b"joe"])
    assert ann == dict(stepped().results[0].changelog)[b"ann"]
    assert (eve, joe) == (b"known", None)
    assert after.get([b"bob", b"ann"])[1] == ann


def test_what_it_does_not_touch_is_not_asked_twice():
    class Asked(DictStore):
        def get(self, keys):
            assert keys == [b"eve"]
            return super().get(keys)

    assert stepped().over(0, Asked()).get([b"ann", b"eve"])[1] is None


def test_a_partition_without_records_has_the_profiles_it_had():
    before = DictStore()
    assert stepped().over(1, before) is before
    assert NOTHING.over(0, before) is before


def test_outputs_are_named_by_topic_and_left_out_where_there_are_none():
    found = {(topic, partition): len(rows) for topic, partition, rows in stepped().outputs(TOPICS)}
    assert found == {("shop.slates", 0): 2, ("shop.deltas", 0): 1, ("shop.events.dlq", 0): 1}


def test_each_partition_has_one_changelog_entry_with_its_marker():
    ((topic, partition, rows),) = stepped().changelogs(TOPICS)
    assert (topic, partition) == ("shop.profiles", 0)
    assert [key for key, _, _ in rows] == [b"ann", b"bob", b"\x00applied\x00events"]
    assert {headers for _, _, headers in rows} == {()}


# In the loop ------------------------------------------------------------------------------------


async def halted(rig, *runs):
    """Begin a commit that hangs, and step the second of these runs on top of it."""
    first, second = runs
    await rig.begin()
    rig.publisher.gate.clear()
    await rig.put(first)
    await rig.publisher.entered.wait()
    stepped = asyncio.Event()
    step = rig.loop._step

    async def note(runs):
        results = await step(runs)
        stepped.set()
        return results

    rig.loop._step = note
    await rig.put(second)
    await stepped.wait()
    assert rig.publisher.cycles == []


async def test_the_next_cycle_is_decided_on_top_of_the_one_that_commits(rig):
    await halted(rig, RUN[:6], RUN[6:12])
    rig.publisher.gate.set()
    await rig.idle()
    assert [len(rows) for outputs, *_ in rig.publisher.cycles for _, _, rows in outputs[:1]] == [6, 6]
    assert rig.offsets() == list(range(12))
    assert dict(rig.partitions.store(0).users()) == folded(RUN[:12])
    assert rig.source.sought == []


async def test_commits_stay_in_order_and_acknowledge_when_they_are_done(rig):
    await halted(rig, RUN[:6], RUN[6:12])
    assert rig.acked == []
    rig.publisher.gate.set()
    await rig.idle()
    assert rig.acked == [(EVENTS, 0, 6), (EVENTS, 0, 12)]


async def test_what_was_stepped_on_top_of_a_failed_commit_is_dropped_with_it(rig):
    await halted(rig, RUN[:6], RUN[6:12])
    rig.publisher.before = [Refused("x")]
    rig.publisher.gate.set()
    await until(lambda: rig.source.rejoins == 1)
    assert (rig.publisher.cycles, rig.acked) == ([], [])
    await rig.begin(generation=2)
    await rig.put(RUN[:12], generation=2)
    await rig.idle()
    assert rig.offsets() == list(range(12))
    assert dict(rig.partitions.store(0).users()) == folded(RUN[:12])


async def test_a_commit_that_fails_is_seen_although_nothing_else_comes(rig):
    await rig.begin()
    rig.publisher.gate.clear()
    await rig.put(RUN[:3])
    await rig.publisher.entered.wait()
    rig.publisher.before = [RequestTimedOutError()]
    rig.publisher.gate.set()
    await until(lambda: rig.source.rejoins == 1)
    assert rig.partitions.opened == frozenset()


async def test_a_revocation_waits_for_both(rig):
    await halted(rig, RUN[:3], RUN[3:5])
    revoked = asyncio.create_task(rig.loop.revoked())
    for _ in range(50):
        await asyncio.sleep(0)
    assert not revoked.done()
    rig.publisher.gate.set()
    await revoked
    assert rig.offsets() == list(range(5))
    assert rig.partitions.opened == frozenset()


async def test_a_revocation_that_meets_a_failed_commit_gives_up_and_connects_anew(rig):
    await rig.begin()
    rig.publisher.gate.clear()
    await rig.put(RUN[:3])
    await rig.publisher.entered.wait()
    revoked = asyncio.create_task(rig.loop.revoked())
    rig.publisher.before = [Refused("x")]
    rig.publisher.gate.set()
    await revoked
    assert rig.partitions.opened == frozenset()
    assert (rig.publisher.started, rig.publisher.stopped) == (2, 1)


async def test_an_error_that_is_no_refusal_ends_the_loop_although_nothing_else_comes(rig):
    await rig.begin()
    rig.publisher.before = [RuntimeError("disk")]
    await rig.put(RUN[:3])
    with pytest.raises(RuntimeError, match="disk"):
        await rig.task


@pytest.mark.parametrize(("events", "in_thread"), [(BESIDE_EVENTS, True), (BESIDE_EVENTS - 1, False)])
async def test_a_large_step_beside_a_commit_has_a_thread_and_the_turn(rig, events, in_thread):
    many = records([click(f"u{i % 5}", f"i{i % 9}", event_id=f"e{i}") for i in range(3 + events)])
    step, turn = rig.loop._work
    seen = []

    def watched(*arguments, **keywords):
        seen.append((threading.current_thread() is not threading.main_thread(), turn.locked()))
        return step(*arguments, **keywords)

    rig.loop._work = rig.loop._work._replace(step=watched)
    await halted(rig, many[:3], many[3:])
    assert seen == [(False, False), (in_thread, in_thread)]
    rig.publisher.gate.set()
    await rig.idle()
    assert rig.offsets() == list(range(len(many)))
