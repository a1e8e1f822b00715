import pytest

from state.policy.epsilon_greedy import EpsilonGreedy
from state.policy.registry import POLICY_NAMES, make_policy
from state.policy.softmax import Softmax


def test_each_name_builds_the_policy_of_that_name():
    assert set(POLICY_NAMES) == {"epsilon_greedy", "softmax", "random"}
    for name in POLICY_NAMES:
        assert make_policy(name, epsilon=0.1, temperature=0.2).name == name


def test_a_policy_gets_its_own_parameter():
    greedy = make_policy("epsilon_greedy", epsilon=0.3, temperature=0.2)
    softmax = make_policy("softmax", epsilon=0.3, temperature=0.2)
    assert isinstance(greedy, EpsilonGreedy)
    assert isinstance(softmax, Softmax)
    assert (greedy.epsilon, softmax.temperature) == (0.3, 0.2)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(
        ValueError, match=r"unknown policy 'thompson'; known: epsilon_greedy, softmax, random"
    ):
        make_policy("thompson", epsilon=0.1, temperature=0.2)


def test_a_wrong_parameter_of_another_policy_is_no_error():
    assert make_policy("softmax", epsilon=-1.0, temperature=0.2).version == Softmax(temperature=0.2).version
