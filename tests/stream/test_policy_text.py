"""What a text names; what is wrong with files in general: tests/stream/test_policy_file.py."""

from pathlib import Path

import pytest

from state.errors import SetupError
from state.policy.epsilon_greedy import EpsilonGreedy
from state.policy.greedy import Greedy
from state.policy.learned import Learned
from state.policy.linear_ts import LinearTS
from state.policy.registry import POLICY_NAMES
from state.policy.river_model import RiverModel
from state.policy.softmax import Softmax
from state.policy.source_mix import SourceMix
from state.policy.squarecb import SquareCB
from state.policy.uniform import Uniform
from stream.policy_text import parse_policies


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("softmax:temperature=0.3", Softmax(temperature=0.3)),
        ("softmax", Softmax()),
        ("epsilon_greedy: epsilon = 0.1", EpsilonGreedy(epsilon=0.1)),
        ("epsilon_greedy:epsilon=1", EpsilonGreedy(epsilon=1.0)),
        ("squarecb:gamma=200,learned=true", Learned(SquareCB(gamma=200.0))),
        ("squarecb:learned=false", SquareCB()),
        ("linear_ts:epsilon=0.05,members=16", LinearTS(epsilon=0.05, members=16)),
        ("source_mix", SourceMix()),
        ("greedy", Greedy()),
        ("random", Uniform()),
    ],
)
def test_a_policy_is_named_with_its_parameters(text: str, wanted) -> None:
    plan = parse_policies(text)
    ((policy, share),) = plan.arms[""]
    assert (policy.name, policy.version, share) == (wanted.name, wanted.version, 1.0)


def test_a_model_of_river_is_named_as_text() -> None:
    pytest.importorskip("river")
    (policy,) = parse_policies("river_model:model=linear_model.LinearRegression,gamma=30").policies
    assert isinstance(policy, RiverModel)
    assert policy.inner.version == SquareCB(gamma=30.0).version


@pytest.mark.parametrize("name", [name for name in POLICY_NAMES if name != "river_model"])
def test_every_policy_of_the_registry_needs_no_more_than_its_name(name: str) -> None:
    assert [policy.name for policy in parse_policies(name).policies] == [name]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("softmaks", "'softmaks' is neither one of .* nor a plug-in.*write for example softmax"),
        ("softmax:temperature=warm", "temperature: 'warm' is not a number"),
        ("softmax:epsilon=0.1", "softmax has no such parameter; it has temperature"),
        ("softmax:0.1", "'0.1' has no value; write for example softmax"),
        ("random:epsilon=0.1", "random has no such parameter; it has none at all"),
        ("softmax:temperature=0", "temperature: must be a number from|temperature must be a number from"),
        ("softmax:learned=1", "learned: 1 is not true or false"),
        ("linear_ts:members=2.5", "members: 2.5 is not a whole number"),
        ("river_model", "model: is missing"),
    ],
)
def test_what_is_no_policy_is_refused_with_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_policies(text)


def test_a_policy_file_gives_arms_and_shares_of_every_scenario(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(
        'salt = "autumn"\n[[arm]]\npolicy = "softmax"\nshare = 0.9\ntemperature = 0.3\n'
        '[[arm]]\npolicy = "random"\nshare = 0.1\n'
        '[[scenario.video.arm]]\npolicy = "squarecb"\nshare = 1.0\nlearned = true\n'
    )
    arms = parse_policies(str(path)).arms
    assert [(policy.version, share) for policy, share in arms[""]] == [
        (Softmax(temperature=0.3).version, 0.9),
        (Uniform().version, 0.1),
    ]
    assert [policy.version for policy, _ in arms["video"]] == [Learned(SquareCB()).version]


def test_a_wrong_policy_file_is_refused_with_line_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text('[[arm]]\npolicy = "random"\nshare = 1.5\n')
    with pytest.raises(SetupError, match=r"line 3: arm 1\.share: 1\.5 is not a number in \[0, 1\]"):
        parse_policies(str(path))


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(SetupError, match=r"the policies in nowhere\.toml cannot be followed"):
        parse_policies("nowhere.toml")
