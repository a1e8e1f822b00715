import math

import numpy as np
import pytest

from state.evaluation.estimators.terms import (
    Terms,
    bernstein_interval,
    bootstrap_interval,
    delta_interval,
    mean_of,
    variance,
)

NOBODY = np.empty((6, 0))


def ratio_terms(numerators: list[float], denominators: list[float]) -> Terms:
    columns = [np.array(values).reshape(-1, 1) for values in (numerators, denominators)]
    return Terms(columns[0], columns[1], columns[1])


def each_alone(rows: int) -> np.ndarray:
    return np.arange(rows, dtype=np.int32)


def test_an_estimate_is_the_sum_of_its_columns_ratios() -> None:
    terms = Terms(np.array([[1.0, 2.0], [3.0, 6.0]]), np.array([[1.0, 4.0], [1.0, 4.0]]), np.empty((2, 0)))
    assert terms.value == 2.0 + 1.0


def test_a_denominator_of_zero_gives_no_number() -> None:
    assert math.isnan(ratio_terms([1.0, 2.0], [0.0, 0.0]).value)


def test_a_difference_is_paired() -> None:
    rng = np.random.default_rng(1)
    noise, users = rng.normal(0, 10, 400), each_alone(400)
    ours, theirs = mean_of(noise + 0.5 + rng.normal(0, 0.1, 400)), mean_of(noise)
    low, high = delta_interval(ours.minus(theirs), users) or (0, 0)
    assert 0.45 < low < 0.5 < high < 0.55
    wide = delta_interval(ours, users)
    assert wide is not None
    assert wide[1] - wide[0] > 1.5


def test_the_variance_of_a_mean_is_the_textbooks() -> None:
    values = np.random.default_rng(2).gamma(2.0, 1.0, 50)
    assert variance(mean_of(values), each_alone(50)) == pytest.approx(values.var(ddof=1) / 50)


def test_the_variance_of_a_self_normalised_mean_is_owens() -> None:
    rng = np.random.default_rng(3)
    rewards, weights = rng.random(80), rng.gamma(1.0, 1.0, 80)
    terms = ratio_terms((weights * rewards).tolist(), weights.tolist())
    mean = (weights * rewards).sum() / weights.sum()
    owen = (weights**2 * (rewards - mean) ** 2).sum() / weights.sum() ** 2
    assert variance(terms, each_alone(80)) == pytest.approx(owen * 80 / 79)


def test_users_with_like_rows_have_the_variance_of_one_row_each() -> None:
    values = np.random.default_rng(4).random(40)
    once = variance(mean_of(values), each_alone(40))
    thrice = variance(mean_of(np.repeat(values, 3)), np.repeat(each_alone(40), 3))
    assert thrice == pytest.approx(once)


def test_numbers_of_users_without_rows_do_not_count() -> None:
    values = np.random.default_rng(5).random(40)
    assert variance(mean_of(values), each_alone(40) * 7) == pytest.approx(
        variance(mean_of(values), each_alone(40))
    )


def test_too_few_users_have_no_interval() -> None:
    terms = mean_of(np.arange(29.0))
    assert delta_interval(terms, each_alone(29)) is None
    assert bootstrap_interval(terms, each_alone(29), np.random.default_rng(1)) is None
    assert delta_interval(mean_of(np.arange(30.0)), each_alone(30)) is not None


def test_a_bootstrap_is_the_same_for_the_same_seed_and_near_the_delta_method() -> None:
    rng = np.random.default_rng(6)
    users = rng.integers(0, 300, 1500).astype(np.int32)
    terms = mean_of(rng.random(1500) + 0.3 * rng.normal(0, 1, 300)[users])
    first, again = (bootstrap_interval(terms, users, np.random.default_rng(7)) for _ in range(2))
    assert first == again
    assert first is not None
    assert first == pytest.approx(delta_interval(terms, users), abs=0.01)


@pytest.mark.parametrize("per_user", [1, 4])
def test_intervals_hold_the_truth_as_often_as_they_say(per_user: int) -> None:
    """Self-normalised means of users that are unlike each other: 400 logs of 200 users."""
    rng = np.random.default_rng(8)
    held = 0
    for _ in range(400):
        users = np.repeat(each_alone(200), per_user)
        chance = np.clip(0.3 + 0.1 * rng.normal(0, 1, 200), 0, 1)[users]
        weights = rng.gamma(1.0, 1.0, len(users))
        rewards = (rng.random(len(users)) < chance).astype(float)
        low, high = delta_interval(ratio_terms((weights * rewards).tolist(), weights.tolist()), users) or (
            0,
            0,
        )
        held += low <= 0.3 <= high
    assert 0.92 <= held / 400 <= 0.98


def test_a_bernstein_interval_is_maurer_and_pontils() -> None:
    values = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    low, high = bernstein_interval(values, each_alone(5), 0.0, 1.0, alpha=0.1)
    log = math.log(40)
    half = math.sqrt(2 * 0.3 * log / 5) + 7 * log / (3 * 4)
    assert (low, high) == pytest.approx((0.6 - half, 0.6 + half))


def test_a_bernstein_interval_takes_a_users_rows_together() -> None:
    values = np.tile([0.0, 1.0], 50)
    apart = bernstein_interval(values, each_alone(100), 0.0, 1.0)
    together = bernstein_interval(values, np.repeat(each_alone(10), 10), 0.0, 1.0)
    assert together[1] - together[0] > apart[1] - apart[0]
    assert bernstein_interval(values, np.zeros(100, np.int32), 0.0, 1.0) == (-math.inf, math.inf)


def test_rows_can_be_taken() -> None:
    terms = ratio_terms([1.0, 2.0, 3.0], [1.0, 1.0, 1.0])
    assert terms.taken(np.array([0, 2], np.int32)).value == 2.0
