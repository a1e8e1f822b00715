"""Policies as a command line names them: `softmax:temperature=0.3`, or a policy file."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from state.policy.base import Policy
from state.policy.epsilon_greedy import MIN_EPSILON, EpsilonGreedy
from state.policy.registry import POLICY_NAMES, make_policy
from state.policy.softmax import Softmax

Arms: TypeAlias = tuple[tuple[Policy, float], ...]
"""Policies and their shares of users, which sum to 1."""

EXAMPLES: Final = "softmax:temperature=0.3, epsilon_greedy:epsilon=0.1, greedy, random"
_PARAMETERS: Final[Mapping[str, tuple[str, ...]]] = {
    EpsilonGreedy.name: ("epsilon",),
    Softmax.name: ("temperature",),
}


def parse_policies(text: str) -> Arms:
    """The policies that a text names: one, or those of a policy file (`.toml`).

    Raises:
        ValueError: There is no such file or policy, or a parameter is wrong.

    Examples:
        >>> ((policy, share),) = parse_policies("softmax:temperature=0.15")
        >>> policy.name, policy.version, share
        ('softmax', '9c47385b', 1.0)
    """
    if text.endswith(".toml"):
        return policies_of_file(Path(text))
    name, _, given = text.partition(":")
    parameters: dict[str, Any] = {}
    for pair in filter(None, given.split(",")):
        key, _, value = pair.partition("=")
        parameters[key.strip()] = _number(key.strip(), value.strip())
    return ((build(name.strip(), parameters), 1.0),)


def policies_of_file(path: Path) -> Arms:
    """The arms of a policy file: `[[arm]]` tables with `policy`, `share` and the policy's parameters.

    Raises:
        ValueError: It cannot be read, or says something else.
    """
    try:
        fields = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        message = f"cannot read the policy file {path}: {error}"
        raise ValueError(message) from None
    if "scenario" in fields:
        message = f"{path}: arms of single scenarios cannot be judged; write those of one to a file"
        raise ValueError(message)
    tables = fields.get("arm")
    if not isinstance(tables, list) or not tables:
        message = f"{path}: write at least one [[arm]] with policy and share"
        raise ValueError(message)
    arms = tuple(_arm(path, number, table) for number, table in enumerate(tables, 1))
    if abs(sum(share for _, share in arms) - 1.0) > 1e-9:
        message = f"{path}: the shares sum to {sum(share for _, share in arms):g}; they must sum to 1"
        raise ValueError(message)
    return tuple((policy, share) for policy, share in arms if share > 0)


def build(name: str, parameters: Mapping[str, Any]) -> Policy:
    """Build a policy by name, defaults for the parameters that are not given.

    `greedy` is epsilon-greedy with the least epsilon where no policy of that name is known.

    Raises:
        ValueError: There is no such policy or parameter, or a value is out of range.
    """
    known = _PARAMETERS.get(name, ())
    if strange := [key for key in parameters if key not in known]:
        message = f"{name} has no parameter {strange[0]}; it has {', '.join(known) or 'none'}"
        raise ValueError(message)
    if name == "greedy" and name not in POLICY_NAMES:
        return EpsilonGreedy(epsilon=MIN_EPSILON)
    try:
        return make_policy(name, **{"epsilon": 0.05, "temperature": 0.15, **parameters})
    except ValueError as error:
        message = f"{error}; write for example {EXAMPLES}, or name a policy file (.toml)"
        raise ValueError(message) from None


def _arm(path: Path, number: int, table: Mapping[str, Any]) -> tuple[Policy, float]:
    parameters = {key: value for key, value in table.items() if key not in {"policy", "share"}}
    share = table.get("share")
    if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= 1:
        message = f"{path}, arm {number}: share must be a number from 0 to 1, not {share!r}"
        raise ValueError(message)
    try:
        return build(str(table.get("policy", "")), parameters), float(share)
    except ValueError as error:
        message = f"{path}, arm {number}: {error}"
        raise ValueError(message) from None


def _number(key: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        message = f"{key}={value} is not a number; write for example {EXAMPLES}"
        raise ValueError(message) from None
