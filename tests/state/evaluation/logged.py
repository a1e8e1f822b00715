"""Slates and rewards as a log has them, from the world of the benchmark."""

import base64

import numpy as np

from benchmarks.slate_world import moments, play
from state.evaluation.decisions import Decisions
from state.policy.base import Policy
from state.policy.context import CONTEXT_SET
from state.slate import Pool, Reward, Slate, SlateItem, Trigger

DAY = 1_763_942_400_000
"""Midnight UTC, the time of the first slate."""


def world(slates: int, arms: list[tuple[Policy, float]], *, positions: int = 3, seed: int = 1) -> Decisions:
    """A log of the benchmark's world."""
    rng = np.random.default_rng(seed)
    return play(moments(slates, rng), arms, positions, rng)


def slates_of(decisions: Decisions) -> list[Slate]:
    """The same as slates, an item for each candidate: `i0`, `i1`, ..."""
    result = []
    for row in range(decisions.rows):
        count = int(decisions.drawn.counts[row])
        scores = decisions.drawn.scores[row, :count].tolist()
        items = tuple(
            SlateItem(f"i{index}", at + 1, scores[index], float(decisions.propensities[row, at]), ())
            for at, index in enumerate(decisions.drawn.chosen[row].tolist())
        )
        policy, version = decisions.arm_names[decisions.arms[row]].split("/")
        time = DAY + int(decisions.times[row])
        result.append(
            Slate(
                slate_id=f"s{row}",
                user_id=f"u{decisions.users[row]}",
                tenant="default",
                scenario="feed",
                time=time,
                trigger=Trigger(f"e{row}", time, "events", 0, row),
                policy=policy,
                policy_version=version,
                seed=row,
                candidates=count,
                candidates_hash="0" * 16,
                items=items,
                pool=Pool(
                    tuple(f"i{index}" for index in range(count)),
                    tuple(scores),
                    base64.b64encode(decisions.contexts[row, :count].tobytes()).decode(),
                    CONTEXT_SET,
                ),
            )
        )
    return result


def reward(slate: Slate, position: int, *, worth: float = 1.0, after: int = 5_000, name: str = "") -> Reward:
    """Feedback on a position of a slate, so many milliseconds after it."""
    item = slate.items[min(position, len(slate.items)) - 1]
    return Reward(
        reward_id=name or f"r-{slate.slate_id}-{position}-{after}",
        slate_id=slate.slate_id,
        event_id="e",
        user_id=slate.user_id,
        tenant=slate.tenant,
        scenario=slate.scenario,
        item_id=item.item_id,
        position=position,
        type="click",
        time=slate.time + after,
        reward=worth,
        value=None,
        currency=None,
        propensity=item.propensity,
        policy=slate.policy,
        policy_version=slate.policy_version,
        delay_seconds=after / 1000,
    )


def rewards_of(decisions: Decisions, slates: list[Slate]) -> list[Reward]:
    """A reward for each position that earned one."""
    return [
        reward(slates[row], int(at) + 1, worth=float(decisions.rewards[row, at]))
        for row, at in zip(*np.nonzero(decisions.rewards), strict=True)
    ]
