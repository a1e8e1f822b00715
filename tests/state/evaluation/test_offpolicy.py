import numpy as np
import pytest

from benchmarks.slate_world import moments, value_of
from state.evaluation.evidence import OffPolicyError, gather
from state.evaluation.offpolicy import MAIN, groups, judge, users_needed
from state.policy.epsilon_greedy import EpsilonGreedy
from state.policy.softmax import Softmax
from state.policy.uniform import Uniform
from tests.state.evaluation.logged import world

WARM, RANDOM, SHARP = Softmax(temperature=0.3), Uniform(), Softmax(temperature=0.2)
ARMS = [(WARM, 0.8), (RANDOM, 0.2)]
LOG = world(8_000, ARMS)
EVIDENCE = gather(LOG, SHARP, arms=[WARM, RANDOM])
FOUND = judge(EVIDENCE, rounds=200)


def test_the_truth_is_within_the_intervals_of_what_assumes_right() -> None:
    rng = np.random.default_rng(20)
    truth = value_of(moments(40_000, rng), SHARP, 3, rng)
    for name in ("dr", "ips", "snips", "replay"):
        estimate = FOUND.estimates[name]
        for bounds in (estimate.ci95, estimate.bootstrap_ci95):
            assert bounds is not None
            assert bounds[0] < truth < bounds[1], name
    wide, narrow = FOUND.estimates["ips"].bernstein_ci95, FOUND.estimates["ips"].ci95
    assert wide is not None
    assert narrow is not None
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_the_difference_to_what_was_logged_is_paired_and_surer() -> None:
    main = FOUND.estimates[MAIN]
    assert main.value is not None
    assert main.difference == pytest.approx(main.value - FOUND.logged.value)
    assert main.difference_ci95 is not None
    assert main.difference_ci95[0] > 0


def test_logged_policies_are_told_each() -> None:
    assert list(FOUND.arms) == [f"{policy.name}/{policy.version}" for policy, _ in ARMS]
    assert sum(arm.slates for arm in FOUND.arms.values()) == FOUND.logged.slates == 8_000
    assert sum(arm.users for arm in FOUND.arms.values()) == FOUND.logged.users == 2_000
    warm, random = FOUND.arms.values()
    assert warm.value > random.value
    assert FOUND.supported_positions == 3


def test_what_has_no_support_is_refused_by_every_estimator_also_by_the_model() -> None:
    greedy = judge(gather(LOG, EpsilonGreedy(epsilon=1e-6)), rounds=20)
    for estimate in greedy.estimates.values():
        assert estimate.value is None
        assert estimate.ci95 is None
        assert estimate.refused is not None
    assert "effective sample size" in str(greedy.estimates[MAIN].refused)
    assert greedy.supported_positions == 1


def test_what_can_be_judged_of_the_first_positions_is_judged() -> None:
    first = judge(gather(LOG.first(1), EpsilonGreedy(epsilon=1e-6)), rounds=20)
    rng = np.random.default_rng(21)
    truth = value_of(moments(40_000, rng), EpsilonGreedy(epsilon=1e-6), 1, rng)
    bounds = first.estimates[MAIN].ci95
    assert bounds is not None
    assert bounds[0] < truth < bounds[1]


def test_parts_add_up_to_the_whole() -> None:
    divided = groups(LOG._replace(times=LOG.times + 86_400_000 // 2), "day")
    assert list(divided) == ["1970-01-01", "1970-01-02"]
    parts = [judge(EVIDENCE, rows=rows, rounds=20) for rows in divided.values()]
    assert sum(part.logged.slates for part in parts) == 8_000
    wanted = sum(part.logged.slates * (part.estimates["ips"].value or 0) for part in parts) / 8_000
    assert FOUND.estimates["ips"].value == pytest.approx(wanted)
    assert list(groups(LOG, "scenario")) == ["feed"]


def test_dividing_by_anything_else_is_refused() -> None:
    with pytest.raises(OffPolicyError, match="scenario and day"):
        groups(LOG, "colour")


def test_few_users_have_no_interval() -> None:
    few = judge(EVIDENCE, rows=np.arange(100, dtype=np.int32), rounds=20)
    assert few.logged.users == 25
    assert few.logged.ci95 is None


def test_an_experiment_of_the_size_told_finds_the_difference_four_times_of_five() -> None:
    users = users_needed(1.0, 0.2)
    assert users == 393
    assert users_needed(1.0, 0.0) is None
    rng = np.random.default_rng(1)
    means = rng.normal(0, 1, (2_000, 2, users)).mean(axis=2) + np.array([0.0, 0.2])
    found = np.abs(means[:, 1] - means[:, 0]) > 1.96 * np.sqrt(2 / users)
    assert 0.77 <= found.mean() <= 0.83


def test_a_judgement_is_the_same_for_the_same_seed() -> None:
    assert judge(EVIDENCE, rounds=50) == judge(EVIDENCE, rounds=50)
