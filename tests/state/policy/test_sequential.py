import numpy as np
import pytest

from state.contracts.policies import PolicyContract
from state.policy.base import version_of
from state.policy.sequential import choose_by_distribution
from state.policy.softmax import Softmax


class ByDistribution:
    """Softmax, its draw written by nobody."""

    name = "by_distribution"
    version = version_of("by_distribution", 1)

    def choose_all(self, scores, counts, slots, seeds, *, limits=None):
        return choose_by_distribution(self, scores, counts, slots, seeds, limits=limits)

    def distribution(self, scores, taken):
        return Softmax(temperature=0.5).distribution(scores, taken)


class TestByDistribution(PolicyContract):
    draws = 2_000

    @pytest.fixture
    def policy(self):
        return ByDistribution()


class Certain(ByDistribution):
    """Only the first that is left is possible."""

    def distribution(self, scores, taken):
        result = np.zeros(len(scores))
        result[min(set(range(len(scores))) - set(taken))] = 1.0
        return result


def test_what_is_impossible_is_not_drawn():
    drawn = choose_by_distribution(
        Certain(), np.ones((50, 9)), np.full(50, 9, np.int32), 3, np.arange(50, dtype=np.int64)
    )
    assert (drawn.indices == [0, 1, 2]).all()
    assert (drawn.propensities == 1).all()
