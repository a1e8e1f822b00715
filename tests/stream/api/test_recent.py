"""The last minutes."""

import json
from statistics import mean, stdev

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from state.event import HEARTBEAT_TENANT, state_key
from stream.api import recent
from stream.api.recent import Recent, wilson
from tests.stream.api.fakes import NOW, slate_of
from tests.stream.records import record


def slates(*numbers: int, at: int = NOW, key: bytes = b"u1", items: tuple[str, ...] = ("i1", "i2")) -> list:
    return [record(slate_of(number=n, items=items), n, key=key, topic="slates", time=at) for n in numbers]


def reward(number: int, kind: str = "click", **fields: object):
    value = {
        "reward_id": f"r{number}{kind}",
        "slate_id": f"events-0-{number}",
        "event_id": "e",
        "user_id": "u1",
        "tenant": "default",
        "scenario": "feed",
        "item_id": "i1",
        "position": 1,
        "type": kind,
        "time": NOW,
        "reward": 1.0,
        "value": None,
        "currency": None,
        "propensity": 0.5,
        "policy": "softmax",
        "policy_version": "1",
        "delay_seconds": 1.0,
    }
    return record(json.dumps({**value, **fields}).encode(), number, topic="rewards")


def test_a_click_rate_counts_each_answered_slate_once_and_comes_with_its_interval() -> None:
    it = Recent(lambda: NOW)
    it.take_slates(slates(1, 2, 3, 4))
    it.take_rewards([reward(1), reward(1, "view"), reward(2, "purchase", value=8.0), reward(99)])
    (told,) = it.policies()
    assert (told["policy"], told["slates"]) == ("softmax", 4)
    assert told["click_rate"]["share"] == 0.25
    assert told["click_rate"]["low"] < 0.25 < told["click_rate"]["high"]
    assert told["revenue_per_thousand"] == 2000
    low, high = told["revenue_range"]
    assert low == 0
    assert high == pytest.approx(2000 + 1.959964 * 2000)  # values 8, 0, 0, 0: a deviation of 4
    assert (it.item("i1").shown, it.item("i1").rewards, it.item("nothing").shown) == (4, 4, 0)


def test_a_slate_that_is_published_again_counts_once() -> None:
    it = Recent(lambda: NOW)
    for _ in range(2):
        it.take_slates(slates(1, 2))
        it.take_rewards([reward(1)])
    (told,) = it.policies()
    assert (told["slates"], told["click_rate"]["share"], it.item("i1").shown) == (2, 0.5, 2)


def test_views_are_counted_where_nobody_sends_clicks() -> None:
    it = Recent(lambda: NOW)
    it.take_slates(slates(1, 2, 3, 4))
    it.take_rewards([reward(1, "view"), reward(1, "view"), reward(2, "view")])
    assert it.policies()[0]["click_rate"]["share"] == 0.5
    it.take_rewards([reward(3)])
    assert it.policies()[0]["click_rate"]["share"] == 0.25


def test_what_is_older_than_the_window_counts_no_more() -> None:
    now = [NOW]
    it = Recent(lambda: now[0])
    it.take_slates(slates(1))
    it.take_rewards([reward(1)])
    now[0] += recent.WINDOW_MS + 1
    it.take_slates(slates(2, at=now[0]))
    (told,) = it.policies()
    assert (told["slates"], told["click_rate"]["share"]) == (1, 0)
    it.take_rewards([reward(1)])
    assert it.policies()[0]["click_rate"]["share"] == 0


def test_lines_have_each_second_its_slates_and_their_ages() -> None:
    it = Recent(lambda: NOW + 3000)
    born = json.loads(slate_of())["trigger"]["time"]
    it.take_slates(slates(1, 2, at=NOW) + slates(3, at=NOW + 1000))
    lines = it.lines()
    assert len(lines["time"]) == recent.SECONDS
    at = lines["time"].index(NOW // 1000)
    assert lines["slates"][at : at + 3] == [2, 1, 0]
    assert lines["p50"][at] == NOW - born
    assert lines["p99"][at + 2] is None


def test_heartbeats_tombstones_and_rubbish_count_nothing() -> None:
    it = Recent(lambda: NOW)
    beat = state_key(HEARTBEAT_TENANT, "0").encode()
    it.take_slates([*slates(1, key=beat), record(None, 2, topic="slates"), record(b"{}", 3, topic="slates")])
    it.take_rewards([record(b"\xff", 1, topic="rewards"), record(None, 2, topic="rewards")])
    assert it.policies() == []
    assert sum(it.lines()["slates"]) == 0


def test_it_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MOST_SLATES", 5)
    monkeypatch.setattr(recent, "MOST_ITEMS", 3)
    it = Recent(lambda: NOW)
    for n in range(20):
        it.take_slates(slates(n, items=(f"a{n}", f"b{n}")))
    assert it.policies()[0]["slates"] == 5
    assert (it.item("a0").shown, it.item("b19").shown) == (0, 1)


def test_a_wilson_interval_is_the_published_one() -> None:
    # Newcombe (1998), Statistics in Medicine 17, table I: 81 of 263, and 0 of 20.
    found = wilson(81, 263)
    assert found is not None
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    none = wilson(0, 20)
    assert none is not None
    assert (none.low, round(none.high, 4)) == (0.0, 0.1611)
    assert wilson(0, 0) is None


@settings(deadline=None)
@example(
    [("slate", 0, 0.0), ("purchase", 0, 1.9042367045044557), ("purchase", 0, 9999.1), ("pass", 0, 0.0)] * 4
)
@given(
    st.lists(
        st.tuples(st.sampled_from(["slate", "purchase", "pass"]), st.integers(0, 9), st.floats(0, 1e4)),
        max_size=60,
    )
)
def test_the_interval_of_revenue_is_that_of_the_slates_within_the_window(
    steps: list[tuple[str, int, float]],
) -> None:
    now, slates_at, earned = [NOW], {}, {}
    it = Recent(lambda: now[0])
    for number, (what, pick, amount) in enumerate(steps):
        if what == "slate":
            it.take_slates(slates(number, at=now[0]))
            slates_at[number], earned[number] = now[0], 0.0
        elif what == "purchase" and slates_at:
            bought = list(slates_at)[pick % len(slates_at)]
            it.policies()
            it.take_rewards([reward(bought, "purchase", value=amount)])
            earned[bought] += amount
        else:
            now[0] += recent.WINDOW_MS // 3
    alive = [earned[n] for n, at in slates_at.items() if at >= now[0] - recent.WINDOW_MS]
    found = it.policies()
    assert [each["slates"] for each in found] == ([len(alive)] if alive else [])
    if len(alive) < 2:
        assert all(each["revenue_range"] is None for each in found)
        return
    half = 1.959964 * stdev(alive) / len(alive) ** 0.5
    wanted = [1000 * max(0.0, mean(alive) - half), 1000 * (mean(alive) + half)]
    assert found[0]["revenue_range"] == pytest.approx(wanted, rel=1e-6, abs=0.01)
