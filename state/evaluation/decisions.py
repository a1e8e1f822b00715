"""The decision log as columns: slates with their pools, and what each position earned."""

import base64
import binascii
from collections import Counter
from typing import Final, NamedTuple

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from state.evaluation.probabilities import Drawn
from state.interner import Interner
from state.policy.context import CONTEXT, CONTEXT_SET, CONTEXT_SIZE, FULL
from state.retrieval.arrays import Doubles, Floats, Ints, Longs
from state.slate import Pool, Reward, Slate

Bytes = NDArray[np.uint8]

LEFT_OUT: Final = {
    "no_pool": "their candidates are not logged (FRESHSLATE_LOG_CANDIDATES)",
    "immature": "their feedback may still come (--mature)",
    "outside": "they are of another time",
    "repeated": "they came twice; the first counts",
    "empty": "they hold no item",
    "foreign_item": "an item of theirs is not among their candidates: something else writes to the topic",
    "bad_pool": "their candidates contradict themselves: scores below 0, contexts of another size",
    "bad_propensity": "a propensity of theirs is not above 0 and at most 1",
    "limited": "a category's limit was in force: what it left to choose from is not logged",
    "bad_reward": "a reward of theirs is no number",
}
"""Why slates are no part of an evaluation, for a person."""


class Decisions(NamedTuple):
    """Logged slates [n] of k positions that another policy can be judged on."""

    drawn: Drawn
    contexts: Bytes
    """[n, most, CONTEXT_SIZE] of the candidates."""
    propensities: Doubles
    """[n, k] as logged; 1 beyond the end of a slate."""
    rewards: Doubles
    """[n, k] summed rewards; 0 beyond the end of a slate."""
    users: Ints
    """[n] number of the user."""
    arms: Ints
    """[n] index into `arm_names`."""
    arm_names: tuple[str, ...]
    """Policies as `name/version`."""
    scenarios: Ints
    """[n] index into `scenario_names`."""
    scenario_names: tuple[str, ...]
    times: Longs
    """[n] epoch milliseconds."""

    @property
    def rows(self) -> int:
        """How many slates there are."""
        return len(self.users)

    def taken(self, rows: Ints) -> "Decisions":
        """The slates of these rows."""
        return self._replace(
            drawn=self.drawn.taken(rows),
            contexts=self.contexts[rows],
            propensities=self.propensities[rows],
            rewards=self.rewards[rows],
            users=self.users[rows],
            arms=self.arms[rows],
            scenarios=self.scenarios[rows],
            times=self.times[rows],
        )

    def first(self, positions: int) -> "Decisions":
        """The slates cut below so many positions."""
        k = min(positions, self.rewards.shape[1])
        drawn = self.drawn._replace(
            chosen=self.drawn.chosen[:, :k], sizes=np.minimum(self.drawn.sizes, k).astype(np.int32)
        )
        return self._replace(drawn=drawn, propensities=self.propensities[:, :k], rewards=self.rewards[:, :k])


class _Row(NamedTuple):
    scores: Floats
    contexts: Bytes
    chosen: Ints
    propensities: Floats
    rewards: Doubles
    user: int
    arm: int
    scenario: int
    time: int
    rules: str


class DecisionLog:
    """Folds slates, then rewards, into decisions. About 5 KB of memory a slate.

    Args:
        since: Slates from this time on, epoch milliseconds.
        until: Feedback before this time; a slate whose horizon ends later is immature.
        mature_ms: Horizon of a slate: feedback counts that came so long after it, for every slate alike.
    """

    def __init__(self, since: int, until: int, mature_ms: int) -> None:
        self._since, self._until, self._mature_ms = since, until, mature_ms
        self._rows: dict[str, _Row] = {}
        self._out: dict[str, str] = {}
        self._rewards: set[str] = set()
        self._users, self._arms, self._scenarios = Interner(), Interner(), Interner()
        self._limited: set[str] = set()
        self.elsewhere: Counter[str] = Counter()
        """Rewards that count for no slate here, by reason: `late` (after the horizon), `unknown_slate`,
        `wrong_position`, `repeated`."""
        self.other_contexts = 0
        """Slates taken whose candidates were logged with other contexts than `CONTEXT_SET`."""

    def add_slate(self, slate: Slate) -> None:
        """Take a slate; what is left out is counted by reason."""
        reason = self._reason(slate)
        if reason == "repeated":
            self._out[f"{slate.slate_id}\0{len(self._out)}"] = reason
        elif reason is not None:
            self._out[slate.slate_id] = reason
        elif slate.pool is UNSET:
            self._out[slate.slate_id] = "no_pool"
        else:
            self._take(slate, slate.pool)

    def add_reward(self, reward: Reward) -> None:
        """Add a reward to its position; corrections are negative ones. Slates must have come before."""
        if reward.reward_id in self._rewards:
            self.elsewhere["repeated"] += 1
            return
        self._rewards.add(reward.reward_id)
        row = self._rows.get(reward.slate_id)
        if row is None:
            known = self._out.get(reward.slate_id)
            self.elsewhere["left_out_slate" if known else "unknown_slate"] += 1
        elif not np.isfinite(reward.reward):
            self._drop(reward.slate_id, "bad_reward")
        elif not 1 <= reward.position <= len(row.rewards):
            self.elsewhere["wrong_position"] += 1
        elif reward.time > row.time + self._mature_ms:
            self.elsewhere["late"] += 1
        else:
            row.rewards[reward.position - 1] += reward.reward

    def left_out(self) -> dict[str, int]:
        """Slates that are no part of the decisions, by reason (`LEFT_OUT`)."""
        counted = Counter(self._out.values())
        limited = sum(row.rules in self._limited for row in self._rows.values())
        return dict(counted) | ({"limited": limited} if limited else {})

    def decisions(self) -> Decisions:
        """What was taken, as columns."""
        rows = [row for row in self._rows.values() if row.rules not in self._limited]
        n = len(rows)
        most = max((len(row.scores) for row in rows), default=0)
        k = max((len(row.chosen) for row in rows), default=0)
        scores, contexts = np.zeros((n, most), np.float32), np.zeros((n, most, CONTEXT_SIZE), np.uint8)
        chosen, propensities = np.zeros((n, k), np.int32), np.ones((n, k))
        rewards = np.zeros((n, k))
        for number, row in enumerate(rows):
            scores[number, : len(row.scores)] = row.scores
            contexts[number, : len(row.scores)] = row.contexts
            chosen[number, : len(row.chosen)] = row.chosen
            propensities[number, : len(row.chosen)] = row.propensities
            rewards[number, : len(row.chosen)] = row.rewards
        counts = np.array([len(row.scores) for row in rows], np.int32)
        sizes = np.array([len(row.chosen) for row in rows], np.int32)
        return Decisions(
            Drawn(scores, counts, chosen, sizes),
            contexts,
            propensities,
            rewards,
            np.array([row.user for row in rows], np.int32),
            np.array([row.arm for row in rows], np.int32),
            tuple(self._arms.strings),
            np.array([row.scenario for row in rows], np.int32),
            tuple(self._scenarios.strings),
            np.array([row.time for row in rows], np.int64),
        )

    def _reason(self, slate: Slate) -> str | None:
        """Why a slate is no part of it; None where it is."""
        if slate.rules is not UNSET and slate.rules.capped:
            # Slates of these rules that show no cap are left out too: whether one shows depends on what was
            # drawn, and to choose by that would be a bias.
            self._limited.add(slate.rules.version)
        if slate.slate_id in self._rows or slate.slate_id in self._out:
            return "repeated"
        if not self._since <= slate.time < self._until:
            return "outside"
        if slate.time + self._mature_ms > self._until:
            return "immature"
        return None if slate.items else "empty"

    def _take(self, slate: Slate, pool: Pool) -> None:
        index = {item: number for number, item in enumerate(pool.items)}
        chosen = [index.get(item.item_id, -1) for item in slate.items]
        contexts = contexts_of(pool)
        scores = np.array(pool.scores, np.float32)
        propensities = np.array([item.propensity for item in slate.items], np.float32)
        reason = None
        if -1 in chosen:
            reason = "foreign_item"
        elif contexts is None or not (np.isfinite(scores) & (scores >= 0)).all() or _repeats(chosen):
            reason = "bad_pool"
        elif not ((propensities > 0) & (propensities <= 1)).all():
            reason = "bad_propensity"
        if reason is not None or contexts is None:
            self._out[slate.slate_id] = reason or "bad_pool"
            return
        self.other_contexts += pool.context_set != CONTEXT_SET
        self._rows[slate.slate_id] = _Row(
            scores,
            contexts,
            np.array(chosen, np.int32),
            propensities,
            np.zeros(len(chosen)),
            self._users.intern(f"{slate.tenant}\0{slate.user_id}"),
            self._arms.intern(f"{slate.policy}/{slate.policy_version}"),
            self._scenarios.intern(slate.scenario),
            slate.time,
            "" if slate.rules is UNSET else slate.rules.version,
        )

    def _drop(self, slate_id: str, reason: str) -> None:
        del self._rows[slate_id]
        self._out[slate_id] = reason


def _repeats(chosen: list[int]) -> bool:
    return len(set(chosen)) < len(chosen)


def contexts_of(pool: Pool) -> Bytes | None:
    """[n, CONTEXT_SIZE] what is known of each candidate; None where the pool contradicts itself.

    A pool of another set of contexts gives what its scores say: `bias`, `blend` and `rank`.
    """
    n = len(pool.items)
    if len(pool.scores) != n:
        return None
    if pool.context_set == CONTEXT_SET:
        try:
            said = np.frombuffer(base64.b64decode(pool.context, validate=True), np.uint8)
        except binascii.Error:
            return None
        return said.reshape(n, CONTEXT_SIZE) if said.size == n * CONTEXT_SIZE else None
    made = np.zeros((n, CONTEXT_SIZE), np.uint8)
    scores = np.array(pool.scores, np.float64)
    top = float(scores.max(initial=0.0)) or 1.0
    for name, values in (("bias", np.ones(n)), ("blend", scores / top), ("rank", 1 / np.arange(1, n + 1))):
        made[:, CONTEXT.index(name)] = np.rint(values * FULL)
    return made
