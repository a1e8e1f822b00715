"""Keeps the score of a simulated shop: what was asked and answered, and whether learning helps."""

from collections.abc import Sequence

import numpy as np

from state.evaluation.experiment import Experiment, ExperimentResult
from state.event import Event
from state.policy.uniform import Uniform
from state.slate import Slate
from stream.tally import Tally
from stream.view import Counts, Effect, Flow, Percentiles, Series, Shares, Walk, WindowedRatio

GROUPS = ("learned", "random")
ANSWER_SECONDS = 20.0
"""A slate that has not come for so long is lost, as far as anybody can tell before the audit."""
PATIENCE_SECONDS = 15.0
"""A shopper who did nothing for so long is not followed any longer."""


class Scoreboard:
    """Is told everything by `stream.simulate.ClosedLoop`, and draws the sums of it.

    Args:
        tally: Of everything, the past included.
    """

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.experiment = Experiment()
        self.walk: Walk | None = None
        self._is_live = False
        self._events, self._slates = Series(), Series()
        self._before = (0, 0)
        self._p50, self._p99 = Series(), Series()
        self._recent: list[float] = []
        self._policies: dict[str, str] = {}
        self._second = dict.fromkeys(GROUPS, (0, 0))
        self._ctr = {group: WindowedRatio() for group in GROUPS}
        self._expected = dict.fromkeys(GROUPS, 0.0)
        self._best = dict.fromkeys(GROUPS, 0.0)
        self._walked: dict[str, Event] = {}
        self._acted = 0.0

    def go_live(self, now: int) -> None:
        """The past has ended: from here on, it counts."""
        self.experiment = Experiment(since=now)
        self._is_live = True
        self._before = (self.tally.events, self.tally.slates)

    # What the closed loop tells ------------------------------------------------------------------

    def sent(self, events: Sequence[Event], at: float | None) -> None:
        """Events are about to be sent."""
        for event in events:
            self.tally.sent(event.event_id, event.type, at=at)
            if not self._is_live:
                continue
            self.experiment.add_event(event)
            self._count(event)
            self._follow(event, at or 0.0)

    def read(self, slate: Slate, at: float) -> None:
        """A slate was read."""
        milliseconds = self.tally.read(slate, at)
        if not self._is_live:
            return
        self.experiment.add_slate(slate)
        if milliseconds is None:
            return
        self._recent.append(milliseconds)
        event = self._walked.pop(slate.trigger.event_id, None)
        if event is not None and self.walk is not None and event.user_id == self.walk.shopper:
            self.walk.add(event, slate, milliseconds)

    def seen(self, slate: Slate, expected: float, best: float) -> None:
        """A shopper sees a slate."""
        if not self._is_live:
            return
        group = _group(slate.policy)
        self._policies[slate.user_id] = group
        self._expected[group] += expected
        self._best[group] += best

    def dead(self, count: int) -> None:
        """Dead letters were read."""
        self.tally.dead_letters += count

    # What the screen shows -----------------------------------------------------------------------

    def tick(self) -> None:
        """A second has ended."""
        events, slates = self.tally.events, self.tally.slates
        self._events.add(events - self._before[0])
        self._slates.add(slates - self._before[1])
        self._before = events, slates
        percentiles = np.percentile(self._recent, (50, 99)).tolist() if self._recent else (None, None)
        self._p50.add(percentiles[0])
        self._p99.add(percentiles[1])
        self._recent.clear()
        for group in GROUPS:
            self._ctr[group].add(*self._second[group])
            self._second[group] = (0, 0)

    def passing(self) -> tuple[Flow, Flow, Percentiles]:
        """Events, slates, and the time from one to the other."""
        p50, p99 = self.tally.latency()
        return (
            Flow(total=self.tally.events, per_second=self._events),
            Flow(total=self.tally.slates, per_second=self._slates),
            Percentiles(p50=self._p50, p99=self._p99, run_p50=p50, run_p99=p99),
        )

    def effect(self, found: ExperimentResult | None = None) -> Effect:
        """Learned against random so far, or as `found` in the log."""
        found = found or self.experiment.compare()
        return Effect(
            ctr=found.ctr,
            revenue=found.revenue_per_session,
            conversion=found.conversion,
            oracle=self.oracle(),
            ctr_learned=self._ctr["learned"].series,
            ctr_random=self._ctr["random"].series,
        )

    def oracle(self) -> Shares:
        """How much of the best possible click probability each group's slates have reached."""
        share = {
            group: self._expected[group] / best if (best := self._best[group]) else None for group in GROUPS
        }
        return Shares(learned=share["learned"], random=share["random"])

    def counts(self, kills: int, now: float) -> Counts:
        """Whether every event was answered once, so far; `now` as of `time.perf_counter()`."""
        tally = self.tally
        return Counts(
            asked=tally.asked,
            answered=tally.asked - tally.waiting,
            lost=tally.overdue(now - ANSWER_SECONDS),
            duplicates=tally.duplicates,
            dead_letters=tally.dead_letters,
            kills=kills,
        )

    def _count(self, event: Event) -> None:
        group = self._policies.get(event.user_id)
        if group is None or event.slate_id is None or event.type not in {"impression", "click"}:
            return
        clicks, shown = self._second[group]
        self._second[group] = (clicks + (event.type == "click"), shown + (event.type == "impression"))

    def _follow(self, event: Event, at: float) -> None:
        """Follow one shopper's clicks; when that one has gone, the next who clicks something on a slate."""
        if event.type == "impression":
            return
        is_ours = self.walk is not None and event.user_id == self.walk.shopper
        has_gone = self.walk is None or at - self._acted > PATIENCE_SECONDS
        if (
            not is_ours
            and has_gone
            and event.type == "click"
            and self._policies.get(event.user_id) == "learned"
        ):
            self.walk = Walk(event.user_id)
            is_ours = True
        if is_ours:
            self._acted = at
            self._walked[event.event_id] = event


def _group(policy: str) -> str:
    return "random" if policy == Uniform.name else "learned"
