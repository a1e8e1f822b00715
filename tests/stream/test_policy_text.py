from pathlib import Path

import pytest

from state.policy.epsilon_greedy import EpsilonGreedy
from state.policy.softmax import Softmax
from state.policy.uniform import Uniform
from stream.policy_text import parse_policies


@pytest.mark.parametrize(
    ("text", "name", "version"),
    [
        ("softmax:temperature=0.3", "softmax", Softmax(temperature=0.3).version),
        ("softmax", "softmax", Softmax().version),
        ("epsilon_greedy: epsilon = 0.1", "epsilon_greedy", EpsilonGreedy(epsilon=0.1).version),
        ("random", "random", Uniform().version),
    ],
)
def test_a_policy_is_named_with_its_parameters(text: str, name: str, version: str) -> None:
    ((policy, share),) = parse_policies(text)
    assert (policy.name, policy.version, share) == (name, version, 1.0)


def test_greedy_takes_the_best() -> None:
    ((policy, _),) = parse_policies("greedy")
    chances = policy.distribution([3.0, 2.0, 1.0], [0])  # type: ignore[arg-type]
    assert chances.tolist() == pytest.approx([0, 1, 0], abs=1e-6)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("softmaks", "unknown policy 'softmaks'.*write for example softmax"),
        ("softmax:temperature=warm", "temperature=warm is not a number"),
        ("softmax:epsilon=0.1", "softmax has no parameter epsilon; it has temperature"),
        ("random:epsilon=0.1", "random has no parameter epsilon; it has none"),
        ("softmax:temperature=0", "temperature must be a number from"),
        ("nowhere.toml", "cannot read the policy file nowhere.toml"),
    ],
)
def test_what_is_no_policy_is_refused_with_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_policies(text)


def test_a_policy_file_gives_arms_and_shares(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(
        'salt = "autumn"\n[[arm]]\npolicy = "softmax"\nshare = 0.9\ntemperature = 0.3\n'
        '[[arm]]\npolicy = "random"\nshare = 0.1\n[[arm]]\npolicy = "softmax"\nshare = 0\n'
    )
    arms = parse_policies(str(path))
    assert [(policy.version, share) for policy, share in arms] == [
        (Softmax(temperature=0.3).version, 0.9),
        (Uniform().version, 0.1),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("arm = [", "cannot read the policy file"),
        ("", r"write at least one \[\[arm\]\]"),
        ('[[arm]]\npolicy = "random"\nshare = 0.9', "the shares sum to 0.9"),
        ('[[arm]]\npolicy = "random"\nshare = true', "arm 1: share must be a number from 0 to 1, not True"),
        ('[[arm]]\npolicy = "random"', "arm 1: share must be"),
        ('[[arm]]\npolicy = "nobody"\nshare = 1', "arm 1: unknown policy 'nobody'"),
        ('[[scenario.feed.arm]]\npolicy = "random"\nshare = 1', "single scenarios"),
    ],
)
def test_a_wrong_policy_file_is_refused_with_the_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        parse_policies(str(path))
