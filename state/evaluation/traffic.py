"""Statistics of a stream of events: how its shoppers come, browse, repeat, buy and leave.

They are made to set two streams side by side, a real log and a simulated shop or two shops, so each is
defined the same way for every stream:

- An interaction is an event of `POSITIVE_TYPES`; impressions count for click-through only.
- A session ends by 30 minutes without an interaction, or where two interactions carry different
  `session_id`; the same `session_id` goes on whatever the gap.
- A step is a view or click: what shoppers do in between purchases. Carts and purchases are nearly always
  about an item just seen, so repeats are also given for steps alone.

Kept per user: the open session, the last `MAX_SEEN` items of it and of all earlier ones, `MAX_SLATES`
slates. Kept for the whole stream: a count per user, item, minute and distinct duration.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from state.evaluation.distributions import Concentration, Rhythm, Spread, concentration, rhythm, spread
from state.event import POSITIVE_TYPES, Event

GAP_MS: Final = 30 * 60 * 1000
MAX_SEEN: Final = 1_000
"""Items remembered of one session, and of all earlier sessions of a user; the oldest go first."""
MAX_SLATES: Final = 16
"""Shown slates of a user that a click can still be counted for."""
STEPS: Final = frozenset({"view", "click"})
TICK_MS: Final = 10
"""Durations are counted in ticks, so quantiles of times are exact to 10 ms."""
MINUTE_MS: Final = 60_000
EVERYWHERE: Final = 0
"""Position of an impression that names a slate but no items: one at each position."""


class Sessions(Struct, frozen=True):
    """How shoppers come and go."""

    per_user: Spread
    length: Spread
    """Interactions per session."""
    one_event: float | None
    """Share of sessions with a single interaction."""
    duration: Spread
    """Seconds from first to last interaction, of sessions with at least two."""
    gap: Spread
    """Seconds between consecutive interactions of a session."""
    items: Spread
    """Different items per session."""
    categories: Spread
    """Different categories per session, of sessions with an item of known category."""


class Repeats(Struct, frozen=True):
    """How much of what shoppers turn to they had turned to before."""

    in_session: float | None
    """Share of the items of all interactions that an earlier interaction of the session had."""
    next_seen: float | None
    """Share of steps, after a session's first interaction, to an item already in that session."""
    next_same: float | None
    """Share of those steps that go to the item of the step before."""
    across_sessions: float | None
    """Of the different items of all sessions after a user's first: share known from an earlier session."""
    same_category: float | None
    """Of consecutive steps to different items of known category: share that stays in the category."""


class Funnel(Struct, frozen=True):
    """From looking to paying."""

    carts_per_step: float | None
    """Items put into the cart per view or click."""
    bought_per_step: float | None
    """Items bought per view or click."""
    purchases_per_session: float | None
    conversion: float | None
    """Share of sessions with a purchase."""
    items_per_purchase: float | None
    """Lines, not pieces."""
    value: float | None
    """Mean of a purchase, of those whose prices are known."""
    value_per_session: float | None


class Slates(Struct, frozen=True):
    """What was shown and clicked."""

    shown: int
    """Impressions that name a slate, each slate once."""
    clicked: float | None
    """Share of those slates with at least one click."""
    impressions_at: tuple[int, ...]
    """Impressions at position 1, 2, ..."""
    clicks_at: tuple[int, ...]
    """Clicks at position 1, 2, ..., as many as `impressions_at`."""
    step_share: float | None
    """Share of all steps that name a slate: what the slates bring about."""


class Traffic(Struct, frozen=True, kw_only=True):
    """What a stream looks like. Shares are in [0, 1]; None is what the stream cannot say."""

    events: int
    seconds: float
    """From the earliest to the latest event."""
    types: dict[str, float]
    """Share of each event type, the most frequent first."""
    sessions: Sessions
    repeats: Repeats
    funnel: Funnel
    items: Concentration
    """Interactions by item."""
    categories: Concentration
    users: Concentration
    rhythm: Rhythm
    """Of interactions."""
    slates: Slates


def traffic(events: Iterable[Event], categories: Mapping[str, str] | None = None) -> Traffic:
    """Read a stream once.

    Args:
        events: In time order for each user; between users the order does not matter.
        categories: Category of an item; items that are missing count for nothing about categories.
    """
    fold = _Fold(categories or {})
    for event in events:
        fold.add(event)
    return fold.result()


class _User:
    """One user's open session and memory."""

    __slots__ = (
        "bought", "categories", "interactions", "last", "last_step", "length", "order", "past",
        "seen", "session_id", "sessions", "slates", "start",
    )  # fmt: skip

    def __init__(self) -> None:
        self.sessions = self.interactions = 0
        self.past: dict[str, None] = {}
        """Items of earlier sessions, the latest last."""
        self.slates: dict[str, bool] = {}
        """Whether each was clicked, the latest last."""
        self.order: str | None = None
        self.begin(0, None)

    def begin(self, time: int, session_id: str | None) -> None:
        self.start = self.last = time
        self.session_id = session_id
        self.length = 0
        self.bought = False
        self.last_step: str | None = None
        self.seen: dict[str, None] = {}
        self.categories: set[str] = set()

    def ended_before(self, event: Event) -> bool:
        """Whether the event is of another session than the open one."""
        if event.session_id is not None and self.session_id is not None:
            return event.session_id != self.session_id
        return event.time - self.last > GAP_MS


class _Fold:
    """Everything counted so far."""

    def __init__(self, categories: Mapping[str, str]) -> None:
        self._categories = categories
        self._users: dict[str, _User] = {}
        self._span: list[int] = []
        self.types: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.items: Counter[str] = Counter()
        self.minutes: Counter[int] = Counter()
        self.lengths: Counter[int] = Counter()
        self.durations: Counter[int] = Counter()
        self.gaps: Counter[int] = Counter()
        self.different_items: Counter[int] = Counter()
        self.different_categories: Counter[int] = Counter()
        self.revenue = 0.0
        self.impressions: Counter[int] = Counter()
        self.clicks: Counter[int] = Counter()

    def add(self, event: Event) -> None:
        """Count one event."""
        self.types[event.type] += 1
        if not self._span:
            self._span = [event.time, event.time]
        elif event.time > self._span[1]:
            self._span[1] = event.time
        elif event.time < self._span[0]:
            self._span[0] = event.time
        user = self._users.get(event.key)
        if user is None:
            user = self._users[event.key] = _User()
        if event.type == "impression":
            self._show(user, event)
        elif event.type in POSITIVE_TYPES:
            if event.type == "click":
                self._click(user, event)
            self._interact(user, event)

    def _show(self, user: _User, event: Event) -> None:
        if event.position is not None:
            self.impressions[event.position] += 1
        else:
            self.impressions.update(range(1, len(event.items) + 1) if event.items else (EVERYWHERE,))
        if event.slate_id is not None and event.slate_id not in user.slates:
            self.counts["slates"] += 1
            user.slates[event.slate_id] = False
            if len(user.slates) > MAX_SLATES:
                del user.slates[next(iter(user.slates))]

    def _click(self, user: _User, event: Event) -> None:
        if event.position is not None:
            self.clicks[event.position] += 1
        if event.slate_id is not None and user.slates.get(event.slate_id) is False:
            user.slates[event.slate_id] = True
            self.counts["slates_clicked"] += 1

    def _interact(self, user: _User, event: Event) -> None:
        if user.length and not user.ended_before(event):
            self.gaps[max(0, event.time - user.last) // TICK_MS] += 1
        else:
            self._end(user)
            user.begin(event.time, event.session_id)
        user.last = event.time
        user.session_id = event.session_id or user.session_id
        user.length += 1
        self.minutes[event.time // MINUTE_MS] += 1
        step = event.type in STEPS
        for line in event.items:
            if step:
                self.counts["slate_steps"] += event.slate_id is not None
                self._step(user, line.item_id)
            self._touch(user, line.item_id)
        if event.type == "add_to_cart":
            self.counts["carts"] += len(event.items)
        elif event.type == "purchase":
            self._buy(user, event)

    def _step(self, user: _User, item: str) -> None:
        counts = self.counts
        counts["steps"] += 1
        before, user.last_step = user.last_step, item
        if not user.seen:
            return
        counts["next"] += 1
        counts["next_seen"] += item in user.seen
        if before is None:
            return
        counts["next_same"] += item == before
        if item != before:
            here, there = self._categories.get(item), self._categories.get(before)
            if here is not None and there is not None:
                counts["pairs"] += 1
                counts["same_category"] += here == there

    def _touch(self, user: _User, item: str) -> None:
        self.items[item] += 1
        if item in user.seen:
            self.counts["repeats"] += 1
            return
        if user.sessions:
            self.counts["later_items"] += 1
            self.counts["returns"] += item in user.past
        user.seen[item] = None
        if len(user.seen) > MAX_SEEN:
            del user.seen[next(iter(user.seen))]
        category = self._categories.get(item)
        if category is not None:
            user.categories.add(category)

    def _buy(self, user: _User, event: Event) -> None:
        """A large order may come in several events of one `order_id`."""
        new = event.order_id is None or event.order_id != user.order
        self.counts["purchases"] += new
        user.order = event.order_id
        user.bought = True
        self.counts["bought"] += len(event.items)
        value = _value(event)
        if value is not None:
            self.counts["valued"] += new
            self.revenue += value

    def _end(self, user: _User) -> None:
        """Book the open session, if there is one."""
        if not user.length:
            return
        user.sessions += 1
        user.interactions += user.length
        self.lengths[user.length] += 1
        if user.length > 1:
            self.durations[max(0, user.last - user.start) // TICK_MS] += 1
        self.different_items[len(user.seen)] += 1
        if user.categories:
            self.different_categories[len(user.categories)] += 1
        self.counts["converted"] += user.bought
        for item in user.seen:
            user.past.pop(item, None)
            user.past[item] = None
        while len(user.past) > MAX_SEEN:
            del user.past[next(iter(user.past))]
        user.length = 0

    def result(self) -> Traffic:
        """Book every open session and sum up."""
        for user in self._users.values():
            self._end(user)
        everyone = [user for user in self._users.values() if user.sessions]
        return Traffic(
            events=self.types.total(),
            seconds=(self._span[1] - self._span[0]) / 1000 if self._span else 0.0,
            types={name: n / self.types.total() for name, n in self.types.most_common()},
            sessions=Sessions(
                per_user=spread(Counter(user.sessions for user in everyone)),
                length=spread(self.lengths),
                one_event=_share(self.lengths[1], self.lengths.total()),
                duration=spread(self.durations, TICK_MS / 1000),
                gap=spread(self.gaps, TICK_MS / 1000),
                items=spread(self.different_items),
                categories=spread(self.different_categories),
            ),
            repeats=self._repeats(),
            funnel=self._funnel(),
            items=concentration(self.items.values()),
            categories=concentration(_by_category(self.items, self._categories).values()),
            users=concentration(user.interactions for user in everyone),
            rhythm=rhythm(self.minutes),
            slates=self._slates(),
        )

    def _repeats(self) -> Repeats:
        counts = self.counts
        return Repeats(
            in_session=_share(counts["repeats"], self.items.total()),
            next_seen=_share(counts["next_seen"], counts["next"]),
            next_same=_share(counts["next_same"], counts["next"]),
            across_sessions=_share(counts["returns"], counts["later_items"]),
            same_category=_share(counts["same_category"], counts["pairs"]),
        )

    def _funnel(self) -> Funnel:
        counts, sessions = self.counts, self.lengths.total()
        return Funnel(
            carts_per_step=_share(counts["carts"], counts["steps"]),
            bought_per_step=_share(counts["bought"], counts["steps"]),
            purchases_per_session=_share(counts["purchases"], sessions),
            conversion=_share(counts["converted"], sessions),
            items_per_purchase=_share(counts["bought"], counts["purchases"]),
            value=_share(self.revenue, counts["valued"]),
            value_per_session=_share(self.revenue, sessions if counts["valued"] else 0),
        )

    def _slates(self) -> Slates:
        everywhere = self.impressions[EVERYWHERE]
        last = max([*self.impressions, *(self.clicks if everywhere else ())], default=0)
        return Slates(
            shown=self.counts["slates"],
            clicked=_share(self.counts["slates_clicked"], self.counts["slates"]),
            impressions_at=tuple([self.impressions[n] + everywhere for n in range(1, last + 1)]),
            clicks_at=tuple([self.clicks[n] for n in range(1, last + 1)]),
            step_share=_share(self.counts["slate_steps"], self.counts["steps"]),
        )


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _value(event: Event) -> float | None:
    """What a purchase is worth: the sum of its lines where all have a price, else the event's value."""
    lines = [line.quantity * line.price for line in event.items if line.price is not None]
    return sum(lines) if lines and len(lines) == len(event.items) else event.value


def _by_category(items: Mapping[str, int], categories: Mapping[str, str]) -> Counter[str]:
    result: Counter[str] = Counter()
    for item, n in items.items():
        if item in categories:
            result[categories[item]] += n
    return result
