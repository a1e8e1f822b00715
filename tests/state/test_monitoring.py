"""What the monitor makes of slates and feedback, and when it raises an alarm."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.monitoring import (
    MIN_SLATES,
    MOST_CURRENCIES,
    MOST_SERIES,
    OTHER,
    Candidates,
    Monitor,
    ShownItem,
    ShownSlate,
    explored_share,
)
from state.policy.context import CONTEXT_SET
from state.slate import Exposures, Reward

MINUTE = 60_000
WAIT = 30 * MINUTE
START = 1_763_769_600_000
BY = ("softmax", "feed")


def slate(n, *, items=3, time=None, user=None, expected=None, scenario="feed", policy="softmax"):
    shown = tuple(
        ShownItem(
            f"i{n * items + k}", 1.0 - k / 10, 0.5, **({} if expected is None else {"expected": expected})
        )
        for k in range(items)
    )
    at = START + n * 1000 if time is None else time
    return ShownSlate(f"s{n}", user or f"u{n}", scenario, at, policy, shown)


def reward(n, *, position=1, kind="click", worth=1.0, delay=60.0, value=None, currency=None, user=None):
    return Reward(
        reward_id=f"r{n}-{position}",
        slate_id=f"s{n}",
        event_id=f"e{n}",
        user_id=user or f"u{n}",
        tenant="default",
        scenario="feed",
        item_id="i",
        position=position,
        type=kind,
        time=START + n * 1000 + int(delay * 1000),
        reward=worth,
        value=value,
        currency=currency,
        propensity=0.5,
        policy="softmax",
        policy_version="1",
        delay_seconds=delay,
    )


def exposed(n, *positions):
    count = len(positions)
    return Exposures(
        (f"s{n}",), (START + n * 1000,), ("softmax/1",), (0,) * count, positions, "", CONTEXT_SET
    )


def made(**changes):
    return Monitor(**({"wait_ms": WAIT, "most_waiting": 10_000} | changes))


def over(monitor):
    return monitor.advance(START + (1 << 40))


def test_a_fresh_slate_is_no_failure_before_its_wait_is_over():
    monitor = made()
    monitor.publish(slate(0))
    monitor.advance(START + WAIT - 1)
    series = monitor.series[BY]
    assert (series.slates, series.matured, monitor.waiting) == (1, 0, 1)
    assert math.isnan(series.mean("ctr"))
    monitor.advance(START + WAIT)
    assert (series.matured, monitor.waiting) == (1, 0)
    assert series.mean("ctr") == 0.0


def test_rates_are_means_over_matured_slates():
    monitor = made()
    for n in range(4):
        monitor.publish(slate(n))
    monitor.reward(reward(0))
    monitor.reward(reward(0, position=2))
    monitor.reward(reward(1, kind="purchase", worth=5.0, value=30.0, currency="EUR"))
    over(monitor)
    series = monitor.series[BY]
    assert series.mean("reward") == pytest.approx(7 / 4)
    assert series.mean("ctr") == pytest.approx(1 / 4)
    assert series.mean("conversion") == pytest.approx(1 / 4)
    assert series.revenue == {"EUR": 30.0}
    assert series.rewards == {"click": 2, "purchase": 1}


def test_a_refund_takes_revenue_back_whatever_its_sign():
    monitor = made()
    monitor.publish(slate(0))
    monitor.reward(reward(0, kind="purchase", worth=5.0, value=30.0, currency="EUR"))
    monitor.reward(reward(0, kind="refund", worth=-5.0, value=-10.0, currency="EUR"))
    assert monitor.series[BY].revenue == {"EUR": 20.0}


def test_feedback_may_come_before_its_slate():
    monitor = made()
    monitor.reward(reward(0))
    monitor.publish(slate(0))
    over(monitor)
    assert monitor.series[BY].mean("ctr") == 1.0
    assert monitor.late == 0


def test_feedback_after_the_wait_and_on_unknown_slates_is_late():
    monitor = made()
    monitor.publish(slate(0))
    monitor.reward(reward(0, delay=30 * 60 + 1))
    monitor.reward(reward(77))
    over(monitor)
    assert monitor.late == 2
    assert monitor.series[BY].mean("ctr") == 0.0


def test_where_the_log_has_exposures_a_slate_that_nobody_saw_is_no_failure():
    monitor = made()
    for n in range(3):
        monitor.publish(slate(n))
    monitor.expose(exposed(0, 1, 2))
    monitor.expose(exposed(1, 1))
    monitor.reward(reward(1))
    over(monitor)
    series = monitor.series[BY]
    assert (series.matured, series.unseen) == (3, 1)
    assert series.mean("ctr") == pytest.approx(1 / 2)


def test_only_seen_items_count_for_calibration():
    monitor = made()
    monitor.publish(slate(0, expected=0.25))
    monitor.expose(exposed(0, 1))
    over(monitor)
    assert monitor.series[BY].calibration_error == pytest.approx(0.25)


def test_calibration_error_is_near_0_for_a_true_expectation_and_the_gap_for_a_false_one():
    rng = random.Random(1)
    true, false = made(), made()
    for n in range(5_000):
        clicked = rng.random() < 0.3
        for monitor, expected in ((true, 0.3), (false, 0.8)):
            monitor.publish(slate(n, items=1, expected=expected))
            if clicked:
                monitor.reward(reward(n))
            monitor.advance(START + n * 1000)
    over(true)
    over(false)
    assert true.series[BY].calibration_error < 0.02
    assert false.series[BY].calibration_error == pytest.approx(0.5, abs=0.02)


def test_without_an_expectation_there_is_no_calibration():
    monitor = made()
    monitor.publish(slate(0))
    over(monitor)
    assert math.isnan(monitor.series[BY].calibration_error)


def played(rates, *, seed, expected=None):
    """Number of the slate at each alarm, by signal; `rates` gives the click probability of slate n."""
    rng, monitor, alarms = random.Random(seed), made(), []
    for n, rate in enumerate(rates):
        monitor.publish(slate(n, items=1, expected=expected))
        if rng.random() < rate:
            monitor.reward(reward(n))
        alarms += [(alarm.signal, n) for alarm in monitor.advance(START + n * 1000)]
    return alarms, monitor


@pytest.mark.parametrize("seed", range(3))
def test_a_halved_click_rate_is_told_within_a_bounded_number_of_slates(seed):
    waiting = WAIT // 1000
    rates = [0.10] * 10_000 + [0.05] * 6_000
    alarms, monitor = played(rates, seed=seed)
    found = [n for signal, n in alarms if signal == "reward"]
    assert found, "no alarm"
    assert 10_000 < found[0] < 10_000 + waiting + 3_000
    told = monitor.series[BY].alarms
    assert told["reward", "up"] + told["reward", "down"] == len(found)
    assert told["reward", "down"] >= 1


@pytest.mark.parametrize("seed", range(3))
def test_an_expectation_that_stops_being_true_is_told_as_calibration(seed):
    alarms, _ = played([0.2] * 6_000 + [0.4] * 5_000, seed=seed, expected=0.2)
    first = next(n for signal, n in alarms if signal == "calibration")
    assert 6_000 < first < 6_000 + WAIT // 1000 + 2_000


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5])
def test_a_long_run_without_change_raises_no_alarm(rate):
    alarms, monitor = played([rate] * 60_000, seed=5, expected=rate)
    assert alarms == []
    assert monitor.series[BY].mean("ctr") == pytest.approx(rate, abs=0.02)


def test_the_first_slates_raise_no_alarm():
    alarms, _ = played([0.0] * (MIN_SLATES // 2) + [1.0] * (MIN_SLATES // 3), seed=1)
    assert alarms == []


def test_too_many_waiting_slates_halve_the_users_that_are_followed_and_keep_the_rates():
    rng, monitor = random.Random(2), made(most_waiting=200)
    for n in range(20_000):
        monitor.publish(slate(n, items=1))
        if rng.random() < 0.3:
            monitor.reward(reward(n))
        monitor.advance(START + n * 1000)
        assert monitor.waiting <= 200
    assert 0 < monitor.share < 1
    assert monitor.series[BY].mean("ctr") == pytest.approx(0.3, abs=0.06)


def test_feedback_that_waits_for_slates_is_bounded():
    monitor = made(most_waiting=50)
    for n in range(500):
        monitor.reward(reward(n))
    assert monitor.late == 450


def test_further_policies_and_currencies_are_counted_together():
    monitor = made()
    for n in range(MOST_SERIES + 20):
        monitor.publish(slate(n, policy=f"p{n}"))
    assert len(monitor.series) == MOST_SERIES + 1
    assert monitor.series[OTHER, OTHER].slates == 20
    for n in range(MOST_CURRENCIES + 5):
        monitor.reward(reward(0, kind="purchase", value=1.0, currency=f"C{n}"))
    assert monitor.series["p0", "feed"].revenue[OTHER] == 5.0


def test_a_repeated_slate_counts_once():
    monitor = made()
    monitor.publish(slate(0))
    monitor.publish(slate(0))
    assert monitor.series[BY].slates == 1


def test_different_items_are_counted_within_two_percent_and_anew_each_day():
    monitor = made()
    for n in range(4_000):
        monitor.publish(slate(n, time=START + n))
        monitor.publish(slate(n + 1_000_000, items=1, time=START + n))
    assert monitor.series[BY].different_items == pytest.approx(16_000, rel=0.02)
    monitor.publish(slate(9_999, time=START + 86_400_000))
    assert monitor.series[BY].different_items == pytest.approx(3, abs=0.1)


def test_small_propensities_are_the_tail():
    monitor = made()
    items = tuple(ShownItem(f"i{k}", 1.0, 0.005 if k % 10 == 0 else 0.5) for k in range(100))
    for n in range(20):
        monitor.publish(ShownSlate(f"s{n}", "u", "feed", START, "softmax", items))
    series = monitor.series[BY]
    assert (series.items, series.small) == (2000, 200)
    assert series.low_propensity < 0.1


def test_a_slate_in_the_order_of_scores_explores_nothing():
    assert explored_share(slate(0, items=5)) == 0.0


def test_candidates_that_were_passed_over_are_explored_around():
    items = (ShownItem("b", 0.5, 0.1), ShownItem("a", 0.9, 0.9))
    shown = ShownSlate("s", "u", "feed", 0, "p", items)
    assert explored_share(shown) == 0.5
    pooled = ShownSlate("s", "u", "feed", 0, "p", items, Candidates((0.95, 0.9, 0.5)))
    assert explored_share(pooled) == 1.0


def test_an_empty_slate_waits_and_matures_like_any_other():
    monitor = made()
    monitor.publish(ShownSlate("s", "u", "feed", START, "softmax", ()))
    over(monitor)
    series = monitor.series[BY]
    assert (series.matured, series.items) == (1, 0)
    assert math.isnan(series.mean("exploration"))
    assert math.isnan(series.low_propensity)


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4]), min_size=1, max_size=6))
def test_the_explored_share_is_a_share_and_0_only_in_falling_order(scores):
    items = tuple(ShownItem(str(n), score, 0.5) for n, score in enumerate(scores))
    share = explored_share(ShownSlate("s", "u", "feed", 0, "p", items))
    assert 0.0 <= share <= 1.0
    assert (share == 0.0) == (scores == sorted(scores, reverse=True))
