"""The steps of one user, folded from records in whatever order they are read."""

import base64
import json
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.event import EventRules, state_key
from state.models import Models
from state.profile import NEW_PROFILE
from state.retrieval.explain import Explanation
from state.step import StepRules
from stream.codecs import decode_delta, decode_profile, decode_reward, encode_profile, encode_reward
from stream.inspection import Inspection, InspectionError
from stream.timeline import (
    MOST_AHEAD,
    Happened,
    Rejected,
    Repeated,
    Rules,
    Start,
    Started,
    Step,
    Timeline,
    Waiting,
    as_json,
)
from stream.work import Record, work
from tests.stream.records import DictStore, T, click, engine, record, records, shop_events

RULES = Rules(EventRules(), StepRules(), lambda profile, slate: ())


def taught():
    """An engine whose models know the shop, so that its slates have items and earn rewards."""
    models = Models()
    result = work(0, {"events": records(shop_events(5))}, DictStore(), engine())
    models.learn([decode_delta(value) for _, value, _ in result.deltas])
    return engine(models)


ENGINE = taught()


class Log:
    """Input topics, and what a worker made of them in cycles."""

    def __init__(self) -> None:
        self.store = DictStore()
        self.inputs: list[Record] = []
        self.deltas: list[Record] = []
        self.slates: list[Record] = []
        self.rewards: list[bytes] = []
        self.applied: dict[str, int] = {}
        self.cycles = 0

    def cycle(self, **runs: Sequence[Record]) -> None:
        """Let the worker take these records; it publishes 7 ms after the last of them."""
        runs = {topic: run for topic, run in runs.items() if run}
        result = work(0, runs, self.store, ENGINE)
        now = 7 + max(r.timestamp for run in runs.values() for r in run)
        self.store.update(row for row in result.changelog if not row[0].startswith(b"\0"))
        self.inputs += [each for run in runs.values() for each in run]
        for key, value, _ in result.slates:
            self.slates.append(record(value, len(self.slates), topic="slates", key=key, time=now))
        for key, value, _ in result.deltas:
            self.deltas.append(record(value, self.cycles, topic="deltas", key=key, time=now))
        self.rewards += [value for _, value, _ in result.rewards]
        self.applied |= {topic: run[-1].offset for topic, run in runs.items()}
        self.cycles += 1

    def timeline(
        self, user: str, *, tenant: str = "default", topics: Sequence[str] = ("events",)
    ) -> Timeline:
        """A timeline that begins where the log stands."""
        (value,) = self.store.get([state_key(tenant, user).encode()])
        profile = decode_profile(value) if value else NEW_PROFILE
        offsets = {topic: self.applied.get(topic, -1) + 1 for topic in topics}
        return Timeline(user, tenant, Start(profile, dict(self.applied), offsets, None), RULES)


def told(timeline: Timeline, log: Log) -> list[Step]:
    """All steps, once everything was read."""
    for each in log.slates:
        timeline.publish(each)
    for each in log.inputs:
        timeline.feed(each)
    for each in log.deltas:
        timeline.cycle(each)
    return list(timeline.steps())


def happened(step: Step) -> Happened:
    assert isinstance(step, Happened)
    return step


def one_user(*values: object) -> list[Record]:
    return [record(value, offset, key=b"u") for offset, value in enumerate(values)]


def of_shop(seed: int, topic: str, draw: random.Random) -> list[Record]:
    """A shop's records, keyed by user, with times that mostly rise."""
    found, at = [], 0
    for offset, value in enumerate(shop_events(seed, count=60, users=3)):
        user, own = "u1", value
        if isinstance(value, dict):
            user, own = value["user_id"], {**value, "event_id": f"{topic}-{value['event_id']}"}
        at += draw.randint(-2000, 5000)
        found.append(record(own, offset, topic=topic, time=T + max(0, at), key=user.encode()))
    return found


def shuffled(log: Log, draw: random.Random) -> list[tuple[str, Record]]:
    """Everything after the start, each topic's in order, the topics interleaved at random."""
    queues = {
        "publish": list(log.slates),
        "cycle": list(log.deltas),
        **{topic: [r for r in log.inputs if r.topic == topic] for topic in ("events", "orders")},
    }
    found = []
    while queues := {name: queue for name, queue in queues.items() if queue}:
        name = draw.choice(list(queues))
        found.append((name, queues[name].pop(0)))
    return found


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), user=st.sampled_from(["u0", "u1", "u2"]), skipped=st.integers(0, 3))
def test_the_steps_lead_to_the_workers_state_and_rewards_however_topics_interleave(
    seed: int, user: str, skipped: int
) -> None:
    draw, log, timeline = random.Random(seed), Log(), None
    waiting = {topic: of_shop(seed + n, topic, draw) for n, topic in enumerate(("events", "orders"))}
    while any(waiting.values()):
        if log.cycles == skipped:
            timeline = log.timeline(user, topics=("events", "orders"))
            seen = len(log.rewards), len(log.slates), len(log.inputs)
        taken = {topic: draw.randint(0, 12) for topic in waiting}
        runs = {topic: waiting[topic][: taken[topic]] for topic in waiting}
        waiting = {topic: waiting[topic][taken[topic] :] for topic in waiting}
        if any(runs.values()):
            log.cycle(**runs)
    assert timeline is not None
    log.inputs = log.inputs[seen[2] :]
    steps = []
    for name, each in shuffled(log, draw):
        {"publish": timeline.publish, "cycle": timeline.cycle}.get(name, timeline.feed)(each)
        steps += list(timeline.steps())
    assert timeline.waiting is None
    assert encode_profile(timeline.profile) == log.store.get([user.encode()])[0]
    rewards = [
        encode_reward(reward) for step in steps if isinstance(step, Happened) for reward in step.rewards
    ]
    assert rewards == [value for value in log.rewards[seen[0] :] if decode_reward(value).user_id == user]
    shown = [step.shown.slate.slate_id for step in steps if isinstance(step, Happened) and step.shown]
    asked = [r for r in log.slates[seen[1] :] if r.key == user.encode()]
    assert shown == [json.loads(r.value or b"")["slate_id"] for r in asked]
    assert len(steps) == sum(r.key == user.encode() for r in log.inputs)


def test_an_event_waits_for_its_cycle_and_then_for_its_slate() -> None:
    log = Log()
    timeline = log.timeline("u")
    log.cycle(events=one_user(click("u", "i1")))
    assert timeline.waiting is None
    timeline.feed(log.inputs[0])
    assert list(timeline.steps()) == []
    waiting = timeline.waiting
    assert waiting is not None
    assert (waiting.awaits, waiting.origin.offset, waiting.records) == ("worker", 0, 1)
    timeline.cycle(log.deltas[0])
    assert list(timeline.steps()) == []
    waiting = timeline.waiting
    assert waiting is not None
    assert waiting.awaits == "slate"
    timeline.publish(log.slates[0])
    (step,) = map(happened, timeline.steps())
    assert step.event.items[0].item_id == "i1"
    assert timeline.waiting is None


def test_events_of_one_cycle_each_have_their_own_difference() -> None:
    log = Log()
    timeline = log.timeline("u")
    log.cycle(events=one_user(click("u", "i1"), click("u", "i2"), click("u", "i3")))
    steps = [happened(step) for step in told(timeline, log)]
    assert [step.state.session for step in steps] == ["begun", "continued", "continued"]
    assert [step.state.session_items for step in steps] == [1, 2, 3]
    assert [step.state.entered for step in steps] == [("i1",), ("i2",), ("i3",)]
    assert [len(step.state.open_slates) for step in steps] == [1, 2, 3]
    assert [step.shown.took_ms for step in steps if step.shown] == [2007, 1007, 7]
    first, second = (step.shown for step in steps[:2])
    assert first is not None
    assert first.change.is_first
    assert second is not None
    assert {place.item.item_id: place.before for place in second.change.places} == {
        item.item_id: next((b.position for b in first.slate.items if b.item_id == item.item_id), None)
        for item in second.slate.items
    }


def test_feedback_on_a_slate_shows_its_reward() -> None:
    log = Log()
    timeline = log.timeline("u")
    log.cycle(events=one_user(click("u", "i1")))
    item = json.loads(log.slates[0].value or b"")["items"][2]
    log.cycle(events=[record(click("u", item["item_id"]), 1, key=b"u")])
    _, step = told(timeline, log)
    (reward,) = happened(step).rewards
    assert (reward.slate_id, reward.position, reward.reward) == ("events-0-0", 3, 1.0)
    assert reward.propensity == pytest.approx(item["propensity"])


def test_a_duplicate_and_a_dead_letter_are_said_as_such() -> None:
    log = Log()
    timeline = log.timeline("u")
    again = click("u", "i1", event_id="e1")
    log.cycle(events=one_user(again, again, {"type": "dance", "user_id": "u"}, b"{", None))
    first, duplicate, *rejected = told(timeline, log)
    assert happened(first).event.event_id == "e1"
    assert isinstance(duplicate, Repeated)
    assert (duplicate.event.event_id, duplicate.origin.offset) == ("e1", 1)
    assert [(each.reason, each.value) for each in rejected if isinstance(each, Rejected)] == [
        ("unknown_type", '{"type": "dance", "user_id": "u"}'),
        ("not_json", "{"),
        ("null_value", ""),
    ]


def test_a_user_who_is_forgotten_begins_anew() -> None:
    log = Log()
    timeline = log.timeline("u")
    log.cycle(events=one_user(click("u", "i1"), {"type": "forget", "user_id": "u"}, click("u", "i2")))
    _, wish, after = map(happened, told(timeline, log))
    assert (wish.shown, wish.is_unanswered, wish.state.session) == (None, False, "untouched")
    assert (wish.state.left, wish.state.open_slates) == (("i1",), ())
    assert after.shown is not None
    assert after.shown.change.is_first
    assert [encode_profile(timeline.profile)] == log.store.get([b"u"])


def test_an_event_that_asks_for_no_slate_is_told_without_one() -> None:
    log = Log()
    timeline = log.timeline("u")
    log.cycle(events=one_user({**click("u", "i1"), "type": "impression"}))
    (step,) = told(timeline, log)
    assert happened(step).shown is None
    assert not happened(step).is_unanswered


def test_an_event_goes_on_without_a_slate_that_never_comes_and_says_so() -> None:
    log = Log()
    timeline = log.timeline("u")
    log.cycle(events=one_user(click("u", "i1"), click("u", "i2")))
    del log.slates[0]
    assert told(timeline, log) == []
    timeline.go_on_without_slate()
    first, second = map(happened, timeline.steps())
    assert first.is_unanswered
    assert first.state.opened == ()
    assert second.shown is not None
    assert second.state.opened == ("events-0-1",)


def test_only_the_users_own_records_count_whatever_the_json_looks_like() -> None:
    log = Log()
    timeline = log.timeline("ü1")
    values = [
        json.dumps(click("ü1", "i1")).encode(),  # escaped: \u00fc1
        json.dumps(click("ü1", "i2"), ensure_ascii=False).encode(),
        json.dumps(click("ü11", "i3")).encode(),
        json.dumps(click("other", "ü1")).encode(),
        json.dumps({"type": "dance", "user_id": "ü1"}).encode(),
        json.dumps({"type": "dance", "user_id": "other"}).encode(),
    ]
    log.cycle(events=[record(value, offset, key=b"?") for offset, value in enumerate(values)])
    steps = told(timeline, log)
    assert [type(step) for step in steps] == [Happened, Happened, Rejected]


def test_a_record_in_another_format_is_told_also_where_no_bytes_name_the_user() -> None:
    data = base64.b64encode(json.dumps({"user_id": "u", "item_id": "i1"}).encode()).decode()
    event = {"specversion": "1.0", "id": "e", "type": "shop.click", "data_base64": data}
    formats = EventRules(formats={"web": "cloudevents"})
    rules = Rules(formats, StepRules(), lambda profile, slate: ())
    timeline = Timeline("u", "default", Start(NEW_PROFILE, {}, {"web": 0}, None), rules)
    runs = {"web": [record(event, topic="web", key=b"other"), record(b"{", 1, topic="web", key=b"u")]}
    result = work(0, runs, DictStore(), engine(events=formats))
    for each in runs["web"]:
        timeline.feed(each)
    for key, value, _ in result.deltas:
        timeline.cycle(record(value, topic="deltas", key=key))
    timeline.publish(record(result.slates[0][1], topic="slates", key=b"u"))
    clicked, rejected = timeline.steps()
    assert happened(clicked).event.event_id == "e"
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "not_json"


def test_a_number_is_the_same_user_in_any_notation() -> None:
    log = Log()
    timeline = log.timeline("1000")
    values = [
        b'{"type": "click", "user_id": 1e3, "item_id": 1}',
        b'{"type": "click", "user_id": 1001, "item_id": 1}',
    ]
    log.cycle(events=[record(value, offset, key=b"?") for offset, value in enumerate(values)])
    assert len(told(timeline, log)) == 1


def test_a_tenants_user_is_another_user() -> None:
    log = Log()
    bare, of_tenant = log.timeline("u"), log.timeline("u", tenant="shop")
    shop = {"tenant": "shop"}
    log.cycle(
        events=[
            record(value, n, key=b"?") for n, value in enumerate((click("u", "i1"), click("u", "i2", **shop)))
        ]
    )
    (first,), (second,) = told(bare, log), told(of_tenant, log)
    assert happened(first).event.items[0].item_id == "i1"
    assert happened(second).event.items[0].item_id == "i2"


def test_a_slate_that_the_profile_already_contains_is_the_one_to_compare_with() -> None:
    log = Log()
    log.cycle(events=one_user(click("u", "i1")))
    timeline = log.timeline("u")
    timeline.publish(log.slates[0])
    log.inputs.clear()
    log.cycle(events=[record(click("u", "i2"), 1, key=b"u")])
    (step,) = told(timeline, log)
    shown = happened(step).shown
    assert shown is not None
    assert not shown.change.is_first
    assert step.state.session == "continued"


def test_a_cycle_that_is_told_twice_counts_once() -> None:
    log = Log()
    timeline = log.timeline("u")
    log.cycle(events=one_user(click("u", "i1")))
    log.deltas *= 2
    assert len(told(timeline, log)) == 1


def test_a_topic_that_only_the_workers_know_is_an_error_that_says_so() -> None:
    log = Log()
    timeline = log.timeline("u")
    log.cycle(orders=[record(click("u", "i1"), topic="orders", key=b"u")])
    timeline.cycle(log.deltas[0])
    with pytest.raises(
        InspectionError, match="workers read orders too, which FRESHSLATE_INPUTS does not name"
    ):
        list(timeline.steps())


def test_reading_ahead_of_the_workers_has_a_limit_that_yields_to_what_a_cycle_needs() -> None:
    log = Log()
    timeline = log.timeline("u")
    many = [record(b"{}", offset, key=b"?") for offset in range(MOST_AHEAD + 1)]
    for each in many[:-1]:
        assert not timeline.is_full("events")
        timeline.feed(each)
    assert timeline.is_full("events")
    log.cycle(events=many)
    timeline.cycle(log.deltas[0])
    assert not timeline.is_full("events")
    timeline.feed(many[-1])
    assert list(timeline.steps()) == []
    assert not timeline.is_full("events")


def test_the_json_form_of_every_step_says_its_kind_and_all_of_it() -> None:
    log = Log()
    start = Start(NEW_PROFILE, {}, {"events": 0}, None)
    why = lambda profile, slate: tuple(Explanation(item_id=item.item_id) for item in slate.items)  # noqa: E731
    timeline = Timeline("u", "default", start, RULES._replace(explain=why))
    log.cycle(events=one_user(click("u", "i1", event_id="e1"), click("u", "i1", event_id="e1"), b"{"))
    found = [json.loads(json.dumps(as_json(step))) for step in told(timeline, log)]
    assert [each["kind"] for each in found] == ["event", "duplicate", "dead_letter"]
    event = found[0]
    assert (event["event"]["type"], event["event"]["items"][0]["item_id"]) == ("click", "i1")
    assert event["origin"] == {"topic": "events", "partition": 0, "offset": 0, "time": T}
    assert event["state"]["session"] == "begun"
    assert event["slate"]["slate_id"] == "events-0-0"
    assert event["slate"]["change"] == {"entered": 5, "up": 0, "down": 0, "stayed": 0, "left": 0}
    first = event["slate"]["items"][0]
    assert first["neighbours_now"]["item_id"] == first["item_id"]
    assert (first["position"], first["before"], first["move"]) == (1, None, "entered")
    assert 0 < first["propensity"] <= 1
    assert found[2]["reason"] == "not_json"


def test_the_json_form_of_the_beginning_and_of_waiting() -> None:
    inspection = Inspection(
        user_id="u",
        tenant="default",
        key="u",
        partition=1,
        expected_partition=1,
        partitions=4,
        profile=None,
        slates=(),
    )
    start = as_json(Started(inspection=inspection, offsets={"events": 7}))
    assert (start["kind"], start["user_id"], start["offsets"]) == ("start", "u", {"events": 7})
    log = Log()
    timeline = log.timeline("u")
    timeline.feed(one_user(click("u", "i1"))[0])
    assert isinstance(timeline.waiting, Waiting)
    assert as_json(timeline.waiting) == {
        "kind": "waiting",
        "origin": {"topic": "events", "partition": 0, "offset": 0, "time": T},
        "awaits": "worker",
        "records": 1,
    }
