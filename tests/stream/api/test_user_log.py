"""One user's steps from readers that end."""

import json
import random
from collections import deque
from collections.abc import AsyncIterator, Sequence

import pytest

from stream.api.user_log import Feed, Told, steps_json, steps_of
from stream.inspection import InspectionError
from stream.timeline import MOST_AHEAD, Happened, Step, Timeline, as_json
from stream.work import Record
from tests.stream.records import click, record, records
from tests.stream.test_timeline import Log, of_shop, one_user, told


class Reader:
    """Gives out records, and counts them."""

    def __init__(self, values: Sequence[Record]) -> None:
        self.values = values
        self.given = 0

    async def __aiter__(self) -> AsyncIterator[Record]:
        for each in self.values:
            self.given += 1
            yield each


def feeds(log: Log, *topics: str) -> dict[str, Feed]:
    return {
        topic: Feed(aiter(Reader([each for each in log.inputs if each.topic == topic]))) for topic in topics
    }


async def steps(timeline: Timeline, log: Log, *topics: str) -> list[Step]:
    for each in log.slates:
        timeline.publish(each)
    deltas = aiter(Reader(log.deltas))
    return [step async for step in steps_of(timeline, deltas, feeds(log, *topics or ("events",)))]


@pytest.mark.parametrize("seed", range(5))
async def test_the_steps_are_those_of_a_timeline_that_was_given_everything(seed: int) -> None:
    draw, log = random.Random(seed), Log()
    waiting = {topic: of_shop(seed + n, topic, draw) for n, topic in enumerate(("events", "orders"))}
    one, other = (log.timeline("u1", topics=("events", "orders")) for _ in range(2))
    while any(waiting.values()):
        taken = {topic: draw.randint(0, 12) for topic in waiting}
        runs = {topic: waiting[topic][: taken[topic]] for topic in waiting}
        waiting = {topic: waiting[topic][taken[topic] :] for topic in waiting}
        if any(runs.values()):
            log.cycle(**runs)
    found = await steps(one, log, "events", "orders")
    assert len(found) > 10
    assert [as_json(step) for step in found] == [as_json(step) for step in told(other, log)]
    assert one.profile == other.profile


async def test_an_input_is_read_no_further_than_the_deltas_are() -> None:
    log = Log()
    timeline = log.timeline("u")
    for offset in range(20):
        log.cycle(events=[record(click("u", f"i{offset}"), offset, key=b"u")])
    inputs, deltas = Reader(log.inputs), Reader(log.deltas)
    async for _ in steps_of(timeline, aiter(deltas), {"events": Feed(aiter(inputs))}):
        assert inputs.given == deltas.given


async def test_a_slate_that_has_left_the_log_is_not_waited_for() -> None:
    log = Log()
    timeline = log.timeline("u")
    log.cycle(events=one_user(click("u", "i1"), click("u", "i2"), click("u", "i3")))
    del log.slates[0], log.slates[0]
    found = await steps(timeline, log)
    assert [isinstance(step, Happened) and step.is_unanswered for step in found] == [True, True, False]


async def test_what_no_worker_has_taken_waits() -> None:
    log = Log()
    timeline = log.timeline("u")
    log.cycle(events=one_user(click("u", "i1")))
    later = [click("u", "i2"), click("v", "i2"), click("u", "i3")]
    log.inputs += records(later, start=1)
    assert len(await steps(timeline, log)) == 1
    assert timeline.waiting is not None
    assert timeline.waiting.records == 2


async def test_of_what_waits_no_more_is_read_than_a_timeline_holds() -> None:
    log = Log()
    timeline = log.timeline("u")
    reader = Reader([record(None, offset) for offset in range(MOST_AHEAD + 500)])
    assert [
        step async for step in steps_of(timeline, aiter(Reader([])), {"events": Feed(aiter(reader))})
    ] == []
    assert reader.given == MOST_AHEAD


async def test_records_that_left_the_log_are_passed_over() -> None:
    log = Log()
    for offset in range(5):
        log.cycle(events=[record(click("u", f"i{offset}"), offset, key=b"u")])
    timeline = Log().timeline("u")
    timeline._reached["events"] = 2
    log.inputs = log.inputs[3:]
    (first, second) = await steps(timeline, log)
    assert isinstance(first, Happened)
    assert isinstance(second, Happened)
    assert (first.origin.offset, first.state.session) == (3, "begun")


async def test_workers_that_read_another_topic_are_an_error_that_says_so() -> None:
    log = Log()
    log.cycle(orders=[record(click("u", "i1"), 0, key=b"u", topic="orders")])
    with pytest.raises(InspectionError, match="FRESHSLATE_INPUTS"):
        await steps(Log().timeline("u"), log)


async def test_nothing_is_told_of_before_the_user_was_forgotten() -> None:
    log = Log()
    timeline = log.timeline("u")
    forget = {"type": "forget", "user_id": "u"}
    log.cycle(events=one_user(click("u", "i1"), click("u", "i2"), forget, click("u", "i3")))
    kept = Told(steps=deque(maxlen=10))
    for step in await steps(timeline, log):
        kept.add(step)
    said = steps_json(kept.steps, [])
    assert [step["event"]["type"] for step in said] == ["forget", "click"]
    assert (kept.total, kept.forgotten_at) == (2, log.inputs[2].timestamp)
    assert all(item["before"] is None for item in said[1]["slate"]["items"])


async def test_the_latest_steps_are_kept_and_all_are_counted() -> None:
    log = Log()
    timeline = log.timeline("u")
    log.cycle(events=one_user(*(click("u", f"i{n}") for n in range(9))))
    kept = Told(steps=deque(maxlen=2))
    for step in await steps(timeline, log):
        kept.add(step)
    assert [step["origin"]["offset"] for step in steps_json(kept.steps, [])] == [7, 8]
    assert (kept.total, kept.forgotten_at) == (9, None)


async def test_rewards_are_those_that_workers_published() -> None:
    log = Log()
    timeline = log.timeline("u1")
    log.cycle(events=of_shop(3, "events", random.Random(3)))
    mine = [value for value in log.rewards if json.loads(value)["user_id"] == "u1"]
    assert mine
    found = await steps(timeline, log)
    said = steps_json(found, mine)
    assert [r["reward_id"] for step in said for r in step.get("rewards", ())] == [
        json.loads(value)["reward_id"] for value in mine
    ]
    assert not any(step.get("rewards") for step in steps_json(found, []))
    slates = [step["slate"] for step in said if step.get("slate")]
    assert slates
    assert not any("neighbours_now" in item for slate in slates for item in slate["items"])
