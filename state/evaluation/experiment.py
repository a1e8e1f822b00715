"""What a policy is worth, from the log alone: its users' clicks, purchases and money against random slates'.

A user's policy is a matter of chance (`state.policy.shares`), so users whose slates are drawn at random are
the control group of all others. The fold takes slates and events as they come, each topic nearly in the
order of its log and the two topics in any order between each other.

- CTR: shown slates with a click / shown slates. A slate is shown when an impression names it, and clicked
  when a click names it; either counts once. In a log whose impressions name none, the published slates count.
- Conversion: sessions with a purchase / sessions.
- Revenue per session: money of purchases less refunds / sessions.

Kept per user: the sums, the latest `MAX_SEEN` event ids, `MAX_SLATES` shown, clicked and published slates and
`MAX_SESSIONS` sessions; about 1 KB, at most 2 KB. What comes again after so many others counts again.
"""

from typing import Final, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from state.evaluation.confidence import Comparison, compare, ratio
from state.event import ACTIVITY_TYPES, Event, state_key
from state.policy.uniform import Uniform
from state.profile import MAX_SEEN, SEEN_BYTES
from state.session import SessionRules, event_hash
from state.slate import Slate

GAP_MS: Final = SessionRules().gap_ms
MAX_SLATES: Final = 32
"""Slates of a user that feedback is still joined to."""
MAX_SESSIONS: Final = 4
"""Sessions of a user that a late event can still belong to."""
MAX_CURRENCIES: Final = 8
"""Different currencies that are told."""

LEARNED: Final = 1
RANDOM: Final = 2
MIXED: Final = LEARNED | RANDOM

# Columns of the sums.
SHOWN: Final = 0
SHOWN_CLICKED: Final = 1
PUBLISHED: Final = 2
CLICKED: Final = 3
SESSIONS: Final = 4
CONVERTED: Final = 5
REVENUE: Final = 6
COLUMNS: Final = 7


class ExperimentResult(Struct, frozen=True, kw_only=True):
    """Users of the learned policy against users of random slates."""

    ctr: Comparison
    """Shown slates with a click, per shown slate."""
    conversion: Comparison
    """Sessions with a purchase, per session."""
    revenue_per_session: Comparison
    """In the events' own currency."""
    learned_users: int
    """Users of the learned policies that did something in the window."""
    random_users: int
    """Users of random slates that did something in the window."""
    mixed_users: int
    """Users with slates of both in the window, left out: the shares were changed inside it."""
    unassigned_users: int
    """Users without a slate, left out."""
    ctr_per: Literal["impressions", "slates"]
    """What a shown slate is: one that an impression named, or one that was published."""
    unnamed_clicks: int
    """Clicks that name no slate: no part of the CTR."""
    currencies: tuple[str, ...]
    """Of purchases and refunds, sorted; where there are several, revenue adds up what cannot be added."""
    since: int | None
    """Beginning of the window, epoch milliseconds."""
    until: int | None
    """End of the window, epoch milliseconds, not part of it."""


class _Session:
    """One session of a user."""

    __slots__ = ("converted", "last", "session_id", "start")

    def __init__(self, session_id: str | None, time: int) -> None:
        self.session_id = session_id
        self.start = time
        self.last = time
        self.converted = False

    def holds(self, event: Event, gap_ms: int) -> bool:
        """Whether the event belongs to it: by the shop's id where both have one, else by time."""
        if event.session_id is not None and self.session_id is not None:
            return event.session_id == self.session_id
        return self.start - gap_ms <= event.time <= self.last + gap_ms

    def extend(self, event: Event) -> None:
        """Take the event in."""
        self.session_id = self.session_id or event.session_id
        self.start = min(self.start, event.time)
        self.last = max(self.last, event.time)


class _User:
    """What is remembered of a user beside the sums; ids as hashes of `SEEN_BYTES`, oldest first."""

    __slots__ = ("before", "clicked", "published", "row", "seen", "sessions", "shown")

    def __init__(self, row: int) -> None:
        self.row = row
        """Of the sums."""
        self.before = 0
        """Time of the latest slate before the window."""
        self.seen = b""
        self.shown = b""
        self.clicked = b""
        self.published = b""
        self.sessions: list[_Session] = []


class Experiment:
    """Adds up a log, and compares the two groups whenever it is asked.

    Args:
        since: Beginning of the window, epoch milliseconds. Of what was before, a user's latest slate tells
            the group where the user has none in the window, and nothing else counts.
        until: End of the window; from it on, nothing counts.
        gap_ms: Inactivity that ends a session where events carry no session id.
    """

    def __init__(self, *, since: int | None = None, until: int | None = None, gap_ms: int = GAP_MS) -> None:
        self._since = since
        self._until = until
        self._gap_ms = gap_ms
        self._users: dict[str, _User] = {}
        self._sums = np.zeros((1024, COLUMNS))
        self._arms = np.zeros((1024, 2), np.uint8)
        self._names_impressions = False
        self._unnamed_clicks = 0
        self._currencies: set[str] = set()

    def add_slate(self, slate: Slate) -> None:
        """Count a published slate; whose it is tells the user's group."""
        if self._until is not None and slate.time >= self._until:
            return
        user = self._user(state_key(slate.tenant, slate.user_id))
        arm = RANDOM if slate.policy == Uniform.name else LEARNED
        if self._since is not None and slate.time < self._since:
            if slate.time >= user.before:
                user.before = slate.time
                self._arms[user.row, 0] = arm
            return
        self._arms[user.row, 1] |= arm
        digest = event_hash(slate.slate_id)
        if slate.items and not _holds(user.published, digest):
            user.published = _with(user.published, digest, MAX_SLATES)
            self._sums[user.row, PUBLISHED] += 1

    def add_event(self, event: Event) -> None:
        """Count an event; the same one again changes nothing."""
        if event.type == "impression" and event.slate_id is not None:
            self._names_impressions = True
        if (self._since is not None and event.time < self._since) or (
            self._until is not None and event.time >= self._until
        ):
            return
        user = self._user(event.key)
        digest = event_hash(event.event_id)
        if _holds(user.seen, digest):
            return
        user.seen = _with(user.seen, digest, MAX_SEEN)
        if event.type in ACTIVITY_TYPES:
            self._add_activity(user, event)
        if event.type == "impression" and event.slate_id is not None:
            self._add_impression(user, event.slate_id)
        elif event.type == "click":
            self._add_click(user, event.slate_id)
        elif event.type in {"purchase", "refund"}:
            self._add_money(user, event)

    def compare(self) -> ExperimentResult:
        """Compare the two groups as of now; every 95 % interval is for one look."""
        count = len(self._users)
        sums = self._sums[:count]
        before, inside = self._arms[:count].T
        arms = np.where(inside, inside, before)
        active = sums.any(axis=1)
        groups = [sums[arms == arm] for arm in (LEARNED, RANDOM)]
        users = np.bincount(arms[active], minlength=MIXED + 1).tolist()
        clicks, slates = (SHOWN_CLICKED, SHOWN) if self._names_impressions else (CLICKED, PUBLISHED)
        return ExperimentResult(
            ctr=_compared(groups, clicks, slates),
            conversion=_compared(groups, CONVERTED, SESSIONS),
            revenue_per_session=_compared(groups, REVENUE, SESSIONS),
            learned_users=users[LEARNED],
            random_users=users[RANDOM],
            mixed_users=users[MIXED],
            unassigned_users=users[0],
            ctr_per="impressions" if self._names_impressions else "slates",
            unnamed_clicks=self._unnamed_clicks,
            currencies=tuple(sorted(self._currencies)),
            since=self._since,
            until=self._until,
        )

    def _user(self, key: str) -> _User:
        user = self._users.get(key)
        if user is None:
            row = len(self._users)
            if row == len(self._sums):
                self._sums = np.concatenate([self._sums, np.zeros_like(self._sums)])
                self._arms = np.concatenate([self._arms, np.zeros_like(self._arms)])
            user = self._users[key] = _User(row)
        return user

    def _add_activity(self, user: _User, event: Event) -> None:
        """Put the event into its session, or begin one."""
        for session in reversed(user.sessions):
            if session.holds(event, self._gap_ms):
                session.extend(event)
                break
        else:
            session = _Session(event.session_id, event.time)
            user.sessions = [*user.sessions, session][-MAX_SESSIONS:]
            self._sums[user.row, SESSIONS] += 1
        if event.type == "purchase" and not session.converted:
            session.converted = True
            self._sums[user.row, CONVERTED] += 1

    def _add_impression(self, user: _User, slate_id: str) -> None:
        digest = event_hash(slate_id)
        if _holds(user.shown, digest):
            return
        user.shown = _with(user.shown, digest, MAX_SLATES)
        self._sums[user.row, SHOWN] += 1
        if _holds(user.clicked, digest):  # the click came before its impression
            self._sums[user.row, SHOWN_CLICKED] += 1

    def _add_click(self, user: _User, slate_id: str | None) -> None:
        if slate_id is None:
            self._unnamed_clicks += 1
            return
        digest = event_hash(slate_id)
        if _holds(user.clicked, digest):
            return
        user.clicked = _with(user.clicked, digest, MAX_SLATES)
        self._sums[user.row, CLICKED] += 1
        if _holds(user.shown, digest):
            self._sums[user.row, SHOWN_CLICKED] += 1

    def _add_money(self, user: _User, event: Event) -> None:
        amount = _money(event)
        if event.currency is not None and len(self._currencies) < MAX_CURRENCIES:
            self._currencies.add(event.currency)
        self._sums[user.row, REVENUE] += -abs(amount) if event.type == "refund" else amount


def _compared(groups: list[NDArray[np.float64]], numerator: int, denominator: int) -> Comparison:
    learned, random = (ratio(sums[:, numerator], sums[:, denominator]) for sums in groups)
    return compare(learned, random)


def _money(event: Event) -> float:
    """Price times quantity of all items where each has a price, else the event's value, else 0."""
    total = 0.0
    for item in event.items:
        if item.price is None:
            return event.value or 0.0
        total += item.price * item.quantity
    return total


def _holds(hashes: bytes, digest: bytes) -> bool:
    at = hashes.find(digest)
    while at > 0 and at % SEEN_BYTES:  # a match across two neighbours is none
        at = hashes.find(digest, at + 1)
    return at >= 0


def _with(hashes: bytes, digest: bytes, most: int) -> bytes:
    return (hashes + digest)[-most * SEEN_BYTES :]
