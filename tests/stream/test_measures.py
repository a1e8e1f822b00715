"""What a cycle adds to the metrics: over the loop, a real store and a log in memory."""

import asyncio

import pytest

from state.errors import Refused
from state.exposure import Exposed
from state.slate import Reward, Slate, SlateItem, Trigger
from state.slates import Slates
from state.step import Outcome
from stream.codecs import decode_delta
from stream.heartbeat import heartbeat
from stream.measures import Cycle, measure
from stream.work import Laps, Result, work
from stream.worker_metrics import (
    CYCLE_EVENTS,
    CYCLE_SECONDS,
    DUPLICATES,
    EMPTY_SLATES,
    ENDED,
    EVENT_TO_SLATE,
    EVENTS,
    EXPOSURES,
    HEARTBEAT_ANSWERED,
    HEARTBEAT_SECONDS,
    HEARTBEATS_ANSWERED,
    LAST_COMMIT,
    PHASES,
    PROPENSITY,
    REBALANCES,
    RECORD_TO_SLATE,
    REJECTED,
    RESTORE_SECONDS,
    RESTORED,
    REWARD_DELAY,
    REWARDS,
    SLATES,
    STAGE_SECONDS,
    STAGES,
    TRANSACTION_SECONDS,
    UNATTRIBUTED,
    WorkerMetrics,
)
from tests.state.shown import profile
from tests.state.shown import slate as shown_slate
from tests.stream.fakes import until
from tests.stream.records import DictStore, T, click, engine, record, records, shop_events

RUN = records([click(f"u{i % 4}", f"i{i % 7}", event_id=f"e{i}") for i in range(10)])


# Over the loop -------------------------------------------------------------------------------------


async def test_the_metrics_say_what_was_done(rig):
    values = shop_events(5)
    await rig.begin()
    await rig.put(records(values))
    await rig.idle()
    counted, log = rig.metrics.value, rig.log
    assert counted(EVENTS) + counted(REJECTED) == len(values)
    assert counted(SLATES) == len(log.values("slates")) > 0
    assert counted(REWARDS) == len(log.values("rewards"))
    assert counted(UNATTRIBUTED, "organic") > 0
    assert counted(EXPOSURES, "acted") == sum(
        len(delta.exposures.slate) for delta in map(decode_delta, log.values("deltas")) if delta.exposures
    )
    assert counted(REJECTED) == len(log.values("events.dlq")) > 0
    assert counted(DUPLICATES) > 0
    size = rig.metrics.histogram(CYCLE_EVENTS)
    assert (size.count, size.sum) == (1, len(values))
    stages = [rig.metrics.histogram(STAGE_SECONDS, stage) for stage in STAGES]
    assert all(stage.count == 1 and stage.sum > 0 for stage in stages)


async def test_a_slate_is_as_old_as_its_event_when_the_transaction_has_committed(rig):
    rig.seconds = T / 1000 + 60
    event = click("ann", "a", time=T - 15_000)
    rig.publisher.gate.clear()
    await rig.begin()
    await rig.put([record(event, time=T)])
    await rig.publisher.entered.wait()
    rig.seconds += 3
    rig.publisher.gate.set()
    await rig.idle()
    assert rig.metrics.histogram(EVENT_TO_SLATE, "feed").sum == pytest.approx(78)
    assert rig.metrics.histogram(RECORD_TO_SLATE, "feed").sum == pytest.approx(63)
    assert rig.metrics.value(LAST_COMMIT) == rig.seconds


async def test_a_chunk_has_waited_since_it_was_handed_over(rig):
    await rig.put(RUN[:2])
    await rig.put(RUN[2:4])
    assert rig.loop.waiting == 2
    await asyncio.sleep(0.02)
    await rig.begin()
    await rig.idle()
    queued = rig.metrics.histogram(STAGE_SECONDS, "queue")
    assert queued.count == 2
    assert queued.sum > 0.039
    assert rig.loop.waiting == 0


async def test_a_restore_is_counted_once_and_an_assignment_that_needs_none_is_not(rig):
    await rig.begin(0, 1)
    await rig.put(RUN[:4])
    await rig.idle()
    assert (rig.metrics.value(RESTORED), rig.metrics.histogram(RESTORE_SECONDS).count) == (0, 1)
    assert rig.loop.assignment == {0, 1}
    await rig.loop.revoked()
    assert rig.loop.assignment == frozenset()
    await rig.begin(0, generation=2)
    in_log = len(rig.log.topics["profiles", 0])
    assert rig.partitions.store(0).position == in_log
    assert rig.metrics.histogram(RESTORE_SECONDS).count == 2
    assert rig.metrics.value(REBALANCES) == 2


async def test_what_is_not_committed_is_not_counted(rig):
    await rig.begin()
    rig.publisher.before = [Refused("stale")]
    await rig.put(RUN[:3])
    await until(lambda: rig.source.rejoins == 1)
    assert (rig.metrics.value(EVENTS), rig.metrics.value(SLATES)) == (0, 0)
    assert rig.metrics.histogram(CYCLE_EVENTS).count == 0
    assert rig.metrics.value(ENDED, "Refused") == rig.metrics.value(ENDED) == 1


# By itself -----------------------------------------------------------------------------------------


def slate(scenario="feed", policy="softmax", *, time=T, event_time=T, propensities=(0.5,)):
    items = tuple(SlateItem(f"i{n}", n, 1.0, p, ()) for n, p in enumerate(propensities, 1))
    return Slate(
        slate_id="s",
        user_id="ann",
        tenant="default",
        scenario=scenario,
        time=time,
        trigger=Trigger("e", event_time, "events", 0, 0),
        policy=policy,
        policy_version="1",
        seed=1,
        candidates=len(items),
        candidates_hash="0" * 16,
        items=items,
    )


def reward(kind, delay_seconds):
    return Reward(
        reward_id="r",
        slate_id="s",
        event_id="e",
        user_id="ann",
        tenant="default",
        scenario="feed",
        item_id="i1",
        position=1,
        type=kind,
        time=T,
        reward=1.0,
        value=None,
        currency=None,
        propensity=0.5,
        policy="softmax",
        policy_version="1",
        delay_seconds=delay_seconds,
    )


def result(slates=(), rewards=(), inbounds=(), rejected=(), laps=(1.0, 2.0, 3.0, 4.0), **outcome):
    outcome = Outcome({}, Slates.of(slates), rewards, (), 0, **outcome)
    return Result((), {}, (), (), (), (), inbounds, outcome, {}, rejected, Laps(*laps), None)


def measured(*results, **changes):
    metrics = WorkerMetrics()
    given = {"queued": [0.5], "step": 1.0, "commit": 2.0, "apply": 3.0, "phases": {}} | changes
    records = sum(each.events + len(each.rejected) for each in results)
    measure(metrics, Cycle(records=records, results=results, committed_at=T / 1000, **given))
    return metrics


def test_slates_are_counted_by_scenario_and_policy_and_the_empty_ones_again():
    slates = [slate(), slate("cart"), slate("cart", "uniform"), slate("cart", "uniform", propensities=())]
    metrics = measured(result(slates[:2]), result(slates[2:]))
    assert metrics.value(SLATES) == 4
    assert metrics.value(SLATES, "cart", "uniform") == 2
    assert metrics.value(SLATES, "feed", "softmax") == 1
    assert metrics.value(EMPTY_SLATES) == metrics.value(EMPTY_SLATES, "cart", "uniform") == 1


def test_propensities_of_every_item_are_kept_by_policy():
    metrics = measured(
        result([slate(propensities=(0.5, 0.25)), slate(policy="uniform", propensities=(0.1,))])
    )
    assert metrics.histogram(PROPENSITY, "softmax").count == 2
    assert metrics.histogram(PROPENSITY, "softmax").sum == 0.75
    assert metrics.histogram(PROPENSITY, "uniform").sum == pytest.approx(0.1)


def test_ages_are_those_of_each_slates_own_event_and_record():
    slates = [slate(time=T - 1000, event_time=T - 2000), slate("cart", time=T - 50, event_time=T + 3000)]
    metrics = measured(result(slates))
    assert metrics.histogram(EVENT_TO_SLATE, "feed").sum == pytest.approx(2)
    assert metrics.histogram(RECORD_TO_SLATE, "feed").sum == pytest.approx(1)
    assert metrics.histogram(RECORD_TO_SLATE, "cart").sum == pytest.approx(0.05)
    # A shopper's clock that is ahead makes nothing younger than nothing.
    assert metrics.histogram(EVENT_TO_SLATE, "cart").sum == 0
    assert metrics.histogram(EVENT_TO_SLATE, "cart").count == 1


def test_rewards_are_counted_by_type_and_policy_with_their_delay():
    rewards = [reward("click", 2.0), reward("click", 40.0), reward("purchase", 600.0)]
    metrics = measured(result(rewards=rewards[:1]), result(rewards=rewards[1:]))
    assert metrics.value(REWARDS, "click", "softmax") == 2
    assert metrics.value(REWARDS, "purchase", "softmax") == 1
    assert metrics.histogram(REWARD_DELAY, "click").sum == 42.0
    assert metrics.histogram(REWARD_DELAY, "purchase").count == 1


def test_events_are_counted_by_topic_and_type_and_the_others_by_reason():
    run = records([click("ann", "a"), {"type": "view", "user_id": "ann", "item_id": "b"}, b"{", None])
    metrics = measured(work(0, {"events": run}, DictStore(), engine()))
    assert metrics.value(EVENTS, "events", "click") == metrics.value(EVENTS, "events", "view") == 1
    assert metrics.value(EVENTS) == 2
    assert metrics.value(REJECTED, "events", "not_json") == 1
    assert metrics.value(REJECTED, "events", "null_value") == 1


def test_a_stage_takes_what_it_took_in_all_partitions_of_the_cycle():
    metrics = measured(result(), result(laps=(10.0, 20.0, 30.0, 40.0)), queued=[0.25, 0.5])
    sums = {stage: metrics.histogram(STAGE_SECONDS, stage).sum for stage in STAGES}
    assert sums == {
        "queue": 0.75,
        "decode": 11.0,
        "read": 22.0,
        "decide": 33.0,
        "encode": 44.0,
        "commit": 2.0,
        "apply": 3.0,
    }
    assert metrics.histogram(STAGE_SECONDS, "queue").count == 2
    assert metrics.histogram(STAGE_SECONDS, "read").count == 1
    assert metrics.histogram(CYCLE_SECONDS).sum == 6.0


def test_the_phases_of_the_transaction_are_kept_apart():
    phases = dict(zip(PHASES, (0.1, 0.2, 0.3), strict=True))
    metrics = measured(result(), phases=phases)
    assert {phase: metrics.histogram(TRANSACTION_SECONDS, phase).sum for phase in PHASES} == phases


def test_a_cycle_of_dead_letters_alone_is_measured_too():
    metrics = measured(result(rejected=[("events", "not_json")] * 3))
    assert metrics.value(REJECTED) == metrics.histogram(CYCLE_EVENTS).sum == 3
    assert metrics.value(SLATES) == 0


def test_feedback_that_earned_nothing_is_counted_by_its_reason():
    metrics = measured(result(unattributed=["organic", "expired"]), result(unattributed=["organic"]))
    assert metrics.value(UNATTRIBUTED, "organic") == 2
    assert metrics.value(UNATTRIBUTED) == 3


def test_items_seen_are_counted_by_what_says_so():
    (opened,) = profile(shown_slate(1, "a", "b", "c")).open_slates
    exposed = [Exposed(opened, b"\1\2", "impression"), Exposed(opened, b"\3", "acted")]
    metrics = measured(result(exposed=exposed), result(exposed=exposed[1:]))
    assert metrics.value(EXPOSURES, "impression") == 2
    assert metrics.value(EXPOSURES, "acted") == 2


async def test_a_heartbeat_counts_as_nothing_but_a_heartbeat(rig):
    rig.seconds = T / 1000 + 2
    await rig.begin(0, 3)
    await rig.put([record(heartbeat(3, T + 500), partition=3, time=T + 900)])
    await rig.idle()
    await rig.put([record(click("ann", "a"), time=T)])
    await rig.idle()
    counted, histogram = rig.metrics.value, rig.metrics.histogram
    assert counted(HEARTBEATS_ANSWERED) == 1
    assert (histogram(HEARTBEAT_SECONDS).count, histogram(HEARTBEAT_SECONDS).sum) == (1, 1.5)
    assert counted(HEARTBEAT_ANSWERED, "3") == counted(HEARTBEAT_ANSWERED) == T / 1000 + 2
    assert len(rig.log.values("slates", 3)) == 1
    assert (counted(EVENTS), counted(EVENTS, "events", "click")) == (1, 1)
    assert counted(SLATES) == histogram(EVENT_TO_SLATE, "feed").count == 1
    assert histogram(RECORD_TO_SLATE, "feed").count == 1
    assert counted(EMPTY_SLATES) == 1
    # A cycle is a cycle, whatever it was for.
    assert histogram(CYCLE_SECONDS).count == histogram(CYCLE_EVENTS).sum == 2


async def test_the_latest_transaction_of_each_partition_is_kept(rig):
    await rig.begin(0, 3)
    await rig.put(RUN[:4])
    await rig.idle()
    first = rig.loop.transactions[0]
    assert (first.records, first.cycle_records, first.cycle_partitions) == (4, 4, 1)
    assert first.committed_at == rig.seconds
    assert list(first.seconds)[:6] == ["decode", "read", "decide", "encode", "commit", "apply"]
    assert all(seconds >= 0 for seconds in first.seconds.values())
    await rig.put(records([click("bob", "a")], partition=3))
    await rig.idle()
    assert rig.loop.transactions[0] is first
    assert rig.loop.transactions[3].records == 1
