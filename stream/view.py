"""What the demo's screen shows: plain values, filled by the demo's loop and drawn by `stream/screens/`.

Nothing here knows of a terminal. Samples are one per second; a value that is not known yet is None.
"""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final, Literal

from msgspec import Struct

from state.evaluation.confidence import Comparison
from state.event import Event
from state.slate import Slate, SlateItem

SAMPLES: Final = 120
"""Samples that a series keeps: two minutes, more than any screen has columns for."""
STEPS: Final = 12
"""Latest steps of the followed shopper that are kept."""

WorkerState = Literal["starting", "serving", "killed", "restarting"]


class Series:
    """The latest samples of one number, oldest first; None where there was nothing to measure.

    Args:
        length: samples kept.
    """

    def __init__(self, length: int = SAMPLES) -> None:
        self._values: deque[float | None] = deque(maxlen=length)

    def __len__(self) -> int:
        return len(self._values)

    def add(self, value: float | None) -> None:
        """Append the sample of the second that ended."""
        self._values.append(value)

    def last(self, count: int) -> Sequence[float | None]:
        """The latest samples, at most `count` of them, oldest first."""
        return tuple(islice(self._values, max(0, len(self._values) - count), None))

    @property
    def now(self) -> float | None:
        """The latest sample."""
        return self._values[-1] if self._values else None


class WindowedRatio:
    """A share over the latest seconds, as a series: clicks of slates, revenue of sessions.

    Args:
        window: seconds that one sample sums over; a single second holds too few to show a trend.
        length: samples kept.
    """

    def __init__(self, window: int = 10, length: int = SAMPLES) -> None:
        self._parts: deque[tuple[float, float]] = deque(maxlen=window)
        self.series = Series(length)
        """Sum of the parts by sum of the wholes; None where the wholes are 0."""

    def add(self, part: float, whole: float) -> None:
        """Append what happened in the second that ended."""
        self._parts.append((part, whole))
        total = sum(whole for _, whole in self._parts)
        self.series.add(sum(part for part, _ in self._parts) / total if total else None)


class Shares(Struct, frozen=True):
    """How much of the best possible click-through the shown slates reach, [0, 1].

    From the simulation's true click probabilities, so without noise; 1 - share is the relative regret.
    """

    learned: float | None = None
    random: float | None = None


class Effect(Struct, frozen=True, kw_only=True):
    """Whether learning helps: the learned policy against the control group."""

    ctr: Comparison | None = None
    """Clicks by slates shown, [0, 1]."""
    revenue: Comparison | None = None
    """By session, in the shop's currency."""
    conversion: Comparison | None = None
    """Sessions with a purchase, [0, 1]."""
    oracle: Shares | None = None
    ctr_learned: Series | None = None
    ctr_random: Series | None = None
    """CTR over time; see `WindowedRatio`."""


class Flow(Struct, frozen=True, kw_only=True):
    """One kind of record that passes."""

    total: int = 0
    per_second: Series


class Percentiles(Struct, frozen=True, kw_only=True):
    """Event to slate, milliseconds: every second's percentiles, and those of the whole run."""

    p50: Series
    p99: Series
    run_p50: float | None = None
    run_p99: float | None = None


class WorkerRow(Struct, frozen=True, kw_only=True):
    """One worker process."""

    name: str
    state: WorkerState
    pid: int | None = None
    partitions: tuple[int, ...] | None = None
    """Numbers it owns, ascending; None while nobody knows."""
    restarts: int = 0
    events: int | None = None
    """Processed by this process and those it replaced."""


class Step(Struct, frozen=True, kw_only=True):
    """Something the followed shopper did, and the slate that answered."""

    kind: str
    """Event type."""
    item_id: str | None
    place: int | None
    """1-based position of the item in the slate that the shopper acted on; None for any other item."""
    milliseconds: float
    items: tuple[SlateItem, ...]
    fresh: frozenset[str]
    """Items of this slate that the one before had not; empty in the first one."""


class Walk:
    """What one shopper does, step by step, and how their slate changes.

    Args:
        shopper: user id.
    """

    def __init__(self, shopper: str) -> None:
        self.shopper = shopper
        self.steps: deque[Step] = deque(maxlen=STEPS)
        """The latest, newest last."""
        self.slate: Slate | None = None
        """The newest."""
        self.count = 0
        """Steps so far."""
        self.hits = 0
        """Steps about an item that a slate had shown."""

    @property
    def policy(self) -> str | None:
        """The policy that chose the newest slate."""
        return self.slate.policy if self.slate else None

    def add(self, event: Event, slate: Slate, milliseconds: float) -> None:
        """Append an event with the slate that answers it."""
        before = {item.item_id: item.position for item in self.slate.items} if self.slate else None
        item_id = event.items[0].item_id if event.items else None
        place = event.position
        if place is None and before and item_id is not None:
            place = before.get(item_id)
        shown = {item.item_id for item in slate.items}
        step = Step(
            kind=event.type,
            item_id=item_id,
            place=place,
            milliseconds=milliseconds,
            items=slate.items,
            fresh=frozenset(shown.difference(before)) if before is not None else frozenset(),
        )
        self.steps.append(step)
        self.slate = slate
        self.count += 1
        self.hits += place is not None


class Counts(Struct, frozen=True, kw_only=True):
    """Whether every event was answered once, so far."""

    asked: int = 0
    """Events that ask for a slate."""
    answered: int = 0
    lost: int = 0
    """Asked so long ago that nobody waits for them any more."""
    duplicates: int = 0
    dead_letters: int = 0
    kills: int = 0

    @property
    def waiting(self) -> int:
        """Asked, and neither answered nor lost."""
        return max(0, self.asked - self.answered - self.lost)


class DemoView(Struct, frozen=True, kw_only=True):
    """One moment of the demo."""

    elapsed: float
    """Seconds of the live part so far."""
    seconds: float
    """Length of the live part."""
    rate: float
    """Events a second that the shop aims at."""
    events: Flow
    slates: Flow
    latency: Percentiles
    effect: Effect = Effect()
    walk: Walk | None = None
    workers: tuple[WorkerRow, ...] = ()
    counts: Counts = Counts()


class DemoSummary(Struct, frozen=True, kw_only=True):
    """What remains when the demo has ended."""

    events: int
    past_events: int
    """Those of `events` that were sent at full speed before the live part."""
    seconds: float
    """Length of the live part."""
    slates: int
    p50: float | None
    p99: float | None
    """Event to slate over the live part, milliseconds."""
    effect: Effect
    counts: Counts
    workers: int
    audit: str
    """What the audit compared and found, in words."""
