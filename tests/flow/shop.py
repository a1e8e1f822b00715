"""The loop closed in one process: shoppers act, the engine answers, shoppers see what it says."""

from typing import NamedTuple

import numpy as np

from state.event import Inbound, Origin
from state.models import Models
from state.policy.shares import Shares
from state.policy.softmax import Softmax
from state.policy.uniform import Uniform
from state.recommend import Recommender, RecommendRules
from state.simulation.shop import Shop
from state.slate import Span
from state.step import StepRules, delta_of, step
from stream.closed_loop import slate_rows

START = 1_763_831_000_000
STEP_MS = 50
"""Events of this time reach the engine together."""


class Arm(NamedTuple):
    """How a policy did."""

    slates: int
    clicked: int
    expected: float
    """Mean true click probability of its slates."""
    best: float
    """Mean true click probability of the best slates there could have been."""

    @property
    def ctr(self) -> float:
        return self.clicked / self.slates


class ClosedLoop:
    """A shop and one engine; half of the users get uniformly random slates of the same candidates."""

    def __init__(self, config, *, seed, slots=10, candidates=60):
        self.shop = Shop(config, seed=seed, start=START)
        self.models = Models()
        shares = Shares([(Softmax(), 0.5), (Uniform(), 0.5)], "policy")
        rules = RecommendRules(slots=slots, candidates=candidates)
        self.decide = Recommender(self.models, shares, rules)
        self.profiles = {}
        self.now = START
        self.events = []
        self.slates = 0
        self.rewards = []
        self.seen = {}
        """Slate id: (policy, expected, best)."""
        self.clicked = {}
        """Slate id: position."""
        self._index = {name: index for index, name in enumerate(self.shop.item_ids)}
        self._offset = 0

    def run(self, *, events, answered=True):
        """Go on until there are so many more events; unanswered, the shop shows no slates."""
        goal = len(self.events) + events
        while len(self.events) < goal:
            self.now += STEP_MS
            for change in self.shop.changes(self.shop.now + 1):
                self.models.upsert_item(change.item_id, change)
            new = self.shop.events(self.shop.advance(self.now))
            self.events += new
            if new:
                self._answer(new, answered)

    def arm(self, name):
        """What became of the slates of that policy."""
        mine = {slate: judged for slate, judged in self.seen.items() if judged[0] == name}
        expected, best = np.array([judged[1:] for judged in mine.values()]).mean(axis=0)
        return Arm(len(mine), len(mine.keys() & self.clicked.keys()), float(expected), float(best))

    def _answer(self, events, answered):
        inbounds = []
        for event in events:
            inbounds.append(Inbound(event, Origin("events", 0, self._offset, self.now)))
            self._offset += 1
            if event.type == "click" and event.slate_id:
                self.clicked[event.slate_id] = event.position
        outcome = step(inbounds, self.profiles, self.decide, StepRules())
        self.profiles.update(outcome.profiles)
        self.rewards += outcome.rewards
        self.slates += len(outcome.slates)
        span = Span("events", self._offset - len(events), self._offset - 1)
        self.models.learn([delta_of(outcome, [span], partition=0, events=len(events), dead_letters=0)])
        if answered:
            self._show(list(outcome.slates))

    def _show(self, slates):
        rows = slate_rows(slates, self._index, 10)
        shoppers = np.array([int(slate.user_id.partition("-")[2]) for slate in slates], np.int32)
        self.shop.show(shoppers, rows, self.now, [slate.slate_id for slate in slates])
        judged = zip(
            self.shop.last_seen.tolist(),
            self.shop.last_expected.tolist(),
            self.shop.last_best.tolist(),
            strict=True,
        )
        for row, expected, best in judged:
            slate = slates[row]
            self.seen[slate.slate_id] = (slate.policy, expected, best)
