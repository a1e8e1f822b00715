"""What of a user's decisions awaits feedback: the latest slates, and the answered items of those before them.

Most feedback answers one of the latest slates. A purchase may come days later, when its slate has long made
room; but who buys has clicked, so what was answered is all that has to be kept of older slates.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from state.profile import (
    ITEM_HASH_BYTES,
    MAX_BOUGHT,
    MAX_OPEN_SLATES,
    MAX_TOUCHED,
    Bought,
    OpenSlate,
    Profile,
    TouchedSlate,
)
from state.reward import RewardRules

_BYTES: Final = ITEM_HASH_BYTES
"""Of a row of `items`, and of one of `propensities` too."""


class Waiting(Struct, frozen=True, gc=False):
    """What of a user's decisions awaits feedback."""

    open: tuple[OpenSlate, ...] = ()
    """As `Profile.open_slates`."""
    touched: tuple[TouchedSlate, ...] = ()
    """As `Profile.touched`."""


def waiting_in(profile: Profile) -> Waiting:
    """What of this user's decisions awaits feedback."""
    return Waiting(profile.open_slates, profile.touched)


def with_waiting(profile: Profile, waiting: Waiting) -> Profile:
    """The profile with this awaiting feedback."""
    return replace(profile, open_slates=waiting.open, touched=waiting.touched)


def in_time(waiting: Waiting) -> Sequence[OpenSlate]:
    """All slates that wait, oldest first."""
    opened, touched = waiting.open, waiting.touched
    if not touched:
        return opened
    every = (*touched, *opened)
    return sorted(every, key=_time_of) if opened and touched[-1].time > opened[0].time else every


def split(slates: Iterable[OpenSlate]) -> Waiting:
    """What waits, from all of it in the order of time."""
    opened, touched = [], []
    for slate in slates:
        if isinstance(slate, TouchedSlate):
            touched.append(slate)
        else:
            opened.append(slate)
    return Waiting(tuple(opened), tuple(touched))


def forget_purchases(slates: list[OpenSlate]) -> None:
    """Drop the earliest purchases beyond `MAX_BOUGHT`."""
    bought = [(slate.time + each.delay, at, each) for at, slate in enumerate(slates) for each in slate.bought]
    bought.sort(key=_first_of)
    for _, at, forgotten in bought[:-MAX_BOUGHT]:
        kept = tuple([each for each in slates[at].bought if each is not forgotten])
        slates[at] = replace(slates[at], bought=kept)


def with_slate(waiting: Waiting, opened: OpenSlate, rules: RewardRules) -> Waiting:
    """What awaits feedback, in the order of time, with one more slate.

    What no feedback can answer any more at the time of this one is dropped. Of the oldest slates beyond
    `MAX_OPEN_SLATES` the answered items stay.
    """
    before, touched = waiting.open, waiting.touched
    every = (*before, opened)
    if before and before[-1].time > opened.time:
        # Input topics are read side by side, so log time is not quite the order of publishing.
        every = tuple(sorted(every, key=_time_of))
    oldest = opened.time - rules.longest_ms
    first = max(0, len(every) - MAX_OPEN_SLATES)
    while every[first].time < oldest:
        first += 1
    gone = [slate for slate in every[:first] if slate.answered] if first else ()
    if gone or (touched and touched[0].time < oldest):
        touched = _touched([*touched, *gone], opened.time, rules)
    return Waiting(every[first:], touched)


def _touched(slates: Sequence[OpenSlate], now: int, rules: RewardRules) -> tuple[TouchedSlate, ...]:
    """The answered items of these slates that a purchase or a refund can still be about, oldest first."""
    kept = []
    room = MAX_TOUCHED
    for slate in sorted(slates, key=_time_of, reverse=True):
        positions = slate.answered
        if slate.time < now - rules.longest_ms:
            since = now - rules.refund_ms - slate.time
            positions = bytes(sorted({each.position for each in slate.bought if each.delay >= since}))
        positions = positions[:room]
        if positions:
            room -= len(positions)
            kept.append(_condensed(slate, positions))
    return tuple(reversed(kept))


def _condensed(slate: OpenSlate, positions: bytes) -> TouchedSlate:
    """What is left of a slate with these of its answered items."""
    if isinstance(slate, TouchedSlate) and positions == slate.answered:
        return slate
    rows = [slate.row_of(position) for position in positions]
    return TouchedSlate(
        slate.slate_id,
        slate.time,
        slate.scenario,
        slate.policy,
        slate.policy_version,
        b"".join([slate.items[_BYTES * row :][:_BYTES] for row in rows]),
        b"".join([slate.propensities[_BYTES * row :][:_BYTES] for row in rows]),
        b"",
        b"".join([slate.context_at(position) for position in positions]),
        positions,
        tuple([each for each in slate.bought if each.position in positions]),
    )


def _time_of(slate: OpenSlate) -> int:
    return slate.time


def _first_of(row: tuple[int, int, Bought]) -> int:
    return row[0]
