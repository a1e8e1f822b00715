"""Policies by name, for settings, policy files and commands."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from state.policy.base import Policy
from state.policy.epsilon_greedy import EpsilonGreedy
from state.policy.greedy import Greedy
from state.policy.learned import Learned
from state.policy.linear_ts import LinearTS
from state.policy.river_model import RiverLearner, RiverModel
from state.policy.softmax import Softmax
from state.policy.source_mix import SourceMix
from state.policy.squarecb import SquareCB
from state.policy.uniform import Uniform


class WrongParameter(ValueError):
    """A parameter that a policy does not take.

    Args:
        reason: What is wrong.
        key: Of which one; empty where it is none in particular.
    """

    def __init__(self, reason: str, *, key: str = "") -> None:
        super().__init__(f"{key}: {reason}" if key else reason)
        self.key = key
        self.reason = reason


class _Kind(NamedTuple):
    """How a policy is built."""

    build: Callable[..., Policy]
    parameters: Mapping[str, type]


def _maybe_learned(kind: Callable[..., Policy]) -> Callable[..., Policy]:
    """Builds it over the belief's expectation where `learned` says so."""

    def build(*, learned: bool = False, **parameters: Any) -> Policy:
        policy = kind(**parameters)
        return Learned(policy) if learned else policy

    return build


_INNER: Final[Mapping[str, Callable[..., Policy]]] = {
    EpsilonGreedy.name: EpsilonGreedy,
    SquareCB.name: SquareCB,
}


def _river(
    *,
    model: str = "",
    parameters: Mapping[str, object] | None = None,
    explore: str = SquareCB.name,
    **own: float,
) -> Policy:
    if not model:
        reason = "is missing; name one, such as linear_model.LinearRegression"
        raise WrongParameter(reason, key="model")
    inner = _INNER.get(explore)
    if inner is None:
        reason = f"{explore!r} is not one of {', '.join(_INNER)}"
        raise WrongParameter(reason, key="explore")
    strange = [key for key in own if key not in _KINDS[explore].parameters]
    if strange:
        reason = f"{explore} has no such parameter"
        raise WrongParameter(reason, key=strange[0])
    return RiverModel(RiverLearner(model, parameters or {}), inner(**own))


_KINDS: Final[Mapping[str, _Kind]] = {
    EpsilonGreedy.name: _Kind(_maybe_learned(EpsilonGreedy), {"epsilon": float, "learned": bool}),
    Softmax.name: _Kind(_maybe_learned(Softmax), {"temperature": float, "learned": bool}),
    SquareCB.name: _Kind(_maybe_learned(SquareCB), {"gamma": float, "learned": bool}),
    LinearTS.name: _Kind(LinearTS, {"epsilon": float, "members": int}),
    SourceMix.name: _Kind(SourceMix, {"epsilon": float}),
    RiverModel.name: _Kind(
        _river, {"model": str, "parameters": dict, "explore": str, "epsilon": float, "gamma": float}
    ),
    Greedy.name: _Kind(Greedy, {}),
    Uniform.name: _Kind(Uniform, {}),
}
_TOLD: Final = {float: "a number", int: "a whole number", bool: "true or false", str: "text", dict: "a table"}

POLICY_NAMES: Final = tuple(_KINDS)


def build_policy(name: str, parameters: Mapping[str, Any]) -> Policy:
    """Build a policy with these parameters, defaults for the others.

    Raises:
        WrongParameter: There is no such policy (the key is then `policy`) or parameter, or a value is wrong.

    Examples:
        >>> build_policy("softmax", {"temperature": 0.15}).version
        '9c47385b'
    """
    kind = _KINDS.get(name)
    if kind is None:
        reason = f"{name!r} is unknown; known: {', '.join(POLICY_NAMES)}"
        raise WrongParameter(reason, key="policy")
    for key, value in parameters.items():
        wanted = kind.parameters.get(key)
        if wanted is None:
            known = ", ".join(kind.parameters) or "none at all"
            reason = f"{name} has no such parameter; it has {known}"
            raise WrongParameter(reason, key=key)
        if not _fits(value, wanted):
            reason = f"{value!r} is not {_TOLD[wanted]}"
            raise WrongParameter(reason, key=key)
    try:
        return kind.build(**parameters)
    except WrongParameter:
        raise
    except ValueError as error:
        key, _, reason = str(error).partition(": ")
        if key in kind.parameters:
            raise WrongParameter(reason, key=key) from None
        told = str(error)
        named = (key for key in parameters if told.startswith(key))
        raise WrongParameter(told, key=next(named, "")) from None


def make_policy(name: str, *, epsilon: float, temperature: float) -> Policy:
    """Build the policy of this name; `epsilon` is epsilon_greedy's, `temperature` softmax's.

    The others have the defaults of their parameters.

    Raises:
        ValueError: No such policy, or its parameter is out of range.

    Examples:
        >>> make_policy("softmax", epsilon=0.05, temperature=0.15).version
        '9c47385b'
    """
    own = {EpsilonGreedy.name: {"epsilon": epsilon}, Softmax.name: {"temperature": temperature}}
    return build_policy(name, own.get(name, {}))


def _fits(value: object, wanted: type) -> bool:
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
