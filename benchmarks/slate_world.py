"""A world of slates whose truth is known: contexts, candidates, and shoppers who look from the top down.

A shopper looks at the first item, clicks it with its probability, and goes on to the next one with
probability `GO_ON`, less often after a click: a cascade. What a policy is worth is computed, not drawn, once
its slates are.
"""

from typing import Final, NamedTuple

import numpy as np

from state.evaluation.decisions import Bytes, Decisions
from state.evaluation.probabilities import Drawn
from state.policy.base import Policy
from state.policy.context import CONTEXT, CONTEXT_SIZE, FULL
from state.retrieval.arrays import Doubles, Floats, Ints
from state.seeds import SEED_BITS

GO_ON: Final = 0.85
"""Probability of looking at the next item."""
SATISFIED: Final = 0.5
"""Factor on it after a click."""
FEWEST: Final = 20
MOST: Final = 60
"""Candidates of a slate."""
SLATES_PER_USER: Final = 4
DAY_MS: Final = 86_400_000


class Moments(NamedTuple):
    """Decisions before a policy is asked."""

    scores: Floats
    """[n, most]"""
    counts: Ints
    contexts: Bytes
    """[n, most, CONTEXT_SIZE]"""
    clicks: Doubles
    """[n, most] probability of a click on a candidate that is looked at; nobody but this module knows it."""
    users: Ints


def moments(slates: int, rng: np.random.Generator) -> Moments:
    """Users come with some slates each; how readily they click, and what they like, is theirs.

    The scores are informed, not right: half of what makes an item good is not in them, and no linear model
    sees all of it.
    """
    users = np.arange(slates, dtype=np.int32) // SLATES_PER_USER
    mood = rng.normal(0.0, 0.5, users[-1] + 1)[users]
    taste = rng.normal(0.0, 1.0, (users[-1] + 1, 3))[users]
    counts = rng.integers(FEWEST, MOST + 1, slates).astype(np.int32)
    is_there = np.arange(MOST) < counts[:, None]
    scores = np.where(is_there, rng.gamma(2.0, 1.0, (slates, MOST)), 0.0)
    scores = -np.sort(-scores, axis=1)
    contexts = np.zeros((slates, MOST, CONTEXT_SIZE), np.uint8)
    blend = scores / scores[:, :1]
    sources = rng.random((slates, MOST, CONTEXT_SIZE - 3))
    for name, values in (("bias", 1.0), ("blend", blend), ("rank", 1.0 / np.arange(1, MOST + 1))):
        contexts[..., CONTEXT.index(name)] = np.rint(np.broadcast_to(values, blend.shape) * FULL)
    contexts[..., 3:] = np.rint(sources * FULL)
    liked = (sources[..., :3] * taste[:, None, :]).sum(axis=2)
    good = -3.2 + 2.2 * blend + 1.2 * sources[..., 3] * sources[..., 4] + 0.5 * liked + mood[:, None]
    clicks = np.where(is_there, 1.0 / (1.0 + np.exp(-good)), 0.0)
    return Moments(scores.astype(np.float32), counts, contexts, clicks, users)


def value_of(world: Moments, policy: Policy, positions: int, rng: np.random.Generator) -> float:
    """Mean expected clicks of the policy's slates: one slate is drawn a moment, its clicks are computed."""
    seeds = rng.integers(0, 1 << SEED_BITS, len(world.counts))
    chosen = policy.choose_all(world.scores, world.counts, positions, seeds).indices
    clicks = np.take_along_axis(world.clicks, chosen, axis=1)
    looks = np.cumprod(GO_ON * (1.0 - (1.0 - SATISFIED) * clicks), axis=1)
    looks = np.hstack([np.ones((len(looks), 1)), looks[:, :-1]])
    return float((looks * clicks).sum(axis=1).mean())


def play(
    world: Moments, arms: list[tuple[Policy, float]], positions: int, rng: np.random.Generator
) -> Decisions:
    """Let each user's policy, given by lot, draw the slates, and the shoppers click: a log."""
    n = len(world.counts)
    lot = rng.choice(len(arms), world.users[-1] + 1, p=[share for _, share in arms])[world.users]
    chosen, propensities = np.zeros((n, positions), np.int32), np.ones((n, positions))
    for number, (policy, _) in enumerate(arms):
        rows = np.flatnonzero(lot == number)
        seeds = rng.integers(0, 1 << SEED_BITS, len(rows))
        choices = policy.choose_all(world.scores[rows], world.counts[rows], positions, seeds)
        chosen[rows], propensities[rows] = choices.indices, choices.propensities
    rewards = np.zeros((n, positions))
    looks = np.ones(n, np.bool_)
    for at in range(positions):
        clicked = looks & (rng.random(n) < world.clicks[np.arange(n), chosen[:, at]])
        rewards[:, at] = clicked
        looks &= rng.random(n) < np.where(clicked, GO_ON * SATISFIED, GO_ON)
    return Decisions(
        Drawn(world.scores, world.counts, chosen, np.full(n, positions, np.int32)),
        world.contexts,
        propensities,
        rewards,
        world.users,
        lot.astype(np.int32),
        tuple(f"{policy.name}/{policy.version}" for policy, _ in arms),
        np.zeros(n, np.int32),
        ("feed",),
        np.arange(n, dtype=np.int64) * DAY_MS // n,
    )
