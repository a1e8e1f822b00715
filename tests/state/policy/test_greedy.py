import numpy as np

from state.policy.base import choose
from state.policy.greedy import Greedy
from state.policy.limits import Limits


def test_the_ranking_is_the_slate_with_probability_1():
    choice = choose(Greedy(), np.linspace(1.0, 0.0, 60), slots=10, seed=3)
    assert choice.indices.tolist() == list(range(10))
    assert choice.propensities.tolist() == [1.0] * 10


def test_what_is_in_a_full_group_is_passed_over():
    limits = Limits(np.array([[0, 0, 1, 0, -1]], np.int32), np.array([1, 1], np.int32))
    assert choose(Greedy(), np.ones(5), slots=4, seed=1, limits=limits).indices.tolist() == [0, 2, 4]


def test_nothing_else_has_a_probability():
    assert Greedy().distribution(np.ones(3), [0]).tolist() == [0.0, 1.0, 0.0]
