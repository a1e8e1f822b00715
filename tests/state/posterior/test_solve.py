import numpy as np
import pytest

from state.policy.context import CONTEXT_SIZE, FULL
from state.posterior.beliefs import prior
from state.posterior.solve import solve, weigh
from state.posterior.sums import TYPES, add_exposures, add_rewards, new_sums
from tests.state.posterior.made import context

HOURS = 4
CLICK, PURCHASE = 2, 5


def hourly(n, theta, seed=1, rewarded=CLICK):
    """Sums of n exposures over some hours whose reward is exactly theta @ x; and the contexts."""
    x = np.array([context((seed, i)) for i in range(n)], np.uint8).reshape(-1, CONTEXT_SIZE)
    sums = type(new_sums(1, 1))(*(array[:HOURS].copy() for array in new_sums(1, 1)))
    rows = np.arange(n) % HOURS
    add_exposures(sums, rows, np.zeros(n), x)
    add_rewards(sums, rows, np.full(n, rewarded), x @ theta / FULL, x)
    return sums, x


def plain(sums):
    return weigh(sums, np.ones(HOURS), np.ones((TYPES, HOURS)))


def test_nothing_leads_to_the_prior() -> None:
    sums, _ = hourly(0, np.zeros(CONTEXT_SIZE))
    for found, expected in zip(solve(plain(sums)), prior(), strict=True):
        assert np.allclose(found, expected, atol=1e-6)


def test_many_exposures_lead_to_the_truth() -> None:
    theta = np.random.default_rng(4).normal(size=CONTEXT_SIZE)
    sums, _ = hourly(20_000, theta)
    belief = solve(plain(sums))
    assert np.allclose(belief.mean, theta, atol=0.02)
    assert belief.count == 20_000


def test_the_formula_is_that_of_ridge_regression() -> None:
    theta = np.full(CONTEXT_SIZE, 0.1)
    sums, contexts = hourly(30, theta)
    x = contexts / FULL
    r = x @ theta
    t, blend = TYPES, 1
    rho = np.full(t, 1 / (x[:, blend].sum() + 10) * 10 / t)
    rho[CLICK] = (r.sum() + 10 / t) / (x[:, blend].sum() + 10)
    inverse = np.linalg.inv(x.T @ x + 10 * np.eye(CONTEXT_SIZE))
    target = r @ x
    target[blend] += 10 * rho.sum()
    belief = solve(plain(sums))
    assert np.allclose(belief.mean, inverse @ target, atol=1e-6)
    s2 = ((r**2).sum() + 10 * 0.1) / (30 + 10)
    assert np.allclose(belief.root @ belief.root.T, s2 * inverse, atol=1e-6)
    assert np.allclose(belief.shown, x.sum(axis=0))
    assert np.allclose(belief.earned, x.T @ x @ belief.mean, rtol=1e-5)


def test_exposures_count_by_the_share_of_their_answers_that_has_arrived() -> None:
    """Half of the rewards, and a share of one half, lead to the same as all of them."""
    theta = np.full(CONTEXT_SIZE, 0.3)
    whole, _ = hourly(20_000, theta)
    half, _ = hourly(20_000, theta / 2)
    shares = np.ones((TYPES, HOURS))
    shares[CLICK] = 0.5
    found, expected = solve(weigh(half, np.ones(HOURS), shares)), solve(plain(whole))
    assert np.allclose(found.mean, expected.mean, atol=0.03)
    assert not np.allclose(solve(plain(half)).mean, expected.mean, atol=0.1)


def test_types_are_added_up() -> None:
    theta = np.random.default_rng(5).normal(size=CONTEXT_SIZE)
    sums, x = hourly(20_000, theta)
    add_rewards(sums, np.arange(20_000) % HOURS, np.full(20_000, PURCHASE), x @ theta / FULL, x)
    assert np.allclose(solve(plain(sums)).mean, 2 * theta, atol=0.04)


def test_hours_count_by_their_weights() -> None:
    theta = np.ones(CONTEXT_SIZE)
    sums, x = hourly(4000, theta)
    weights = np.array([0.0, 1.0, 0.0, 0.0])
    belief = solve(weigh(sums, weights, np.ones((TYPES, HOURS))))
    assert np.allclose(belief.shown, x[1::HOURS].sum(axis=0) / FULL, rtol=1e-5)
    assert belief.count == 1000


def test_more_exposures_make_it_surer_and_slow_answers_less_sure() -> None:
    theta = np.full(CONTEXT_SIZE, 0.1)

    def variance(sums, share=1.0):
        root = solve(weigh(sums, np.ones(HOURS), np.full((TYPES, HOURS), share))).root
        return np.trace(root @ root.T)

    few, many = hourly(200, theta)[0], hourly(2000, theta)[0]
    assert 5 * variance(many) < variance(few)
    assert variance(many, 0.1) > 5 * variance(many)


@pytest.mark.parametrize("worth", [0.0, -2.0])
def test_where_nothing_is_earned_the_prior_promises_next_to_nothing(worth) -> None:
    sums, x = hourly(20_000, np.full(CONTEXT_SIZE, worth))
    assert np.isfinite(solve(plain(sums)).mean).all()
    assert (x / FULL @ solve(plain(sums)).mean).max() < 0.01
