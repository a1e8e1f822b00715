import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.evaluation.confidence import (
    MIN_SUCCESSES,
    MIN_USERS,
    Z95,
    Comparison,
    Ratio,
    compare,
    ratio,
    student95,
)

EXPERIMENTS = 1_000


def users(random, count, probability):
    """Clicks and slates of users who differ: some see many slates, some click far more readily.

    A user's own click probability is Beta with mean `probability`, so a user's slates are like each other;
    its number of slates is geometric with mean 5.
    """
    slates = random.geometric(0.2, count)
    own = random.beta(5 * probability, 5 * (1 - probability), count)
    return random.binomial(slates, own).astype(float), slates.astype(float)


def binomial(clicks, slates):
    """The ratio as if every slate were a draw of its own."""
    value = clicks.sum() / slates.sum()
    return Ratio(value, value * (1 - value) / slates.sum(), len(slates))


def coverage(estimate, sizes, probabilities):
    """How often the interval of the lift holds the true lift, and how often it begins above it."""
    random = np.random.default_rng(4)
    truth = probabilities[0] / probabilities[1] - 1
    held = above = 0
    for _ in range(EXPERIMENTS):
        groups = [estimate(*users(random, n, p)) for n, p in zip(sizes, probabilities, strict=True)]
        low, high = compare(*groups).lift_ci95
        held += low <= truth <= high
        above += truth < low
    return held / EXPERIMENTS, above / EXPERIMENTS


@pytest.mark.parametrize(
    ("sizes", "probabilities"),
    [((2000, 2000), (0.1, 0.08)), ((2000, 200), (0.12, 0.1)), ((200, 200), (0.2, 0.2))],
    ids=["equal groups", "a small control", "small groups without a difference"],
)
def test_95_of_100_intervals_hold_the_true_lift(sizes, probabilities):
    held, above = coverage(ratio, sizes, probabilities)
    assert 0.93 <= held <= 0.97
    assert above <= 0.04


def test_intervals_that_take_each_slate_for_a_draw_of_its_own_miss_far_too_often():
    held, _ = coverage(binomial, (2000, 2000), (0.1, 0.08))
    assert held < 0.85


def test_the_interval_of_a_ratio_holds_its_true_value():
    random = np.random.default_rng(5)
    held = 0
    for _ in range(EXPERIMENTS):
        low, high = ratio(*users(random, 500, 0.1)).ci95
        held += low <= 0.1 <= high
    assert 0.93 <= held / EXPERIMENTS <= 0.97


def test_the_numbers_are_those_of_a_hand():
    """Learned: 60 clicks of 320 slates; residuals -3/4, 1/4, 1/2, 20 users each. Random: 30 of 240."""
    learned = ratio(np.tile([0.0, 1.0, 2.0], 20), np.tile([4.0, 4.0, 8.0], 20))
    random = ratio(np.tile([0.0, 1.0], 30), np.tile([4.0, 4.0], 30))
    assert (learned.value, random.value) == (0.1875, 0.125)
    assert learned.variance == pytest.approx(60 / 59 * 17.5 / 320**2)
    assert random.variance == pytest.approx(60 / 59 * 60 * 0.25 / 240**2)
    found = compare(learned, random)
    spread = math.sqrt(60 / 59 * (17.5 / 60**2 + 15 / 30**2))
    assert found.lift == pytest.approx(0.5)
    # Neither group's residuals have more kurtosis than a normal variable's: 59 degrees of freedom each.
    assert (learned.freedom, random.freedom) == (pytest.approx(59), pytest.approx(59))
    parts = 60 / 59 * 17.5 / 60**2, 60 / 59 * 15 / 30**2
    t = student95(59 * sum(parts) ** 2 / (parts[0] ** 2 + parts[1] ** 2))
    assert t == pytest.approx(1.9865, abs=1e-3)  # 91 degrees of freedom
    assert found.lift_ci95[0] == pytest.approx(1.5 * math.exp(-t * spread) - 1)
    assert found.lift_ci95[1] == pytest.approx(1.5 * math.exp(t * spread) - 1)
    half = student95(59) * math.sqrt(learned.variance)
    assert found.learned_ci95 == pytest.approx((0.1875 - half, 0.1875 + half))
    assert found.random_ci95 == random.ci95
    assert (found.learned_users, found.random_users) == (60, 60)


def test_one_slate_a_user_is_the_binomial_interval():
    """Then users are the draws, and the two formulas differ by n / (n - 1) alone."""
    clicks, slates = (np.arange(400) % 4 == 0).astype(float), np.ones(400)
    found, naive = ratio(clicks, slates), binomial(clicks, slates)
    assert found.variance == pytest.approx(naive.variance * 400 / 399)


def test_the_interval_is_that_of_a_bootstrap_over_users():
    random = np.random.default_rng(6)
    clicks, slates = users(random, 1500, 0.1)
    drawn = random.integers(0, 1500, (4000, 1500))
    bootstrap = clicks[drawn].sum(axis=1) / slates[drawn].sum(axis=1)
    assert math.sqrt(ratio(clicks, slates).variance) == pytest.approx(bootstrap.std(), rel=0.05)


@given(st.floats(0.01, 1e6), st.floats(0.01, 1e6))
def test_the_unit_of_money_changes_no_lift(scale, other):
    random = np.random.default_rng(7)
    learned, control = users(random, 100, 0.3), users(random, 100, 0.2)
    plain = compare(ratio(*learned), ratio(*control))
    scaled = [ratio(scale * top, other * bottom) for top, bottom in (learned, control)]
    assert compare(*scaled).lift_ci95 == pytest.approx(plain.lift_ci95)


def test_users_who_saw_nothing_change_nothing():
    random = np.random.default_rng(8)
    clicks, slates = users(random, 100, 0.2)
    padded = ratio(np.append(clicks, np.zeros(900)), np.append(slates, np.zeros(900)))
    assert padded == ratio(clicks, slates)


def test_a_refund_of_a_user_without_a_session_counts():
    money, sessions = np.append(np.ones(40), -5.0), np.append(np.ones(40), 0.0)
    found = ratio(money, sessions)
    assert (found.value, found.users) == (35 / 40, 41)


# The edges -------------------------------------------------------------------------------------------


def test_a_group_without_denominators_has_no_ratio_and_nothing_raises():
    nobody = ratio(np.zeros(0), np.zeros(0))
    assert nobody == Ratio(None, None, 0)
    some = ratio(np.ones(50), np.ones(50))
    assert compare(nobody, nobody) == Comparison()
    assert compare(some, nobody) == Comparison(learned=1.0, learned_ci95=(1.0, 1.0), learned_users=50)
    assert compare(nobody, some).random == 1.0


@pytest.mark.parametrize(("count", "successes"), [(MIN_USERS - 1, 20), (500, MIN_SUCCESSES - 1), (500, 0)])
def test_too_few_users_or_successes_have_a_value_and_no_interval(count, successes):
    few = ratio((np.arange(count) < successes).astype(float), np.ones(count))
    enough = ratio((np.arange(100) < 20).astype(float), np.ones(100))
    assert few.value == successes / count
    assert few.ci95 is None
    for found in (compare(few, enough), compare(enough, few)):
        assert found.lift_ci95 is None
    assert compare(few, enough).lift == pytest.approx(few.value / 0.2 - 1)
    assert (compare(enough, few).lift is None) == (successes == 0)


def test_just_enough_is_enough():
    enough = ratio((np.arange(MIN_USERS) < MIN_SUCCESSES).astype(float), np.ones(MIN_USERS))
    assert compare(enough, enough).lift_ci95 is not None


@pytest.mark.parametrize("who", ["learned", "random"])
def test_a_group_that_gave_back_more_than_it_paid_has_no_lift_interval(who):
    paid = ratio(np.tile([1.0, 3.0], 30), np.ones(60))
    gave_back = ratio(np.tile([1.0, -3.0], 30), np.ones(60))
    found = compare(gave_back, paid) if who == "learned" else compare(paid, gave_back)
    assert found.lift_ci95 is None
    assert gave_back.ci95 is not None
    assert (found.lift is None) == (who == "random")


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (10, 2.228), (30, 2.042), (1e9, Z95)],
)
def test_the_quantile_of_student_is_that_of_the_tables(freedom, quantile):
    assert student95(freedom) == pytest.approx(quantile, rel=0.01 if freedom > 2 else 0.035)


def test_a_few_big_spenders_widen_the_interval():
    """The variance is the same; how well it is known is not."""
    sessions = np.ones(200)
    even = ratio(np.tile([5.0, 15.0], 100), sessions)
    uneven = ratio(
        np.concatenate([np.full(199, 10 - 5 / math.sqrt(199)), [10 + 5 * math.sqrt(199)]]), sessions
    )
    assert uneven.variance == pytest.approx(even.variance)
    assert even.freedom == 199
    assert uneven.freedom == pytest.approx(2.0, abs=0.1)
    assert uneven.ci95[1] - uneven.ci95[0] > 2 * (even.ci95[1] - even.ci95[0])


def test_intervals_of_heavy_tailed_money_hold_the_truth_almost_as_often():
    """Few buyers, and what they spend is lognormal: in 1,000 experiments without a difference."""
    random = np.random.default_rng(6)
    held = told = 0
    for _ in range(EXPERIMENTS):
        groups = []
        for _ in range(2):
            buys = random.binomial(2, 0.1, 200)
            groups.append(ratio(buys * random.lognormal(3.0, 1.0, 200), np.full(200, 2.0)))
        interval = compare(*groups).lift_ci95
        told += 1
        held += interval[0] <= 0 <= interval[1]
    assert told == EXPERIMENTS
    assert held / told > 0.93


def test_the_quantile_is_that_of_the_normal_distribution():
    assert math.erf(Z95 / math.sqrt(2)) == pytest.approx(0.95, abs=1e-15)
