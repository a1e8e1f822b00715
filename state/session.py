"""The session fold: what one event changes in its user's profile.

Everything is in event time, so a replay of the log gives the same profiles whatever the batches:

- An event whose id is among the profile's latest changes nothing.
- `FORGET` leaves nothing, whatever its id.
- Any activity (every type but a refund) extends the current session or begins the next one.
- A session ends by inactivity: the next one begins with an event more than `gap_ms` after the latest.
  Where both the event and the session carry the shop's own `session_id`, that decides instead: another
  id begins a session, the same id continues it even after a gap.
- A late event (older than the latest) never begins or ends a session. It enters the history at its place
  in time. It belongs to the current session if it has the same `session_id` or, without one to compare, if
  it is not older than the session's start by more than the gap; then the session starts that much
  earlier. Otherwise it belongs to no current session, and says so by session key 0.
"""

from bisect import bisect_left, bisect_right
from hashlib import blake2b
from typing import Final, NamedTuple

from msgspec import Struct

from state.event import ACTIVITY_TYPES, EVENT_TYPES, FORGET, POSITIVE_TYPES, TYPE_CODES, Event
from state.profile import MAX_ITEMS, MAX_SEEN, NEW_PROFILE, PROFILE_VERSION, SEEN_BYTES, Profile
from state.slate import Learned

PURCHASE: Final = TYPE_CODES["purchase"]
SESSION_KEY_MASK: Final = (1 << 53) - 1
_EVENT_HASH: Final = blake2b(digest_size=SEEN_BYTES)
"""Of nothing yet: a copy takes half of what a new one does."""
FAR: Final = 1 << 31
"""Milliseconds (25 days) that an entry of `Profile.times` may lie from `Profile.base` before both are
counted anew: within it, msgpack needs five bytes for it at most."""


class SessionRules(Struct, frozen=True):
    """What ends a session."""

    gap_ms: int = 30 * 60 * 1000
    """Inactivity that ends a session, milliseconds of event time."""

    def __post_init__(self) -> None:
        if self.gap_ms < 1:
            message = f"gap_ms must be at least 1, not {self.gap_ms}"
            raise ValueError(message)


class Folded(NamedTuple):
    """What an event changed."""

    profile: Profile
    learned: tuple[Learned, ...]
    """What the shared models learn: one entry per item of a positive event."""
    duplicate: bool
    """The event was seen before: `profile` is the very same, and there is nothing to learn."""
    new_session: bool
    """The event began a session."""


class _Session(Struct, frozen=True, gc=False):
    """The session fields of a profile, and the key of the session the event belongs to."""

    key: int
    session_id: str | None
    start: int
    last_time: int
    event_key: int


def fold_event(profile: Profile, event: Event, rules: SessionRules) -> Folded:
    """Fold one event into its user's profile."""
    if event.type == FORGET:
        return Folded(NEW_PROFILE, (), duplicate=False, new_session=False)
    digest = event_hash(event.event_id)
    if _remembers(profile.seen, digest):
        return Folded(profile, (), duplicate=True, new_session=False)
    code = TYPE_CODES[event.type]
    session = _session(profile, event, rules)
    learned: tuple[Learned, ...] = ()
    history = profile.base, profile.items, profile.times, profile.types
    if event.items and event.type in POSITIVE_TYPES:
        key, time = session.event_key, event.time
        learned = tuple([Learned(item.item_id, key, time, code) for item in event.items])
        history = _with_items(profile, event, code)
    folded = Profile(
        PROFILE_VERSION,
        session.key,
        session.session_id,
        session.start,
        session.last_time,
        *history,
        _counted(profile.counts, code),
        (profile.seen + digest)[-MAX_SEEN * SEEN_BYTES :],
        profile.open_slates,
        profile.touched,
    )
    return Folded(folded, learned, duplicate=False, new_session=session.key != profile.session_key)


def event_hash(event_id: str) -> bytes:
    """What a profile remembers of an event id: `SEEN_BYTES` bytes, the same in every process."""
    hashed = _EVENT_HASH.copy()
    hashed.update(event_id.encode())
    return hashed.digest()


def session_key(user_key: str, start: int, session_id: str | None) -> int:
    """Key of a session that began with an event at `start`: [1, 2**53), the same in every process."""
    text = f"{user_key}\x1f{start}\x1f{session_id or ''}"
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") & SESSION_KEY_MASK or 1


def session_items(profile: Profile) -> tuple[str, ...]:
    """Items of the current session, oldest first; an item as often as the user turned to it."""
    return profile.items[session_index(profile) :]


def older_items(profile: Profile) -> tuple[str, ...]:
    """Items of earlier sessions, oldest first."""
    return profile.items[: session_index(profile)]


def current_item(profile: Profile) -> str | None:
    """The item the user turned to last in the current session."""
    return profile.items[-1] if session_index(profile) < len(profile.items) else None


def bought_since(profile: Profile, since_ms: int) -> frozenset[str]:
    """Items of the history bought at or after `since_ms`.

    Only as far back as the history goes: `MAX_ITEMS` interactions.
    """
    if PURCHASE not in profile.types:
        return frozenset()
    first = bisect_left(profile.times, since_ms - profile.base)
    bought = zip(profile.items[first:], profile.types[first:], strict=True)
    return frozenset([item for item, code in bought if code == PURCHASE])


def session_index(profile: Profile) -> int:
    """Index of the history's first entry of the current session."""
    return bisect_left(profile.times, profile.session_start - profile.base)


def _remembers(seen: bytes, digest: bytes) -> bool:
    at = seen.find(digest)
    while at > 0 and at % SEEN_BYTES:  # a match across two neighbours is none
        at = seen.find(digest, at + 1)
    return at >= 0


def _counted(counts: tuple[int, ...], code: int) -> tuple[int, ...]:
    counted = list(counts)
    if len(counted) < len(EVENT_TYPES):  # written before a type was added
        counted.extend([0] * (len(EVENT_TYPES) - len(counted)))
    counted[code] += 1
    return tuple(counted)


def _session(profile: Profile, event: Event, rules: SessionRules) -> _Session:
    key, known, start, last = (
        profile.session_key,
        profile.session_id,
        profile.session_start,
        profile.last_time,
    )
    time, given = event.time, event.session_id
    if event.type not in ACTIVITY_TYPES:
        # Before any activity its time stands in for the watermark, so that the profile can expire.
        return _Session(key, known, start, last if key else max(last, time), 0)
    late = time < last
    if key == 0:
        begins = True
        last = time
    elif given is not None and known is not None:
        begins = given != known and not late
        if given != known and late:
            return _Session(key, known, start, last, 0)
    else:
        begins = time - last > rules.gap_ms
        if start - time > rules.gap_ms:
            return _Session(key, known, start, last, 0)
    if begins:
        key = session_key(event.key, time, given)
        return _Session(key, given, time, time, key)
    return _Session(key, known if known is not None else given, min(start, time), max(last, time), key)


def _with_items(
    profile: Profile, event: Event, code: int
) -> tuple[int, tuple[str, ...], tuple[int, ...], bytes]:
    """Base, items, times and types with the event's items at their place in time."""
    old = profile.times
    base = profile.base if old else event.time
    offset = event.time - base
    new = tuple([item.item_id for item in event.items])
    count = len(new)
    if not old or offset >= old[-1]:
        items = (profile.items + new)[-MAX_ITEMS:]
        times = (old + (offset,) * count)[-MAX_ITEMS:]
        types = (profile.types + bytes((code,)) * count)[-MAX_ITEMS:]
    else:
        at = bisect_right(old, offset)
        items = (profile.items[:at] + new + profile.items[at:])[-MAX_ITEMS:]
        times = (old[:at] + (offset,) * count + old[at:])[-MAX_ITEMS:]
        types = (profile.types[:at] + bytes((code,)) * count + profile.types[at:])[-MAX_ITEMS:]
    if not -FAR <= offset < FAR:
        first = times[0]
        base, times = base + first, tuple([each - first for each in times])
    return base, items, times, types
