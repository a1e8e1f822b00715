"""What feedback is worth: a reward per event type, flat or by value, clipped, and named by a version.

A setting has it in a readable form, `view=1 click=1 purchase=0.05*value`, which is parsed here.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from math import inf
from types import MappingProxyType
from typing import Final, NamedTuple

from msgspec import Struct

from state.event import Event, EventItem
from state.policy.base import version_of

SECOND_MS: Final = 1000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

REWARDED_TYPES: Final = ("view", "click", "add_to_cart", "remove_from_cart", "purchase", "like", "skip")
"""Types that may earn a reward. A search names no item, an impression is no feedback, and a refund takes
back what its purchase earned."""
MOST_REWARD: Final = 1e6
"""Bound of every number in a reward's definition, either sign."""
MOST_HORIZON_MS: Final = 365 * DAY_MS


class RewardRule(Struct, frozen=True):
    """What feedback of one type is worth, and how long a slate waits for it."""

    reward: float
    """Unitless, whatever the feedback's value; negative takes back."""
    horizon_ms: int
    """Longest time from slate to feedback, above 0."""
    per_value: float = 0.0
    """Reward for each unit of the event's currency, added to `reward`. Other than 0, it needs a value."""


DEFAULT_RULES: Final[Mapping[str, RewardRule]] = MappingProxyType(
    {
        "view": RewardRule(1.0, 30 * MINUTE_MS),
        "click": RewardRule(1.0, 30 * MINUTE_MS),
        "like": RewardRule(2.0, 24 * HOUR_MS),
        "add_to_cart": RewardRule(2.0, 24 * HOUR_MS),
        "purchase": RewardRule(5.0, 7 * DAY_MS),
    }
)
"""A view is worth a click, since many shops send only one of the two; a shop that sends both for one tap
leaves one out. A skip or a removal says no more than the reward that did not come."""
DEFAULT_HORIZONS: Final[Mapping[str, int]] = MappingProxyType(
    {
        **{name: rule.horizon_ms for name, rule in DEFAULT_RULES.items()},
        "skip": 30 * MINUTE_MS,
        "remove_from_cart": 24 * HOUR_MS,
        "refund": 7 * DAY_MS,
    }
)
"""Milliseconds by event type; a refund's from its purchase, any other's from the slate."""


class Worth(NamedTuple):
    """What one item of an event is worth."""

    reward: float = 0.0
    """Within ±`RewardRules.clip`."""
    value: float | None = None
    """Money, in the event's currency; None where none was told."""
    refused: str | None = None
    """Why it earns nothing: one of `state.attribution.REASONS`."""


class RewardRules(Struct, frozen=True, dict=True):
    """Rewards and horizons by event type.

    Raises:
        ValueError: A type that earns no reward, a horizon that is not above 0, negative skew, or a clip that
            is not above 0.
    """

    by_type: Mapping[str, RewardRule] = DEFAULT_RULES
    skew_ms: int = 30_000
    """How far the user's clock may be behind the log's: feedback this much before its slate still counts."""
    refund_ms: int = DEFAULT_HORIZONS["refund"]
    """Longest time from a purchase to its refund."""
    clip: float = 100.0
    """No reward is beyond ± this."""
    currency: str | None = None
    """What values count in: one in another currency earns nothing. One without is taken to be in it. None:
    values count as they are told."""

    def __post_init__(self) -> None:
        """Refuse rules that can match nothing."""
        for name, rule in self.by_type.items():
            if name not in REWARDED_TYPES:
                message = f"{name!r} earns no reward; types that may: {', '.join(REWARDED_TYPES)}"
                raise ValueError(message)
            if rule.horizon_ms <= 0:
                message = f"the horizon of {name!r} must be above 0 ms, got {rule.horizon_ms}"
                raise ValueError(message)
        if self.refund_ms <= 0:
            message = f"refund_ms must be above 0, got {self.refund_ms}"
            raise ValueError(message)
        if self.skew_ms < 0:
            message = f"skew_ms must be at least 0, got {self.skew_ms}"
            raise ValueError(message)
        if not 0 < self.clip < inf:
            message = f"clip must be above 0, got {self.clip}"
            raise ValueError(message)

    @cached_property
    def longest_ms(self) -> int:
        """The longest horizon: after it no feedback can answer a slate."""
        return max((rule.horizon_ms for rule in self.by_type.values()), default=0)

    @cached_property
    def version(self) -> str:
        """8 hex digits, the same on every machine: equal versions reward alike.

        Examples:
            >>> RewardRules().version
            '6ffe99f9'
        """
        numbers = {"skew_ms": self.skew_ms, "refund_ms": self.refund_ms, "clip": self.clip}
        for name, rule in self.by_type.items():
            numbers |= {
                name: rule.reward,
                f"{name}_per_value": rule.per_value,
                f"{name}_ms": rule.horizon_ms,
            }
        return version_of(f"reward in {self.currency or 'any currency'}", 1, **numbers)

    def worth(self, event: Event, item_id: str, rule: RewardRule) -> Worth:
        """What an item of an event that answers a slate earns by its type's rule."""
        value = value_of(event, item_id)
        if value is not None and not value >= 0:
            return Worth(refused="negative_value")
        if not rule.per_value:
            return Worth(self._clipped(rule.reward), value)
        if value is None:
            return Worth(refused="no_value")
        if self.currency is not None and event.currency not in {None, self.currency}:
            return Worth(refused="currency_mismatch")
        return Worth(self._clipped(rule.reward + rule.per_value * value), value)

    def _clipped(self, reward: float) -> float:
        return max(-self.clip, min(self.clip, reward))


def value_of(event: Event, item_id: str) -> float | None:
    """Money of this item over all lines of the event; None where none was told.

    A line's price times quantity, else the event's value where the event is about this item alone.
    """
    lines = [item for item in event.items if item.item_id == item_id]
    value = _total(lines)
    return event.value if value is None and len(lines) == len(event.items) else value


def _total(lines: list[EventItem]) -> float | None:
    """Sum of price times quantity, None where a line has no price."""
    total = 0.0
    for line in lines:
        if line.price is None:
            return None
        total += line.price * line.quantity
    return total


# The readable form ------------------------------------------------------------------------------------

DEFAULT_REWARDS: Final = "view=1 click=1 like=2 add_to_cart=2 purchase=5"
DEFAULT_HORIZONS_TEXT: Final = "view=30m click=30m like=24h add_to_cart=24h purchase=7d refund=7d"
_NUMBER: Final = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?")
_DURATION: Final = re.compile(r"([0-9]{1,9})([smhd])")
_UNITS: Final = {"s": SECOND_MS, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_REWARD_FORM: Final = (
    "TYPE=NUMBER, TYPE=NUMBER*value or TYPE=NUMBER+NUMBER*value, such as purchase=0.05*value"
)
_HORIZON_FORM: Final = "TYPE=NUMBER with one of the units s, m, h, d, such as purchase=7d"


def reward_rules(
    rewards: str, horizons: str = "", *, clip: float = 100.0, currency: str | None = None
) -> RewardRules:
    """Rules from their readable form; types that `rewards` does not name earn nothing.

    Examples:
        >>> reward_rules("click=1 purchase=0.05*value", "purchase=14d").by_type["purchase"]
        RewardRule(reward=0.0, horizon_ms=1209600000, per_value=0.05)

    Raises:
        ValueError: With the place, and what is allowed there.
    """
    waits = {**DEFAULT_HORIZONS, **parse_horizons(horizons)}
    worth = parse_rewards(rewards)
    rules = {name: RewardRule(flat, waits[name], per_value) for name, (flat, per_value) in worth.items()}
    return RewardRules(rules, refund_ms=waits["refund"], clip=clip, currency=currency)


def parse_rewards(text: str) -> dict[str, tuple[float, float]]:
    """Flat reward and reward per unit of value, by event type.

    Raises:
        ValueError: With the place, and what is allowed there.
    """
    return {
        name: _amount(amount, place) for name, amount, place in _parts(text, REWARDED_TYPES, _REWARD_FORM)
    }


def parse_horizons(text: str) -> dict[str, int]:
    """Milliseconds by event type.

    Raises:
        ValueError: With the place, and what is allowed there.
    """
    types = (*REWARDED_TYPES, "refund")
    return {name: _duration(amount, place) for name, amount, place in _parts(text, types, _HORIZON_FORM)}


def _parts(text: str, types: tuple[str, ...], form: str) -> Iterator[tuple[str, str, str]]:
    """Type, what stands behind its `=`, and where that is, of each part."""
    known = set()
    for number, part in enumerate(text.replace(",", " ").split(), 1):
        place = f"part {number}, {part!r}"
        name, equals, amount = part.partition("=")
        if not equals or not amount:
            message = f"{place}: must be {form}"
            raise ValueError(message)
        if name not in types:
            why = "; a refund takes back what its purchase earned" if name == "refund" else ""
            message = f"{place}: {name!r} is not one of {', '.join(types)}{why}"
            raise ValueError(message)
        if name in known:
            message = f"{place}: {name!r} is there twice"
            raise ValueError(message)
        known.add(name)
        yield name, amount, place


def _amount(text: str, place: str) -> tuple[float, float]:
    """Flat reward and reward per unit of value."""
    flat, plus, rest = text.partition("+")
    if not plus and text.endswith("*value"):
        flat, rest = "0", text
    elif not plus:
        rest = "0*value"
    per_value = rest.removesuffix("*value")
    if rest == per_value or not _NUMBER.fullmatch(flat) or not _NUMBER.fullmatch(per_value):
        message = f"{place}: must be {_REWARD_FORM}"
        raise ValueError(message)
    numbers = float(flat), float(per_value)
    if max(map(abs, numbers)) > MOST_REWARD:
        message = f"{place}: numbers must be within ±{MOST_REWARD:g}"
        raise ValueError(message)
    return numbers


def _duration(text: str, place: str) -> int:
    """Milliseconds."""
    match = _DURATION.fullmatch(text)
    if match is None:
        message = f"{place}: must be {_HORIZON_FORM}"
        raise ValueError(message)
    wait = int(match[1]) * _UNITS[match[2]]
    if not 0 < wait <= MOST_HORIZON_MS:
        message = f"{place}: must be above 0 and at most 365d"
        raise ValueError(message)
    return wait
