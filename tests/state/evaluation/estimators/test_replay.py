import numpy as np
import pytest

from state.evaluation.estimators.replay import replay


def test_what_is_kept_earns_what_the_policy_would() -> None:
    """Uniform logging over 4 actions, a policy that mostly takes the last."""
    rng = np.random.default_rng(1)
    policy, rates = np.array([0.1, 0.1, 0.1, 0.7]), np.array([0.2, 0.1, 0.4, 0.9])
    action = rng.integers(0, 4, 40_000)
    rewards = (rng.random(40_000) < rates[action]).astype(float)
    terms = replay(rewards, policy[action] * 4, rng, bound=2.8)
    assert terms.value == pytest.approx(float(policy @ rates), abs=0.02)
    assert terms.denominators.sum() == pytest.approx(40_000 / 2.8, rel=0.05)
    kept = action[terms.denominators[:, 0] > 0]
    assert np.bincount(kept) / len(kept) == pytest.approx(policy, abs=0.02)


def test_a_deterministic_policy_keeps_just_the_rows_that_agree() -> None:
    weights = np.array([4.0, 0.0, 4.0, 0.0])
    terms = replay(np.array([1.0, 5.0, 0.0, 5.0]), weights, np.random.default_rng(1), bound=4.0)
    assert terms.denominators[:, 0].tolist() == [1.0, 0.0, 1.0, 0.0]
    assert terms.value == 0.5


def test_a_bound_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="bound"):
        replay(np.ones(2), np.zeros(2), np.random.default_rng(1), bound=0.0)
