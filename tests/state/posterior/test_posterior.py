"""The posterior is a function of the set of records: their order, cuts and interruptions do not matter."""

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from state.event import TYPE_CODES
from state.posterior.beliefs import ALL, PRIOR
from state.posterior.config import LearningConfig
from state.posterior.posterior import LEAST_EXPOSURES, MOST_SCENARIOS, Posterior
from state.posterior.sums import SPANS
from tests.state.posterior.made import HOUR, MINUTE, SECOND, Shown, T, context, delta, log, rewards

CONFIG = LearningConfig()
LOG = log(7, count=400, minutes=240)
DELTAS = [delta(LOG[start : start + 8]) for start in range(0, len(LOG), 8)]
REWARDS = rewards(LOG)


def folded(deltas=DELTAS, given=REWARDS, config=CONFIG):
    posterior = Posterior(config)
    posterior.learn(deltas)
    posterior.reward(given)
    return posterior


def at(time, *, scenario="feed", answers=(), slate="s"):
    return Shown(slate, time, scenario, 1, context(3), answers)


def fold(*shown):
    return folded([delta([each]) for each in shown], rewards(shown))


def same(found, expected):
    """Whether two hold the same, up to rounding; scenarios may have other numbers."""
    assert found.newest == expected.newest
    ours, theirs = found.snapshot(), expected.snapshot()
    assert np.array_equal(ours["delays"], theirs["delays"])
    assert sorted(found.scenarios) == sorted(expected.scenarios)
    n = len(found.scenarios)
    order = [expected.scenarios.index(name) for name in found.scenarios]
    for name in ("outer", "shown", "exposures", "since", "earned", "squares"):
        first, second = (arrays[name].reshape(n, -1) for arrays in (ours, theirs))
        assert np.allclose(first, second[order], rtol=1e-9, atol=1e-6)
    left, right = found.beliefs(), expected.beliefs()
    assert (left.version, left.by_scenario.keys()) == (right.version, right.by_scenario.keys())
    for name, belief in left.by_scenario.items():
        for one, other in zip(belief, right.by_scenario[name], strict=True):
            assert np.allclose(one, other, rtol=1e-4, atol=1e-5)
    return True


# Order ------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_any_order_of_partitions_and_topics_leads_to_the_same(draw) -> None:
    records = [*DELTAS, *REWARDS]
    draw.shuffle(records)
    posterior, start = Posterior(CONFIG), 0
    while start < len(records):
        size = draw.choice([1, 5, 60, 300])
        some = records[start : start + size]
        posterior.learn([each for each in some if each in DELTAS])
        posterior.reward([each for each in some if each in REWARDS])
        start += size
    assert same(posterior, folded())


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_partitions_that_are_hours_apart_lead_to_the_same(draw) -> None:
    """As in a start without a snapshot, where one may be read to its end before the next begins."""
    streams = [DELTAS[0::3], DELTAS[1::3], DELTAS[2::3], REWARDS[0::2], REWARDS[1::2]]
    draw.shuffle(streams)
    posterior = Posterior(CONFIG)
    for stream in streams:
        run = posterior.learn if stream[0] in DELTAS else posterior.reward
        for record in stream:
            run([record])
    assert same(posterior, folded())
    assert posterior.late["exposures"] > 0


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_does_not_matter_either_where_the_log_is_longer_than_what_is_remembered(draw) -> None:
    shown = log(9, count=150, minutes=45 * 24 * 60)
    records = [delta([each]) for each in shown] + rewards(shown)
    expected = folded([delta(shown)], rewards(shown))
    assert expected.beliefs().by_scenario[ALL].count < 0.6 * len(shown)
    draw.shuffle(records)
    posterior = Posterior(CONFIG)
    for each in records:
        (posterior.learn if hasattr(each, "exposures") else posterior.reward)([each])
    assert same(posterior, expected)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, len(DELTAS)), st.integers(0, len(REWARDS)))
def test_a_snapshot_in_between_changes_nothing(deltas, given) -> None:
    first = folded(DELTAS[:deltas], REWARDS[:given])
    second = Posterior.restore(first.snapshot(), CONFIG)
    for posterior in (first, second):
        posterior.learn(DELTAS[deltas:])
        posterior.reward(REWARDS[given:])
    for name, array in first.snapshot().items():
        assert np.array_equal(array, second.snapshot()[name]), name
    assert same(second, folded())


def test_a_snapshot_is_of_its_moment() -> None:
    posterior = folded(DELTAS[:10], ())
    taken = posterior.snapshot()
    kept = {name: array.copy() for name, array in taken.items()}
    posterior.learn(DELTAS[10:])
    posterior.reward(REWARDS)
    for name, array in kept.items():
        assert np.array_equal(array, taken[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"maturity_seconds": 600}, "was learned with .*1800.*; now it is .*600"),
        ({"half_life_seconds": 5.0}, "was learned with"),
        (None, "it holds no posterior: an older program wrote it"),
    ],
)
def test_a_snapshot_of_something_else_is_refused(change, message) -> None:
    arrays = {} if change is None else folded().snapshot()
    with pytest.raises(ValueError, match=message):
        Posterior.restore(arrays, LearningConfig(**(change or {})))


# Maturity ---------------------------------------------------------------------------------------------


def test_nothing_is_believed_before_something_has_matured() -> None:
    young = fold(at(T), at(T + 29 * MINUTE))
    assert young.beliefs() is PRIOR
    old = fold(at(T), at(T + 31 * MINUTE))
    assert old.beliefs().by_scenario[ALL].count == pytest.approx(1.0, rel=0.01)
    assert old.beliefs().version == old.matured == (T // MINUTE)


def test_a_bucket_matures_when_the_newest_slate_is_maturity_later_than_its_end() -> None:
    end = (T // MINUTE + 1) * MINUTE
    early = fold(at(T), at(end + 30 * MINUTE - 1))
    assert (early.matured, early.beliefs()) == (T // MINUTE - 1, PRIOR)
    due = fold(at(T), at(end + 30 * MINUTE))
    assert due.matured == T // MINUTE
    assert due.beliefs().by_scenario[ALL].count > 0.9


def test_silence_is_no_failure_before_maturity() -> None:
    """Many fresh exposures without an answer leave the belief as it is."""
    past = [at(T + n * SECOND, answers=(("click", 1.0, 20.0),), slate=f"a{n}") for n in range(200)]
    now = T + 40 * MINUTE
    fresh = [at(now, slate=f"b{n}") for n in range(5000)]
    x = np.array(context(3)) / 255
    before = fold(*past, at(now)).beliefs().by_scenario[ALL]
    after = fold(*past, at(now), *fresh).beliefs().by_scenario[ALL]
    assert before.mean @ x > 0.9
    assert np.array_equal(before.mean, after.mean)
    assert after.count == before.count


def test_what_comes_after_its_bucket_matured_counts_at_once_and_is_counted() -> None:
    answered = at(T, answers=(("click", 1.0, 10.0),))
    posterior = fold(at(T + 5 * HOUR))
    posterior.learn([delta([answered])])
    posterior.reward(rewards([answered]))
    assert posterior.late == {"exposures": 1, "rewards": 1}
    assert same(posterior, fold(answered, at(T + 5 * HOUR)))


def test_what_is_older_than_a_month_is_forgotten_and_left_out_when_it_comes() -> None:
    answered = at(T, answers=(("click", 1.0, 10.0),))
    newest = at(T + SPANS * HOUR)
    forgotten = fold(answered, newest)
    assert same(forgotten, fold(newest))
    late = fold(newest)
    late.learn([delta([answered])])
    late.reward(rewards([answered]))
    assert late.left_out == Counter(too_old=2)
    assert same(late, fold(newest))


def test_a_jump_of_months_forgets_everything_before() -> None:
    posterior = folded()
    posterior.learn([delta([at(T + 100 * SPANS * HOUR)])])
    assert posterior.beliefs() is PRIOR
    assert not posterior.snapshot()["delays"].any()


def test_what_was_learned_a_half_life_ago_weighs_half() -> None:
    config = LearningConfig(half_life_seconds=3600.0)
    shown = [at(T, slate=f"s{n}") for n in range(100)]
    later = Posterior(config)
    later.learn([delta(shown), delta([at(T + 3 * HOUR)])])
    assert later.beliefs().by_scenario[ALL].count == pytest.approx(100 / 8)


def test_a_slate_of_the_far_future_makes_nothing_old() -> None:
    posterior = folded()
    before = posterior.newest
    wrong = at(T + 9000 * HOUR, answers=(("click", 1.0, 5.0),))
    posterior.learn([delta([wrong])], [T])
    posterior.reward(rewards([wrong]), [T])
    assert posterior.left_out == Counter(ahead=2)
    assert posterior.newest == before


# Scenarios --------------------------------------------------------------------------------------------


def test_a_scenario_has_a_belief_of_its_own_once_it_has_exposures_enough() -> None:
    enough, few = int(LEAST_EXPOSURES * 1.1), 300
    feed = [at(T, slate=f"f{n}", answers=(("click", 1.0, 5.0),)) for n in range(enough)]
    video = [at(T, slate=f"v{n}", scenario="video") for n in range(few)]
    found = fold(*feed, *video, at(T + HOUR)).beliefs().by_scenario
    assert found.keys() == {ALL, "feed"}
    x = np.array(context(3)) / 255
    assert found["feed"].mean @ x == pytest.approx(1.0, abs=0.05)
    assert found[ALL].mean @ x == pytest.approx(enough / (enough + few), abs=0.05)


def test_scenarios_beyond_the_bound_count_for_all_of_them_together() -> None:
    shown = [at(T, slate=f"s{n}", scenario=f"c{n}") for n in range(MOST_SCENARIOS + 5)]
    posterior = fold(*shown, at(T + HOUR, scenario="c0"))
    assert len(posterior.scenarios) == MOST_SCENARIOS
    assert posterior.beliefs().by_scenario[ALL].count == pytest.approx(len(shown), rel=0.01)


# Corrections ------------------------------------------------------------------------------------------


def test_a_refund_takes_back() -> None:
    bought = [
        at(T, slate=f"s{n}", answers=(("purchase", 5.0, 60.0), ("refund", -5.0, 90.0))) for n in range(500)
    ]
    belief = fold(*bought, at(T + HOUR)).beliefs().by_scenario[ALL]
    assert belief.mean @ (np.array(context(3)) / 255) == pytest.approx(0.0, abs=0.1)


def test_slow_answers_are_made_up_for() -> None:
    """Many of the answers that take three hours are still to come; the value is right all the same."""
    draw = random.Random(5)
    shown = [
        at(
            T + n * 17 * SECOND,
            slate=f"s{n}",
            answers=(("purchase", 5.0, draw.expovariate(1 / 10_800)),) if draw.random() < 0.3 else (),
        )
        for n in range(10_000)
    ]
    now = shown[-1].time
    come = [each for each in rewards(shown) if each.time <= now]
    posterior = folded([delta(shown)], come, LearningConfig(half_life_seconds=7200.0))
    belief, x = posterior.beliefs().by_scenario[ALL], np.array(context(3)) / 255
    assert belief.mean @ x == pytest.approx(1.5, rel=0.1)
    (share,) = posterior.arrived(np.array([10_800.0]))[TYPE_CODES["purchase"]]
    assert share == pytest.approx(1 - np.exp(-1), rel=0.05)


def test_rewards_without_a_context_tell_of_delays_alone() -> None:
    bare = [replace(each, features=()) for each in REWARDS]
    posterior = folded(DELTAS, bare)
    assert np.array_equal(posterior.snapshot()["delays"], folded().snapshot()["delays"])
    assert not posterior.snapshot()["earned"].any()
    assert posterior.left_out == Counter(no_context=len(REWARDS))


def test_warming_leaves_a_posterior_as_it_is() -> None:
    posterior = Posterior()
    posterior.warm()
    assert posterior.newest is None
    assert posterior.beliefs() is PRIOR
