"""What published slates turn out to be worth, by policy and scenario, and whether that changes.

A slate waits in event time until its feedback has come or the wait is over; only then does it count, so that
no fresh slate is read as a failure. Drift is told by ADWIN over two signals of matured slates, reward and
calibration. Everything is bounded: statistics are of the latest `RECENT` slates, waiting slates of a share of
users that is halved when they become too many.

Source: Bifet, Gavaldà (2007), Learning from time-changing data with adaptive windowing, SDM.
"""

import heapq
from bisect import bisect_left
from collections import Counter, OrderedDict
from hashlib import blake2b
from math import log
from typing import Any, Final, NamedTuple

from msgspec import UNSET, Struct, UnsetType
from river import drift, stats, utils

from state.slate import Exposures, Reward

RECENT: Final = 5_000
"""Slates that a mean looks back on, per policy and scenario."""
BINS: Final = 10
"""Of expected reward, equally wide over [0, 1]; what is beyond belongs to the last."""
MOST_SERIES: Final = 64
"""Pairs of policy and scenario; further ones are counted under `OTHER`."""
MOST_CURRENCIES: Final = 8
OTHER: Final = "other"
SIGNALS: Final = ("reward", "calibration")
"""What is watched for drift."""
DIRECTIONS: Final = ("up", "down")
"""Of a drift."""
MOST_WEIGHT: Final = 1e9
"""Of an item in a bin, before all are scaled down."""
MIN_SLATES: Final = 300
"""Matured slates of a series before its drift is told."""
SMALL_PROPENSITY: Final = 0.01
"""Below this an item's weight in an off-policy estimate is above 100."""
COVERAGE_BITS: Final = 1 << 17
"""Of the bitmap that counts different items: within 1 % up to 100,000 of them."""
PLACES: Final = 1 << 32
"""Different hashes of an id."""
CLICKS: Final = frozenset({"click", "view"})


class ShownItem(Struct, frozen=True, gc=False):
    """What the monitor reads of a published item."""

    item_id: str
    score: float
    propensity: float
    expected: float | UnsetType = UNSET
    """Reward that the policy expected of it; absent where it expects nothing."""


class Candidates(Struct, frozen=True, gc=False):
    """What the monitor reads of all candidates."""

    scores: tuple[float, ...]


class ShownSlate(Struct, frozen=True, gc=False):
    """What the monitor reads of a slate."""

    slate_id: str
    user_id: str
    scenario: str
    time: int
    policy: str
    items: tuple[ShownItem, ...]
    pool: Candidates | UnsetType = UNSET


class Alarm(NamedTuple):
    """A signal of a series moved."""

    policy: str
    scenario: str
    signal: str
    before: float
    """Mean of the signal until then."""
    after: float


class _Waiting(Struct, gc=False):
    """A slate whose feedback may still come."""

    slate: ShownSlate
    rewards: dict[int, float] = {}
    """By position."""
    seen: set[int] = set()
    """Positions."""
    clicked: bool = False
    bought: bool = False


class _Early(Struct, gc=False):
    """What came before its slate."""

    time: int
    rewards: list[Reward] = []
    seen: set[int] = set()


class Series:
    """The sums of one policy in one scenario.

    Attributes:
        slates: Published, as far as they are followed.
        matured: Whose wait is over.
        unseen: Of those, the ones that the log says nobody saw.
        rewards: Joined feedback, by type.
        revenue: Value of purchases less refunds, by currency.
        alarms: Drifts told, by signal and direction.
        small: Published items below `SMALL_PROPENSITY`.
        items: Published items.
    """

    def __init__(self, policy: str, scenario: str, *, delta: float) -> None:
        self.policy, self.scenario = policy, scenario
        self.slates = self.matured = self.unseen = self.small = self.items = 0
        self.rewards: Counter[str] = Counter()
        self.revenue: dict[str, float] = {}
        self.alarms = Counter({(signal, way): 0 for signal in SIGNALS for way in DIRECTIONS})
        self._means = {
            name: utils.Rolling(stats.Mean, window_size=RECENT)
            for name in ("reward", "ctr", "conversion", "exploration")
        }
        self._low = stats.Quantile(0.01)
        self._bins = [[0.0, 0.0, 0.0] for _ in range(BINS)]
        """Items, sum expected, sum of rewards, later ones with a higher weight."""
        self._weight = 1.0
        self._watches = {signal: drift.ADWIN(delta=delta) for signal in SIGNALS}  # type: ignore[no-untyped-call]  # of river
        self._bitmap = bytearray(COVERAGE_BITS // 8)
        self._set_bits = 0
        self._day = -1

    def publish(self, slate: ShownSlate) -> None:
        """Count what is known of a slate when it is published."""
        self.slates += 1
        self.items += len(slate.items)
        if (day := slate.time // 86_400_000) > self._day:
            self._day, self._set_bits = day, 0
            self._bitmap = bytearray(COVERAGE_BITS // 8)
        for item in slate.items:
            self._low.update(item.propensity)
            self.small += item.propensity < SMALL_PROPENSITY
            bit = _place_of(item.item_id) % COVERAGE_BITS
            if not self._bitmap[bit >> 3] >> (bit & 7) & 1:
                self._bitmap[bit >> 3] |= 1 << (bit & 7)
                self._set_bits += 1
        if slate.items:
            self._means["exploration"].update(explored_share(slate))

    def mature(self, waiting: _Waiting, *, sees: bool) -> list[Alarm]:
        """Count a slate whose wait is over; `sees` says that the log has exposures at all."""
        self.matured += 1
        if sees and not waiting.seen and not waiting.rewards:
            self.unseen += 1
            return []
        total = sum(waiting.rewards.values())
        self._means["reward"].update(total)
        self._means["ctr"].update(float(waiting.clicked))
        self._means["conversion"].update(float(waiting.bought))
        alarms = self._watch("reward", min(max(total, 0.0), 1.0))
        residuals = self._calibrate(waiting, sees=sees)
        if residuals:
            mean = sum(residuals) / len(residuals)
            alarms += self._watch("calibration", (min(max(mean, -1.0), 1.0) + 1.0) / 2.0)
        return alarms

    def _calibrate(self, waiting: _Waiting, *, sees: bool) -> list[float]:
        """Add the items that were seen to the bins; returns reward less expectation of each."""
        weight = self._weight = self._weight * (1.0 + 1.0 / RECENT)
        if weight > MOST_WEIGHT:
            self._bins = [[value / weight for value in values] for values in self._bins]
            weight = self._weight = 1.0
        residuals = []
        for position, item in enumerate(waiting.slate.items, 1):
            answered = position in waiting.rewards
            if item.expected is UNSET or (sees and position not in waiting.seen and not answered):
                continue
            reward = waiting.rewards.get(position, 0.0)
            values = self._bins[min(max(int(item.expected * BINS), 0), BINS - 1)]
            values[0] += weight
            values[1] += weight * item.expected
            values[2] += weight * reward
            residuals.append(reward - item.expected)
        return residuals

    def _watch(self, signal: str, value: float) -> list[Alarm]:
        watch = self._watches[signal]
        before = float(watch.estimation)
        watch.update(value)  # type: ignore[no-untyped-call]  # of river
        if not watch.drift_detected or self.matured < MIN_SLATES:
            return []
        after = float(watch.estimation)
        self.alarms[signal, "up" if after > before else "down"] += 1
        return [Alarm(self.policy, self.scenario, signal, before, after)]

    def mean(self, name: str) -> float:
        """Of the latest slates: `reward` per slate, `ctr`, `conversion`, `exploration`; NaN before any."""
        mean: Any = self._means[name]  # river's proxy has no types
        return float(mean.get()) if len(mean.window) else float("nan")

    @property
    def low_propensity(self) -> float:
        """First percentile of the propensities of published items; NaN before any."""
        low = self._low.get()
        return float("nan") if low is None else float(low)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error over `BINS` bins, in rewards per item; NaN before any expectation.

        ECE = sum over bins of n_b / n * |mean reward - mean expectation|.

        Source: Naeini, Cooper, Hauskrecht (2015), Obtaining well calibrated probabilities using Bayesian
        binning, AAAI.
        """
        count = sum(items for items, _, _ in self._bins)
        gaps = sum(abs(rewards - expected) for _, expected, rewards in self._bins)
        return gaps / count if count else float("nan")

    @property
    def different_items(self) -> float:
        """Estimate of the different items published since the beginning of the day in UTC.

        Source: Whang, Vander-Zanden, Taylor (1990), A linear-time probabilistic counting algorithm, TODS.
        """
        empty = max(1, COVERAGE_BITS - self._set_bits)
        return -COVERAGE_BITS * log(empty / COVERAGE_BITS)


class Monitor:
    """Joins slates, what was seen of them and the feedback, and keeps the sums of each series.

    Args:
        wait_ms: How long a slate waits for feedback, in event time.
        most_waiting: Slates that wait at once; beyond, the share of users that is followed is halved.
        delta: Of ADWIN, (0, 1): its confidence that an alarm is a drift is 1 - delta.

    Attributes:
        series: By policy and scenario.
        late: Rewards that came after the wait, or without their slate being followed.
        share: Of users that are followed, (0, 1].
    """

    def __init__(self, *, wait_ms: int, most_waiting: int, delta: float = 0.002) -> None:
        self.series: dict[tuple[str, str], Series] = {}
        self.late = 0
        self.share = 1.0
        self._wait_ms, self._most_waiting, self._delta = wait_ms, most_waiting, delta
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()
        self._due: list[tuple[int, str]] = []
        """Times and ids of waiting slates, a heap: partitions are read one after the other."""
        self._early: OrderedDict[str, _Early] = OrderedDict()
        self._sees = False

    @property
    def waiting(self) -> int:
        """Slates whose wait is not over."""
        return len(self._waiting)

    def publish(self, slate: ShownSlate) -> None:
        """Take a published slate; one of a user that is not followed is passed over, as is a repeated one."""
        if not self._follows(slate.user_id) or slate.slate_id in self._waiting:
            return
        self._series(slate.policy, slate.scenario).publish(slate)
        waiting = self._waiting[slate.slate_id] = _Waiting(slate)
        heapq.heappush(self._due, (slate.time, slate.slate_id))
        early = self._early.pop(slate.slate_id, None)
        if early is not None:
            waiting.seen |= early.seen
            for reward in early.rewards:
                self._answer(waiting, reward)
        if len(self._waiting) > self._most_waiting:
            self._follow_fewer()

    def reward(self, reward: Reward) -> None:
        """Take feedback; it may come before its slate, when partitions are read one after the other."""
        if not self._follows(reward.user_id):
            return
        if reward.delay_seconds * 1000 > self._wait_ms:
            self.late += 1
        elif (waiting := self._waiting.get(reward.slate_id)) is not None:
            self._answer(waiting, reward)
        else:
            self._before_its_slate(reward.slate_id, reward.time).rewards.append(reward)

    def expose(self, exposures: Exposures) -> None:
        """Take what users have seen."""
        self._sees = True
        for number, position in zip(exposures.slate, exposures.position, strict=True):
            slate_id = exposures.slates[number]
            waiting = self._waiting.get(slate_id)
            if waiting is not None:
                waiting.seen.add(position)
            elif self.share == 1.0:  # who saw it is not said: it may be one that is not followed
                self._before_its_slate(slate_id, exposures.times[number]).seen.add(position)

    def advance(self, now: int) -> list[Alarm]:
        """Count the slates whose wait is over at `now`, epoch milliseconds; returns what has moved."""
        due = now - self._wait_ms
        alarms: list[Alarm] = []
        while self._due and self._due[0][0] <= due:
            waiting = self._waiting.pop(heapq.heappop(self._due)[1], None)
            if waiting is not None:
                series = self._series(waiting.slate.policy, waiting.slate.scenario)
                alarms += series.mature(waiting, sees=self._sees)
        while self._early and next(iter(self._early.values())).time <= due:
            self.late += len(self._early.popitem(last=False)[1].rewards)
        return alarms

    def _answer(self, waiting: _Waiting, reward: Reward) -> None:
        series = self._series(waiting.slate.policy, waiting.slate.scenario)
        series.rewards[reward.type] += 1
        waiting.rewards[reward.position] = waiting.rewards.get(reward.position, 0.0) + reward.reward
        waiting.clicked |= reward.type in CLICKS
        waiting.bought |= reward.type == "purchase"
        if reward.value is not None and reward.type in {"purchase", "refund"}:
            currency = reward.currency or ""
            if currency not in series.revenue and len(series.revenue) >= MOST_CURRENCIES:
                currency = OTHER
            value = abs(reward.value) if reward.type == "purchase" else -abs(reward.value)
            series.revenue[currency] = series.revenue.get(currency, 0.0) + value

    def _before_its_slate(self, slate_id: str, time: int) -> _Early:
        found = self._early.get(slate_id)
        if found is None:
            found = self._early[slate_id] = _Early(time)
            if len(self._early) > self._most_waiting:
                self.late += len(self._early.popitem(last=False)[1].rewards)
        return found

    def _series(self, policy: str, scenario: str) -> Series:
        found = self.series.get((policy, scenario))
        if found is None:
            if len(self.series) >= MOST_SERIES and policy != OTHER:
                return self._series(OTHER, OTHER)
            found = self.series[policy, scenario] = Series(policy, scenario, delta=self._delta)
        return found

    def _follows(self, user_id: str) -> bool:
        return self.share == 1.0 or _place_of(user_id) < self.share * PLACES

    def _follow_fewer(self) -> None:
        """Halve the share of users, and let go of the others' slates: who stays depends on no reward."""
        self.share /= 2.0
        kept = [pair for pair in self._waiting.items() if self._follows(pair[1].slate.user_id)]
        self._waiting = OrderedDict(kept)
        self._due = [pair for pair in self._due if pair[1] in self._waiting]
        heapq.heapify(self._due)


def explored_share(slate: ShownSlate) -> float:
    """Share of the positions whose item is not the best-scored of those left, [0, 1].

    Left are all candidates that are not above it, where the slate logs them, else the published ones: then it
    is a lower bound.
    """
    scores = [item.score for item in slate.items]
    left = sorted(scores if slate.pool is UNSET else slate.pool.scores)
    explored = 0
    for score in scores:
        explored += bool(left) and score < left[-1]
        at = bisect_left(left, score)
        if at < len(left) and left[at] == score:
            del left[at]
    return explored / len(scores)


def _place_of(name: str) -> int:
    """A hash of an id, below `PLACES`. Not a CRC: those of ids that count up are not spread evenly."""
    return int.from_bytes(blake2b(name.encode(), digest_size=4).digest(), "little")
