import pytest

from state.policy.epsilon_greedy import EpsilonGreedy
from state.policy.learned import Learned
from state.policy.linear_ts import LinearTS
from state.policy.registry import POLICY_NAMES, WrongParameter, build_policy, make_policy
from state.policy.river_model import RiverModel
from state.policy.softmax import Softmax

NEEDED = {"river_model": {"model": "linear_model.LinearRegression"}}


def test_each_name_builds_the_policy_of_that_name():
    for name in POLICY_NAMES:
        assert build_policy(name, NEEDED.get(name, {})).name == name


def test_versions_differ_between_policies_and_between_parameters():
    policies = [build_policy(name, NEEDED.get(name, {})) for name in POLICY_NAMES]
    policies += [
        build_policy("linear_ts", {"members": 8}),
        build_policy("linear_ts", {"epsilon": 0.5}),
        build_policy("squarecb", {"gamma": 10}),
        build_policy("squarecb", {"learned": True}),
        build_policy("squarecb", {"learned": True, "gamma": 10}),
        build_policy("river_model", NEEDED["river_model"] | {"explore": "epsilon_greedy"}),
        build_policy("river_model", NEEDED["river_model"] | {"parameters": {"l2": 0.1}}),
    ]
    assert len({policy.version for policy in policies}) == len(policies)


def test_settings_give_a_policy_its_own_parameter():
    greedy = make_policy("epsilon_greedy", epsilon=0.3, temperature=0.2)
    softmax = make_policy("softmax", epsilon=0.3, temperature=0.2)
    assert isinstance(greedy, EpsilonGreedy)
    assert isinstance(softmax, Softmax)
    assert (greedy.epsilon, softmax.temperature) == (0.3, 0.2)
    assert make_policy("linear_ts", epsilon=0.3, temperature=0.2).version == LinearTS().version


def test_a_wrong_parameter_of_another_policy_is_no_error():
    assert make_policy("softmax", epsilon=-1.0, temperature=0.2).version == Softmax(temperature=0.2).version


def test_a_policy_over_scores_can_go_by_what_was_learned():
    assert isinstance(build_policy("epsilon_greedy", {"learned": True}), Learned)
    assert isinstance(build_policy("epsilon_greedy", {"learned": False}), EpsilonGreedy)


def test_a_model_of_river_has_its_parameters_and_those_of_what_explores():
    given = NEEDED["river_model"] | {"parameters": {"l2": 0.1}, "explore": "epsilon_greedy", "epsilon": 0.2}
    policy = build_policy("river_model", given)
    assert isinstance(policy, RiverModel)
    assert policy.inner.epsilon == 0.2
    assert policy.learner.spec == '["linear_model.LinearRegression",{"l2":0.1}]'


@pytest.mark.parametrize(
    ("name", "parameters", "key", "told"),
    [
        ("thompson", {}, "policy", "'thompson' is unknown; known: epsilon_greedy, softmax"),
        ("softmax", {"epsilon": 0.1}, "epsilon", "no such parameter; it has temperature, learned"),
        ("random", {"epsilon": 0.1}, "epsilon", "no such parameter; it has none at all"),
        ("softmax", {"temperature": "hot"}, "temperature", "'hot' is not a number"),
        ("softmax", {"temperature": True}, "temperature", "True is not a number"),
        ("softmax", {"temperature": 0}, "temperature", "temperature must be a number from 0.0125 up"),
        ("softmax", {"learned": 1}, "learned", "1 is not true or false"),
        ("linear_ts", {"members": 2.5}, "members", "2.5 is not a whole number"),
        ("linear_ts", {"members": 0}, "members", r"members must be a whole number in \[1, 1024\]"),
        ("squarecb", {"gamma": -1}, "gamma", "gamma must be in"),
        ("river_model", {}, "model", "is missing"),
        ("river_model", {"model": "linear_model.None"}, "model", "river has no 'linear_model.None'"),
        ("river_model", {"model": "base.Transformer"}, "parameters", "does not take"),
        ("river_model", {"model": "preprocessing.StandardScaler"}, "model", "neither a regressor nor"),
        ("river_model", NEEDED["river_model"] | {"epsilon": 0.1}, "epsilon", "squarecb has no such"),
        ("river_model", NEEDED["river_model"] | {"parameters": {"x": 1}}, "parameters", "does not take"),
    ],
)
def test_what_is_wrong_names_the_parameter_and_the_reason(name, parameters, key, told):
    with pytest.raises(WrongParameter, match=told) as error:
        build_policy(name, parameters)
    assert error.value.key == key
