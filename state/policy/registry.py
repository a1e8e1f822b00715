"""Policies by name, for settings and commands."""

from collections.abc import Callable, Mapping
from typing import Final

from state.policy.base import Policy
from state.policy.epsilon_greedy import EpsilonGreedy
from state.policy.softmax import Softmax
from state.policy.uniform import Uniform

_BUILDERS: Final[Mapping[str, Callable[[float, float], Policy]]] = {
    EpsilonGreedy.name: lambda epsilon, _: EpsilonGreedy(epsilon=epsilon),
    Softmax.name: lambda _, temperature: Softmax(temperature=temperature),
    Uniform.name: lambda _, __: Uniform(),
}

POLICY_NAMES: Final = tuple(_BUILDERS)


def make_policy(name: str, *, epsilon: float, temperature: float) -> Policy:
    """Build the policy of this name with the parameter that is its own, if it has one.

    Raises:
        ValueError: No such policy, or its parameter is out of range.

    Examples:
        >>> make_policy("softmax", epsilon=0.05, temperature=0.15).version
        '9c47385b'
    """
    builder = _BUILDERS.get(name)
    if builder is None:
        message = f"unknown policy {name!r}; known: {', '.join(POLICY_NAMES)}"
        raise ValueError(message)
    return builder(epsilon, temperature)
