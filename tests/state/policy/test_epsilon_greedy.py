import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.policy.base import choose
from state.policy.epsilon_greedy import MIN_EPSILON, EpsilonGreedy


@pytest.mark.parametrize("epsilon", [0.0, -0.1, 1.0000001, 1e-7, math.nan, math.inf])
def test_an_epsilon_out_of_range_is_refused(epsilon):
    with pytest.raises(ValueError, match=r"epsilon must be in \[1e-06, 1\].*got"):
        EpsilonGreedy(epsilon=epsilon)


@given(st.integers(1, 80), st.integers(1, 20), st.floats(MIN_EPSILON, 1.0), st.integers(0, 2**53 - 1))
def test_propensities_are_those_of_exact_fractions(n, slots, epsilon, seed):
    choice = choose(EpsilonGreedy(epsilon=epsilon), np.linspace(1.0, 0.0, n), slots, seed)
    left = list(range(n))
    for index, propensity in zip(choice.indices.tolist(), choice.propensities.tolist(), strict=True):
        wanted = Fraction(epsilon) / len(left) + (1 - Fraction(epsilon) if index == left[0] else 0)
        assert math.isclose(propensity, float(wanted), rel_tol=1e-7)
        assert 0.0 < propensity <= 1.0
        left.remove(index)


def test_nearly_no_epsilon_lists_the_ranking():
    choice = choose(EpsilonGreedy(epsilon=MIN_EPSILON), np.linspace(1.0, 0.0, 60), slots=10, seed=3)
    assert choice.indices.tolist() == list(range(10))


def test_full_epsilon_is_uniform():
    distribution = EpsilonGreedy(epsilon=1.0).distribution(np.array([9.0, 1.0, 0.0, 0.0]), taken=[2])
    np.testing.assert_allclose(distribution, [1 / 3, 1 / 3, 0.0, 1 / 3])


def test_of_equal_scores_the_first_is_the_best():
    distribution = EpsilonGreedy(epsilon=0.3).distribution(np.array([1.0, 1.0, 1.0]), taken=[0])
    np.testing.assert_allclose(distribution, [0.0, 0.85, 0.15])


def test_exploration_reaches_every_candidate_and_none_beyond():
    policy, scores = EpsilonGreedy(epsilon=1.0), np.linspace(1.0, 0.0, 33)
    seen = {choose(policy, scores, slots=1, seed=seed).indices[0].item() for seed in range(1000)}
    assert seen == set(range(33))
