"""Policies as a command line names them: `softmax:temperature=0.3`, or a policy file."""

from pathlib import Path
from typing import Final

from state.policy.plan import Plan
from state.policy.registry import WrongParameter
from stream.policy_file import load_plan, policy_named

EXAMPLES: Final = "softmax:temperature=0.3, squarecb:gamma=200,learned=true, linear_ts:epsilon=0.05, greedy"


def parse_policies(text: str) -> Plan:
    """The policies that a text names: one for everybody, or those of a policy file (`.toml`).

    A policy is written as `name` or `name:key=value,key=value`, with numbers, `true`, `false`, or text.

    Raises:
        ValueError: There is no such policy, or a parameter is wrong.
        SetupError: The policy file cannot be followed.

    Examples:
        >>> plan = parse_policies("softmax:temperature=0.15")
        >>> [(policy.name, policy.version, share) for policy, share in plan.arms[""]]
        [('softmax', '9c47385b', 1.0)]
    """
    if text.endswith(".toml"):
        return load_plan(Path(text))
    name, _, given = text.partition(":")
    parameters: dict[str, bool | float | str] = {}
    for pair in filter(None, given.split(",")):
        key, equals, value = pair.partition("=")
        if not equals:
            message = f"{pair.strip()!r} has no value; write for example {EXAMPLES}"
            raise ValueError(message)
        parameters[key.strip()] = _value(value.strip())
    try:
        return Plan([(policy_named(name.strip(), parameters), 1.0)])
    except WrongParameter as error:
        message = f"{error}; write for example {EXAMPLES}, or name a policy file (.toml)"
        raise ValueError(message) from None


def _value(text: str) -> bool | float | str:
    """A boolean, a whole number, a number, or the text itself."""
    if text in {"true", "false"}:
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
