"""Which decision an event answers: last touch, in event time, within a horizon per event type.

An event that names its slate answers that slate or none. Any other answers the latest slate of its user that
held the item. Each item of an event gives at most one reward, and a slate answers only later events: call
`answer` with what awaited feedback before the event's own slate.

A user's latest slates await feedback with all their items. Of those before them the answered items are
kept: a purchase days later answers the slate that was clicked. A refund answers the purchase that it takes
back. Nothing that was logged is ever changed: a refund is a reward of its own, which names the one that it
corrects.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from state.event import FORGET, Event
from state.exposure import Exposed, Exposing, Positions, see_in, size_of
from state.profile import Bought, OpenSlate, Profile, TouchedSlate, item_hash, order_hash
from state.reward import RewardRules, Worth, value_of
from state.slate import Reward, Slate
from state.slates import Slates
from state.waiting import Waiting, forget_purchases, in_time, split, waiting_in, with_slate, with_waiting

REASONS: Final = (
    "organic",
    "unknown_slate",
    "not_in_slate",
    "expired",
    "before_slate",
    "negative_value",
    "no_value",
    "currency_mismatch",
    "duplicate_order",
    "refund_without_purchase",
)
"""Why feedback on an item earned nothing (docs/events.md)."""


class Answer(Struct, frozen=True, gc=False):
    """What an event proves."""

    waiting: Waiting
    """What awaits feedback after it."""
    rewards: Sequence[Reward] = ()
    """In the order of the event's items; usually none or one."""
    exposed: Sequence[Exposed] = ()
    unattributed: Sequence[str] = ()
    """One of `REASONS` for each item that feedback was given on and that earned nothing."""


class _Hit(NamedTuple):
    """An item of an event, and where it stood."""

    slate: int
    """Index of the slate among those that wait."""
    position: int
    item: int
    """Index among the event's items."""


def answer(waiting: Waiting, event: Event, rules: RewardRules, exposing: Exposing = "acted") -> Answer:
    """Join an event to the decisions that await feedback.

    A duplicate event would prove its rewards again: the caller drops those. After `FORGET` nothing waits.
    """
    kind = event.type
    if kind == "refund":
        return _refunded(waiting, event, rules)
    if kind == "impression":
        return _impressed(waiting, event, rules)
    if kind == FORGET:
        return Answer(Waiting())
    rule = rules.by_type.get(kind)
    slates = in_time(waiting)
    if not slates:
        return Answer(waiting, unattributed=() if rule is None else _nowhere(event))
    horizon_ms = rules.longest_ms if rule is None else rule.horizon_ms
    hits, reasons = _search(slates, event, horizon_ms, rules.skew_ms)
    rewards: Sequence[Reward] = ()
    if rule is None:
        reasons = []
    elif hits:
        waiting, rewards = _earn_all(waiting, hits, event, rules, reasons)
    positions = _positions(slates, hits) if hits else {}
    if exposing == "acted":
        positions = _acted(waiting.open, positions, event, rules)
    if not positions:
        return Answer(waiting, rewards, (), reasons)
    opened, exposed = see_in(waiting.open, positions, "acted")
    return Answer(Waiting(opened, waiting.touched), rewards, exposed, reasons)


def attribute(profile: Profile, event: Event, rules: RewardRules) -> tuple[Reward, ...]:
    """Rewards that an event proves, of the user's own profile before it."""
    return tuple(answer(waiting_in(profile), event, rules).rewards)


def open_slate(profile: Profile, slate: Slate, rules: RewardRules) -> Profile:
    """The profile with this slate awaiting feedback, after the event that asked for it was folded.

    A slate without items awaits nothing.
    """
    opened = Slates.of([slate]).opened(0)
    if opened is None:
        return profile
    return with_waiting(profile, with_slate(waiting_in(profile), opened, rules))


# Feedback ---------------------------------------------------------------------------------------------


def _search(
    slates: Sequence[OpenSlate], event: Event, horizon_ms: int, skew_ms: int
) -> tuple[list[_Hit], list[str]]:
    """Where each item of an event stood, in the order of the items, and why others stood nowhere."""
    hits: list[_Hit] = []
    reasons: list[str] = []
    for index, item_id in _distinct(event):
        found = _last_touch(slates, event, item_hash(item_id), horizon_ms, skew_ms)
        if isinstance(found, str):
            reasons.append(found)
        else:
            hits.append(_Hit(*found, index))
    return hits, reasons


def _nowhere(event: Event) -> list[str]:
    """Reasons of `_search` where nothing waits."""
    reason = "organic" if event.slate_id is None else "unknown_slate"
    return [reason for _ in _distinct(event)]


def _distinct(event: Event) -> Iterable[tuple[int, str]]:
    """Each item of an event once, with the index of its first line."""
    items = event.items
    if len(items) == 1:
        return ((0, items[0].item_id),)
    return [(index, item_id) for item_id, index in _first_lines(event).items()]


def _first_lines(event: Event) -> dict[str, int]:
    """Index of the first line of each item."""
    found: dict[str, int] = {}
    for index, item in enumerate(event.items):
        found.setdefault(item.item_id, index)
    return found


def _last_touch(
    slates: Sequence[OpenSlate], event: Event, digest: bytes, horizon_ms: int, skew_ms: int
) -> tuple[int, int] | str:
    """Index of the latest slate that the event may answer with this item, and its position; else why none."""
    named = event.slate_id
    reason = "organic" if named is None else "unknown_slate"
    for at in range(len(slates) - 1, -1, -1):
        slate = slates[at]
        if named is not None:
            if slate.slate_id != named:
                continue
            if not isinstance(slate, TouchedSlate):
                reason = "not_in_slate"
        position = slate.position_of_hash(digest)
        if position is None:
            continue
        misfit = _misfit(slate, event, horizon_ms, skew_ms)
        if misfit is None:
            return at, position
        reason = misfit
    return reason


def _misfit(slate: OpenSlate, event: Event, horizon_ms: int, skew_ms: int) -> str | None:
    """Why the event cannot answer the slate by time; None where it can."""
    if slate.time > event.time + skew_ms:
        return "before_slate"
    return "expired" if slate.time < event.time - horizon_ms else None


def _earn_all(
    waiting: Waiting, hits: Sequence[_Hit], event: Event, rules: RewardRules, reasons: list[str]
) -> tuple[Waiting, Sequence[Reward]]:
    """The rewards of hits, and what waits after them; hits that earn nothing say why in `reasons`."""
    slates = list(in_time(waiting))
    rewards: list[Reward] = []
    for hit in hits:
        earned = _earn(slates, hit, event, rules)
        if isinstance(earned, str):
            reasons.append(earned)
        else:
            rewards.append(earned)
    return split(slates) if rewards else waiting, rewards


def _earn(slates: list[OpenSlate], hit: _Hit, event: Event, rules: RewardRules) -> Reward | str:
    """The reward of a hit, which the slate then remembers; else why there is none."""
    slate, item_id = slates[hit.slate], event.items[hit.item].item_id
    order = order_hash(event.order_id) if event.type == "purchase" else 0
    if order and _is_bought(slates, item_hash(item_id), order):
        return "duplicate_order"
    worth = rules.worth(event, item_id, rules.by_type[event.type])
    if worth.refused is not None:
        return worth.refused
    reward = _reward(slate, hit, event, worth, rules)
    if hit.position not in slate.answered:
        slate = replace(slate, answered=bytes(sorted((*slate.answered, hit.position))))
    if event.type == "purchase":
        quantity = _quantity(event, item_id)
        told = reward.reward_id.removeprefix(slate.slate_id + ":")
        delay = event.time - slate.time
        bought = Bought(hit.position, delay, order, worth.reward, quantity, quantity, told)
        slate = replace(slate, bought=(*slate.bought, bought))
    slates[hit.slate] = slate
    if event.type == "purchase":
        forget_purchases(slates)
    return reward


def _is_bought(slates: Iterable[OpenSlate], digest: bytes, order: int) -> bool:
    """Whether this order's purchase of the item has earned its reward."""
    return any(
        [
            bought.order == order and bought.position == slate.position_of_hash(digest)
            for slate in slates
            for bought in slate.bought
        ]
    )


def _quantity(event: Event, item_id: str) -> float:
    """Pieces of this item over all lines of the event."""
    return sum([item.quantity for item in event.items if item.item_id == item_id])


def _reward(
    slate: OpenSlate,
    hit: _Hit,
    event: Event,
    worth: Worth,
    rules: RewardRules,
    corrects: str | UnsetType = UNSET,
) -> Reward:
    """The reward of the event's item that stands at this position of the slate."""
    position = hit.position
    return Reward(
        # The item's index has no colon and slate ids have a fixed number of them, so the three parts can be
        # told apart: unique, since a user's event ids are.
        reward_id=f"{slate.slate_id}:{event.event_id}:{hit.item}",
        slate_id=slate.slate_id,
        event_id=event.event_id,
        user_id=event.user_id,
        tenant=event.tenant,
        scenario=slate.scenario,
        item_id=event.items[hit.item].item_id,
        position=position,
        type=event.type,
        time=event.time,
        reward=worth.reward,
        value=worth.value,
        currency=event.currency,
        propensity=slate.propensity_at(position),
        policy=slate.policy,
        policy_version=slate.policy_version,
        delay_seconds=(event.time - slate.time) / 1000.0,
        features=tuple(slate.context_at(position)),
        reward_version=rules.version,
        corrects=corrects,
    )


# Refunds ----------------------------------------------------------------------------------------------


def _refunded(waiting: Waiting, event: Event, rules: RewardRules) -> Answer:
    """Take back what the purchases that a refund names have earned."""
    slates = list(in_time(waiting))
    rewards: list[Reward] = []
    reasons: list[str] = []
    for index, item_id in _distinct(event):
        found = _purchase(slates, event, item_hash(item_id), rules)
        if found is not None:
            rewards.append(_take_back(slates, found, event, index, rules))
        elif "purchase" in rules.by_type:
            reasons.append("refund_without_purchase")
    return Answer(split(slates) if rewards else waiting, rewards, (), reasons)


def _purchase(
    slates: Sequence[OpenSlate], event: Event, digest: bytes, rules: RewardRules
) -> tuple[int, int] | None:
    """Index of the slate, and of the latest of its purchases of an item that the refund may be about."""
    order = order_hash(event.order_id)
    found = [
        (slate.time + bought.delay, at, number)
        for at, slate in enumerate(slates)
        if event.slate_id is None or event.slate_id == slate.slate_id
        for number, bought in enumerate(slate.bought)
        if bought.left > 0
        and bought.position == slate.position_of_hash(digest)
        and (not order or order == bought.order)
        and -rules.skew_ms <= event.time - slate.time - bought.delay <= rules.refund_ms
    ]
    return max(found)[1:] if found else None


def _take_back(
    slates: list[OpenSlate], found: tuple[int, int], event: Event, index: int, rules: RewardRules
) -> Reward:
    """The reward of a refund, as negative as its share of the purchase's."""
    at, number = found
    slate, item_id = slates[at], event.items[index].item_id
    bought = slate.bought[number]
    pieces = min(_quantity(event, item_id), bought.left)
    value = value_of(event, item_id)
    worth = Worth(0.0 - bought.reward * (pieces / bought.quantity), None if value is None else -abs(value))
    rest = replace(bought, left=bought.left - pieces)
    slates[at] = replace(slate, bought=(*slate.bought[:number], rest, *slate.bought[number + 1 :]))
    hit = _Hit(at, bought.position, index)
    return _reward(slate, hit, event, worth, rules, f"{slate.slate_id}:{bought.answer}")


# Exposure ---------------------------------------------------------------------------------------------


def _impressed(waiting: Waiting, event: Event, rules: RewardRules) -> Answer:
    """Mark what an impression shows as seen."""
    opened = waiting.open
    if event.items:
        hits, reasons = _search(opened, event, rules.longest_ms, rules.skew_ms)
        positions = _positions(opened, hits)
    else:
        positions, reasons = _whole(opened, event, rules)
    opened, exposed = see_in(opened, positions, "impression")
    told = reasons if event.slate_id is not None else ()
    return Answer(Waiting(opened, waiting.touched) if exposed else waiting, (), exposed, told)


def _whole(
    slates: Sequence[OpenSlate], event: Event, rules: RewardRules
) -> tuple[dict[str, Positions], list[str]]:
    """All positions of the slate that an event names; otherwise why not."""
    for slate in slates:
        if slate.slate_id == event.slate_id:
            misfit = _misfit(slate, event, rules.longest_ms, rules.skew_ms)
            return ({}, [misfit]) if misfit else ({slate.slate_id: range(1, size_of(slate) + 1)}, [])
    return {}, ["unknown_slate"]


def _positions(slates: Sequence[OpenSlate], hits: Sequence[_Hit]) -> dict[str, Positions]:
    """Positions of hits by slate id."""
    found: dict[str, tuple[int, ...]] = {}
    for hit in hits:
        slate_id = slates[hit.slate].slate_id
        found[slate_id] = (*found.get(slate_id, ()), hit.position)
    return {**found}


def _acted(
    slates: Sequence[OpenSlate], answered: Mapping[str, Positions], event: Event, rules: RewardRules
) -> dict[str, Positions]:
    """Positions that an act proves to be seen: down to the deepest item it answers.

    Of a slate that it does not answer, and that was not known to be seen, all.
    """
    seen: dict[str, Positions] = {}
    for slate in slates:
        its = answered.get(slate.slate_id)
        if its is not None:
            seen[slate.slate_id] = range(1, max(its) + 1)
        elif not slate.seen and _misfit(slate, event, rules.longest_ms, rules.skew_ms) is None:
            seen[slate.slate_id] = range(1, size_of(slate) + 1)
    return seen
