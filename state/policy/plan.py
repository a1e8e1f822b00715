"""Which policies serve which scenario, with what share of users: what a policy file says.

A user's place is the same in every scenario, so whom an arm serves in two scenarios depends on its borders
alone. How users are divided: `state.policy.shares`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from math import fsum, isfinite
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from state.errors import InvalidPlan
from state.policy.base import Policy
from state.policy.registry import WrongParameter
from state.policy.shares import TOLERANCE, Shares

SALT: Final = "policy"
"""Divides users where nothing else is said. A constant rather than the group's or a topic's name: under a new
name they would be drawn anew, and who had slates of two policies tells nothing about either."""

Place: TypeAlias = tuple[str | int, ...]
"""Keys and indices, from the outermost table in; an index counts from 0."""


class Arm(NamedTuple):
    """A policy and its share of users."""

    policy: Policy
    share: float


class Plan:
    """Gives a user a policy in each scenario.

    Args:
        arms: For every scenario that has none of its own; shares as `Shares` wants them.
        by_scenario: Of single scenarios.
        salt: Of the division.

    Raises:
        ValueError: Shares are out of range, or do not sum to 1.
    """

    def __init__(
        self,
        arms: Sequence[tuple[Policy, float]],
        by_scenario: Mapping[str, Sequence[tuple[Policy, float]]] | None = None,
        *,
        salt: str = SALT,
    ) -> None:
        by_scenario = by_scenario or {}
        self.salt: Final = salt
        self.arms: Final = {"": tuple(Arm(*arm) for arm in arms)} | {
            scenario: tuple(Arm(*arm) for arm in its) for scenario, its in by_scenario.items()
        }
        """By scenario; empty for the others."""
        self._shares = {scenario: Shares(its, salt) for scenario, its in self.arms.items()}
        self.policies: Final = tuple(
            dict.fromkeys(policy for shares in self._shares.values() for policy in shares.policies)
        )
        """All policies that serve somebody, each once."""
        said = {
            scenario: [[policy.name, policy.version, share] for policy, share in its]
            for scenario, its in self.arms.items()
        }
        text = msgspec.json.encode([salt, said], order="deterministic")
        self.version: Final = blake2b(text, digest_size=4).hexdigest()
        """8 hex digits: equal plans have the same, on every machine."""

    def policy_of(self, key: str, scenario: str) -> Policy:
        """The policy that serves the user of this state key in this scenario."""
        shares = self._shares
        return (shares.get(scenario) or shares[""]).policy_of(key)


def parse_plan(fields: Mapping[str, Any], build: Callable[[str, Mapping[str, Any]], Policy]) -> Plan:
    """Check a decoded policy file.

    Args:
        fields: `salt`, `arm` (a list of tables with `policy`, `share` and parameters), and lists like it as
            `scenario.NAME.arm`.
        build: Builds a policy by name and parameters, or raises `WrongParameter`.

    Raises:
        InvalidPlan: With every problem and its place.
    """
    reader = _Reader(build)
    salt = fields.get("salt", SALT)
    if not isinstance(salt, str):
        reader.note(("salt",), f"{salt!r} is not text")
    for key in fields:
        if key not in {"salt", "arm", "scenario"}:
            reader.note((key,), "there is no such key; known: salt, arm, scenario")
    arms = reader.arms(fields.get("arm"), ("arm",))
    scenarios = fields.get("scenario", {})
    by_scenario = {}
    if not isinstance(scenarios, dict):
        reader.note(("scenario",), f"{scenarios!r} is not a table; write [[scenario.NAME.arm]] for each arm")
        scenarios = {}
    for name, table in scenarios.items():
        if not isinstance(table, dict) or set(table) - {"arm"}:
            reader.note(("scenario", name), "holds nothing but [[scenario.NAME.arm]]")
        else:
            by_scenario[name] = reader.arms(table.get("arm"), ("scenario", name, "arm"))
    if reader.problems:
        raise InvalidPlan(reader.problems)
    return Plan(arms, by_scenario, salt=salt)


class _Reader:
    """Reads lists of arms, and notes what is wrong with them."""

    def __init__(self, build: Callable[[str, Mapping[str, Any]], Policy]) -> None:
        self.problems: list[tuple[Place, str]] = []
        self._build = build
        self._built: dict[tuple[str, str], Policy] = {}

    def note(self, place: Place, reason: str) -> None:
        """Keep a problem."""
        self.problems.append((place, reason))

    def arms(self, given: object, place: Place) -> list[Arm]:
        """The arms of a list of tables, those that are right."""
        if not isinstance(given, list) or not given or not all(isinstance(each, dict) for each in given):
            self.note(place, f"write at least one [[{'.'.join(map(str, place))}]] with policy and share")
            return []
        problems = len(self.problems)
        arms = [arm for number, table in enumerate(given) for arm in self._arm(table, (*place, number))]
        if len(self.problems) > problems:
            return arms
        total = fsum(arm.share for arm in arms)
        if abs(total - 1.0) > TOLERANCE:
            self.note(place, f"the shares sum to {total:g}; they must sum to 1")
        for number, arm in enumerate(arms):
            first = next(i for i, other in enumerate(arms) if other.policy is arm.policy)
            if first < number:
                self.note((*place, number), f"is arm {first + 1} again, with the same policy and parameters")
        return arms

    def _arm(self, table: Mapping[str, Any], place: Place) -> Iterator[Arm]:
        parameters = {key: value for key, value in table.items() if key not in {"policy", "share"}}
        name, share = table.get("policy"), table.get("share")
        if not isinstance(name, str):
            self.note((*place, "policy"), "is missing" if name is None else f"{name!r} is not text")
            return
        is_number = isinstance(share, int | float) and not isinstance(share, bool)
        if not is_number or not isfinite(share) or not 0.0 <= share <= 1.0:  # type: ignore[arg-type, operator]
            told = "is missing" if share is None else f"{share!r} is not a number in [0, 1]"
            self.note((*place, "share"), told)
            return
        try:
            policy = self._build(name, parameters)
        except WrongParameter as error:
            self.note((*place, error.key) if error.key else place, error.reason)
            return
        yield Arm(self._built.setdefault((policy.name, policy.version), policy), float(share))  # type: ignore[arg-type]
