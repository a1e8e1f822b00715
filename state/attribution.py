"""Which slate an event answers: last touch, in event time, within a horizon per event type.

An event that names its slate answers that slate or none. Any other answers the latest open slate of its
user that holds the item. Each item of an event gives at most one reward, and a slate answers only later
events: call `attribute` on the profile as it was before the event, `open_slate` on the profile after it.
"""

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from state.event import TYPE_CODES, Event, EventItem
from state.profile import MAX_OPEN_SLATES, OpenSlate, Profile, item_hash
from state.slate import Reward, Slate
from state.slates import Slates

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS


class RewardRule(Struct, frozen=True):
    """What feedback of one type is worth, and how long a slate waits for it."""

    reward: float
    """Unitless; negative takes back."""
    horizon_ms: int
    """Longest time from slate to feedback, above 0."""


DEFAULT_RULES: Final[Mapping[str, RewardRule]] = MappingProxyType(
    {
        "view": RewardRule(1.0, 30 * MINUTE_MS),
        "click": RewardRule(1.0, 30 * MINUTE_MS),
        "like": RewardRule(2.0, 24 * HOUR_MS),
        "add_to_cart": RewardRule(2.0, 24 * HOUR_MS),
        "purchase": RewardRule(5.0, 7 * DAY_MS),
        "refund": RewardRule(-5.0, 7 * DAY_MS),
    }
)
"""A view is worth a click, since many shops send only one of the two; a shop that sends both for one tap
leaves one out. A refund takes back its purchase. Types that are not here answer no slate: an impression is no
feedback, a search names no item, and a skip or a removal says no more than the reward that did not come."""


class RewardRules(Struct, frozen=True, dict=True):
    """Rewards and horizons by event type.

    Raises:
        ValueError: Unknown event type, a horizon that is not above 0, or negative skew.
    """

    by_type: Mapping[str, RewardRule] = DEFAULT_RULES
    skew_ms: int = 30_000
    """How far the user's clock may be behind the log's: feedback this much before its slate still counts."""

    def __post_init__(self) -> None:
        """Refuse rules that can match nothing."""
        for name, rule in self.by_type.items():
            if name not in TYPE_CODES:
                message = f"no event type {name!r} to reward; types: {', '.join(TYPE_CODES)}"
                raise ValueError(message)
            if rule.horizon_ms <= 0:
                message = f"the horizon of {name!r} must be above 0 ms, got {rule.horizon_ms}"
                raise ValueError(message)
        if self.skew_ms < 0:
            message = f"skew_ms must be at least 0, got {self.skew_ms}"
            raise ValueError(message)

    @cached_property
    def longest_ms(self) -> int:
        """The longest horizon: after it no feedback can answer a slate."""
        return max((rule.horizon_ms for rule in self.by_type.values()), default=0)


def attribute(profile: Profile, event: Event, rules: RewardRules) -> tuple[Reward, ...]:
    """Rewards that this event proves, in the order of its items; usually none or one.

    `profile` is the user's own, before the event is folded. A duplicate event would prove its rewards again:
    the caller drops those.
    """
    return answered(profile.open_slates, event, rules)


def answered(waiting: tuple[OpenSlate, ...], event: Event, rules: RewardRules) -> tuple[Reward, ...]:
    """`attribute` by the user's open slates alone."""
    rule = rules.by_type.get(event.type)
    if rule is None or not waiting:
        return ()
    slates = _eligible(waiting, event, rule, rules.skew_ms)
    if not slates:
        return ()
    rewards = []
    seen = set()
    for index, item in enumerate(event.items):
        if item.item_id in seen:
            continue
        seen.add(item.item_id)
        digest = item_hash(item.item_id)
        for slate in slates:
            position = slate.position_of_hash(digest)
            if position is not None:
                rewards.append(_reward(slate, position, event, index, rule))
                break
    return tuple(rewards)


def open_slate(profile: Profile, slate: Slate, rules: RewardRules) -> Profile:
    """The profile with this slate awaiting feedback, after the event that asked for it was folded.

    A slate without items awaits nothing.
    """
    opened = Slates.of([slate]).opened(0)
    if opened is None:
        return profile
    return replace(profile, open_slates=with_slate(profile.open_slates, opened, rules))


def with_slate(
    waiting: tuple[OpenSlate, ...], opened: OpenSlate, rules: RewardRules
) -> tuple[OpenSlate, ...]:
    """A user's open slates, in the order of time, with one more.

    Slates that no feedback can answer any more at the time of this one are dropped, and the oldest beyond
    `MAX_OPEN_SLATES`.
    """
    oldest = opened.time - rules.longest_ms
    if not waiting or (waiting[0].time >= oldest and waiting[-1].time <= opened.time):
        return (*waiting, opened)[-MAX_OPEN_SLATES:]
    kept = [other for other in waiting if other.time >= oldest]
    kept.append(opened)
    # Input topics are read side by side, so log time is not quite the order of publishing.
    kept.sort(key=_time_of)
    return tuple(kept[-MAX_OPEN_SLATES:])


def _time_of(slate: OpenSlate) -> int:
    return slate.time


def _eligible(slates: tuple[OpenSlate, ...], event: Event, rule: RewardRule, skew_ms: int) -> list[OpenSlate]:
    """Open slates that the event may answer by id and time, latest first."""
    earliest = event.time - rule.horizon_ms
    latest = event.time + skew_ms
    named = event.slate_id
    return [
        slate
        for slate in reversed(slates)
        if earliest <= slate.time <= latest and (named is None or named == slate.slate_id)
    ]


def _reward(slate: OpenSlate, position: int, event: Event, index: int, rule: RewardRule) -> Reward:
    """The reward of the event's item at `index`, which stands at this position of the slate."""
    item_id = event.items[index].item_id
    return Reward(
        # The item's index has no colon and slate ids have a fixed number of them, so the three parts can be
        # told apart: unique, since a user's event ids are.
        reward_id=f"{slate.slate_id}:{event.event_id}:{index}",
        slate_id=slate.slate_id,
        event_id=event.event_id,
        user_id=event.user_id,
        tenant=event.tenant,
        scenario=slate.scenario,
        item_id=item_id,
        position=position,
        type=event.type,
        time=event.time,
        reward=rule.reward,
        value=_value(event, item_id),
        currency=event.currency,
        propensity=slate.propensity_at(position),
        policy=slate.policy,
        policy_version=slate.policy_version,
        delay_seconds=(event.time - slate.time) / 1000.0,
    )


def _value(event: Event, item_id: str) -> float | None:
    """Money of this item over all lines of the event, below 0 for a refund; None where none was told.

    A line's price times quantity, else the event's value where the event is about this item alone.
    """
    lines = [item for item in event.items if item.item_id == item_id]
    value = _total(lines)
    if value is None and len(lines) == len(event.items):
        value = event.value
    if value is not None and event.type == "refund":
        return -abs(value)
    return value


def _total(lines: list[EventItem]) -> float | None:
    """Sum of price times quantity, None where a line has no price."""
    total = 0.0
    for line in lines:
        if line.price is None:
            return None
        total += line.price * line.quantity
    return total
