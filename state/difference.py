"""What one event changed: the state difference of its user, and the difference between two slates."""

from collections import Counter
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from state.event import ACTIVITY_TYPES, EVENT_TYPES, Event, EventItem
from state.profile import Profile
from state.session import SessionRules, fold_event, session_items
from state.slate import Slate, SlateItem

SessionChange = Literal["begun", "continued", "untouched"]


class StateChange(Struct, frozen=True, kw_only=True):
    """A profile before an event and after it and the slate that answered it."""

    session: SessionChange
    """`untouched`: the event came too late for the current session, or is none of the shopper's doing."""
    session_id: str | None
    """The shop's own id of the current session."""
    session_items: int
    """Interactions of the current session afterwards."""
    session_ms: int
    """From its first event to its latest, milliseconds."""
    entered: tuple[str, ...]
    """Items that entered the history."""
    left: tuple[str, ...]
    """Items that fell out of it, which is bounded."""
    counts: Mapping[str, int]
    """Events so far of the types whose number changed."""
    opened: tuple[str, ...]
    """Slates that await feedback since."""
    closed: tuple[str, ...]
    """Slates that do not any more."""
    open_slates: tuple[str, ...]
    """All that do, oldest first."""


class Place(Struct, frozen=True):
    """An item of a slate and where the slate before had it."""

    item: SlateItem
    before: int | None
    """1-based position; None where it was not in there."""


class SlateChange(Struct, frozen=True, kw_only=True):
    """A slate beside the one before it."""

    places: tuple[Place, ...]
    """In slate order."""
    left: tuple[str, ...]
    """Items that are not in it any more, in the order they had."""
    is_first: bool
    """There was no slate before."""

    def count(self) -> dict[str, int]:
        """How many entered, moved up, moved down, stayed and left."""
        moves = Counter(map(move, self.places))
        return {name: moves[name] for name in ("entered", "up", "down", "stayed")} | {"left": len(self.left)}


def state_change(before: Profile, after: Profile, event: Event, rules: SessionRules) -> StateChange:
    """The difference that `event` made, which was no duplicate.

    Args:
        before: The profile that the event met.
        after: The profile with the event, and its slate if it was given one.
        event: The event.
        rules: As it was folded by.
    """
    old, new = _interactions(before), _interactions(after)
    waited = [slate.slate_id for slate in before.open_slates]
    waiting = [slate.slate_id for slate in after.open_slates]
    return StateChange(
        session=_session_change(before, after, event, rules),
        session_id=after.session_id,
        session_items=len(session_items(after)),
        session_ms=max(0, after.last_time - after.session_start) if after.session_key else 0,
        entered=_items(new - old),
        left=_items(old - new),
        counts=_changed_counts(before, after),
        opened=tuple([slate_id for slate_id in waiting if slate_id not in waited]),
        closed=tuple([slate_id for slate_id in waited if slate_id not in waiting]),
        open_slates=tuple(waiting),
    )


def slate_change(before: Slate | None, after: Slate) -> SlateChange:
    """What `after` has that `before` had not, and where."""
    had = {item.item_id: item.position for item in before.items} if before else {}
    has = {item.item_id for item in after.items}
    return SlateChange(
        places=tuple([Place(item, had.get(item.item_id)) for item in after.items]),
        left=tuple([item_id for item_id in had if item_id not in has]),
        is_first=before is None,
    )


def move(place: Place) -> str:
    """What became of an item: `entered`, `up`, `down` or `stayed`."""
    if place.before is None:
        return "entered"
    if place.before == place.item.position:
        return "stayed"
    return "up" if place.item.position < place.before else "down"


def _session_change(before: Profile, after: Profile, event: Event, rules: SessionRules) -> SessionChange:
    if event.type not in ACTIVITY_TYPES:
        return "untouched"
    if after.session_key != before.session_key:
        return "begun"
    # The fold tells an interaction's session and no other event's, but treats all activity alike.
    probe = replace(event, type="view", items=(EventItem("probe"),))
    (lesson,) = fold_event(before, probe, rules).learned
    return "continued" if lesson.session_key else "untouched"


def _interactions(profile: Profile) -> Counter[tuple[str, int, int]]:
    times = [profile.base + time for time in profile.times]
    return Counter(zip(profile.items, times, profile.types, strict=True))


def _items(interactions: Counter[tuple[str, int, int]]) -> tuple[str, ...]:
    return tuple([item_id for item_id, _, _ in interactions.elements()])


def _changed_counts(before: Profile, after: Profile) -> dict[str, int]:
    old = before.counts + (0,) * (len(after.counts) - len(before.counts))
    return {name: now for name, was, now in zip(EVENT_TYPES, old, after.counts, strict=False) if was != now}
