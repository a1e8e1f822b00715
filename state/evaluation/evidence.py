"""What is needed to judge a policy by a log: weights of the logged slates, and what a model expects of them.

Slates of several logged policies are weighted by their mixture,

    w_k = pi_B(a_1..a_k) / sum_m share_m pi_m(a_1..a_k)

where the policies are known, since users were given to them by lot: a slate that one policy hardly ever draws
may be another one's favourite (the balance heuristic). Else by the propensity that each slate carries.

Sources: Veach, Guibas (1995), Optimally combining sampling techniques, SIGGRAPH; Agarwal, Basu, Schnabel,
Joachims (2017), Effective evaluation using logged bandit feedback from multiple loggers, KDD; Kallus, Saito,
Uehara (2021), Optimal off-policy evaluation from multiple logging policies, ICML.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from state.errors import FreshslateError
from state.evaluation.decisions import Decisions
from state.evaluation.estimators.replay import replay
from state.evaluation.estimators.single import shrunk, tuned
from state.evaluation.estimators.slates import (
    Model,
    cascade_dr,
    direct,
    prefix_weights,
    reward_interaction,
)
from state.evaluation.estimators.terms import Terms, mean_of, weighted_sum
from state.evaluation.probabilities import expectations, probabilities
from state.evaluation.reward_model import fit_rewards
from state.policy.base import Policy
from state.retrieval.arrays import Doubles, Ints
from state.seeds import SEED_BITS

CHUNK: Final = 4096
"""Slates whose expected rewards are in memory at a time."""
OWN_DRAWS: Final = 4
"""Slates of the judged policy drawn for each logged one, for what the model expects of it."""
CHOICES: Final = (1.0, 10.0, 100.0, 1e3, 1e4, 1e6)
"""Shrinkages that DRos chooses from; Switch-DR from their square roots."""
AGREEMENT: Final = 1e-3
"""How far a propensity may be from what its policy says of the logged candidates, relatively."""

OnProgress = Callable[[int, int], None]
"""Called with the slates done and how many there are."""


class OffPolicyError(FreshslateError):
    """The log cannot answer this; the message says what to do."""


class Evidence(Struct, frozen=True, kw_only=True):
    """All that estimates are made of, for every slate that can judge."""

    decisions: Decisions
    """Slates that can judge others."""
    everything: Decisions
    """All of them, for what the logged policies earned."""
    weights: Doubles
    """[n, k] prefix weights; [n, m k] for m policies with shares, one after the other."""
    terms: dict[str, Terms]
    balanced: bool
    """Whether weights are those of the mixture."""
    disagreeing: int
    """Slates whose propensities are not what their policy says of their candidates, where it is known."""
    deterministic: tuple[str, ...]
    """Logged policies that judge nobody, since they chose with propensity 1."""


def gather(
    decisions: Decisions,
    policy: Policy,
    *,
    arms: Sequence[Policy] = (),
    seed: int = 1,
    on_progress: OnProgress | None = None,
) -> Evidence:
    """Weigh every slate and ask the reward model.

    Args:
        decisions: The log.
        policy: To judge.
        arms: Policies that may have drawn the slates; those that did are found by name and version.
        seed: Of what is drawn on the way.
        on_progress: Is told how far it is.

    Raises:
        OffPolicyError: There are no slates, or none that can judge another policy.
    """
    rows, deterministic = _judges(decisions, policy)
    if not rows.size:
        raise OffPolicyError(_nothing_left(decisions, deterministic))
    kept = decisions.taken(rows)
    rng = np.random.default_rng(seed)
    said, model = _expect(kept, policy, rng, on_progress)
    mixture, disagreeing = _mixture(kept, arms)
    below = kept.propensities if mixture is None else mixture
    # What underflows in the mixture would be a slate that is never drawn.
    ratios = np.divide(said, below, out=np.zeros_like(said), where=below > 0)
    return Evidence(
        decisions=kept,
        everything=decisions,
        weights=prefix_weights(ratios),
        terms=_terms(kept.rewards, ratios, model, rng),
        balanced=mixture is not None,
        disagreeing=disagreeing,
        deterministic=deterministic,
    )


def gather_mix(
    decisions: Decisions,
    judged: Sequence[tuple[Policy, float]],
    *,
    arms: Sequence[Policy] = (),
    seed: int = 1,
    on_progress: OnProgress | None = None,
) -> Evidence:
    """`gather` for several policies that each serve a share of users: the estimates' weighted sum.

    It needs support for each of them.

    Args:
        decisions: The log.
        judged: Policies and their shares, which sum to 1.
        arms: As for `gather`.
        seed: As for `gather`.
        on_progress: As for `gather`; is told for each policy.

    Raises:
        OffPolicyError: As for `gather`.
    """
    rows, deterministic = _judges(decisions, None)
    if not rows.size:
        raise OffPolicyError(_nothing_left(decisions, deterministic))
    kept = decisions.taken(rows)
    found = [gather(kept, policy, arms=arms, seed=seed, on_progress=on_progress) for policy, _ in judged]
    shares = [share for _, share in judged]
    terms = {
        name: weighted_sum(shares, [evidence.terms[name] for evidence in found]) for name in found[0].terms
    }
    return replace(
        found[0],
        everything=decisions,
        weights=np.hstack([evidence.weights for evidence in found]),
        terms=terms,
        deterministic=deterministic,
    )


def _judges(decisions: Decisions, policy: Policy | None) -> tuple[Ints, tuple[str, ...]]:
    """Rows of policies that can judge another one, and the names of those that cannot.

    A policy that took each item with probability 1 though there were others has tried nothing else.
    """
    at = np.arange(decisions.rewards.shape[1])
    drawn = decisions.drawn
    had_choice = (at < drawn.sizes[:, None]) & (drawn.counts[:, None] - at > 1)
    explores = (had_choice & (decisions.propensities < 1)).any(axis=1)
    explored = set(np.unique(decisions.arms[explores]).tolist())
    itself = policy and f"{policy.name}/{policy.version}"
    stiff = [
        arm
        for arm in np.unique(decisions.arms).tolist()
        if arm not in explored and decisions.arm_names[arm] != itself
    ]
    names = tuple(decisions.arm_names[arm] for arm in stiff)
    return np.flatnonzero(~np.isin(decisions.arms, stiff)).astype(np.int32), names


def _nothing_left(decisions: Decisions, deterministic: Sequence[str]) -> str:
    if not decisions.rows:
        return (
            "there is no slate to judge by: it takes slates with their candidates (FRESHSLATE_LOG_CANDIDATES "
            "above 0) whose feedback is complete (--from, --to, --mature)"
        )
    return (
        f"all slates are of {', '.join(deterministic)}, which took every item with probability 1: nothing is "
        "known of any other choice. Log with exploration for a while: FRESHSLATE_RANDOM_SHARE=0.05, or a "
        "policy such as softmax or epsilon_greedy, and FRESHSLATE_LOG_CANDIDATES above 0"
    )


def _mixture(decisions: Decisions, arms: Sequence[Policy]) -> tuple[Doubles | None, int]:
    """The logged policies' mixture [n, k] of each item given those above, and how many slates contradict it.

    None where one of them is not among `arms`.
    """
    by_name = {f"{arm.name}/{arm.version}": arm for arm in arms}
    present = np.unique(decisions.arms).tolist()
    if any(decisions.arm_names[arm] not in by_name for arm in present):
        return None, 0
    mixture = np.zeros(decisions.rewards.shape)
    wrong = 0
    for arm in present:
        its = decisions.arms == arm
        said = probabilities(by_name[decisions.arm_names[arm]], decisions.drawn)
        logged = decisions.propensities[its]
        wrong += int((np.abs(said[its] - logged) > AGREEMENT * logged).any(axis=1).sum())
        mixture += its.mean() * np.cumprod(said, axis=1)
    above = mixture[:, :-1].copy()
    mixture[:, 1:] = np.divide(mixture[:, 1:], above, out=np.zeros_like(above), where=above > 0)
    return mixture, wrong


def _expect(
    decisions: Decisions, policy: Policy, rng: np.random.Generator, on_progress: OnProgress | None
) -> tuple[Doubles, Model]:
    """The policy's probabilities [n, k] of the logged items, and what the reward model expects."""
    drawn, n = decisions.drawn, decisions.rows
    k = decisions.rewards.shape[1]
    at = np.arange(k)
    logged = decisions.contexts[np.arange(n)[:, None], drawn.chosen]
    fitted = fit_rewards(logged, decisions.rewards, drawn.sizes, decisions.users)
    said = np.empty((n, k))
    model = Model(np.zeros((n, k)), np.zeros((n, k)), np.zeros((n, k)))
    for first in range(0, n, CHUNK):
        part = slice(first, min(n, first + CHUNK))
        its = drawn.taken(part)
        values = fitted.of(decisions.contexts[part], decisions.users[part])
        said[part], model.expected[part] = expectations(policy, its, values)
        inside = at < its.sizes[:, None]
        rows = np.arange(len(its.counts))[:, None]
        model.q[part] = np.where(inside, values[rows, its.chosen, at], 0.0)
        for _ in range(OWN_DRAWS):
            seeds = rng.integers(0, 1 << SEED_BITS, len(rows))
            own = policy.choose_all(its.scores, its.counts, k, seeds).indices
            reached = inside & (at < its.counts[:, None])
            picked = values[rows, np.where(reached, own, 0), at]
            model.own[part] += np.where(reached, picked, 0.0) / OWN_DRAWS
        if on_progress is not None:
            on_progress(part.stop, n)
    return said, model


def _terms(rewards: Doubles, ratios: Doubles, model: Model, rng: np.random.Generator) -> dict[str, Terms]:
    weights = prefix_weights(ratios)
    whole = weights[:, -1]
    return {
        "dr": cascade_dr(rewards, weights, model),
        "dr_os": tuned(lambda s: cascade_dr(rewards, shrunk(weights, s), model), CHOICES)[1],
        "switch_dr": tuned(
            lambda s: cascade_dr(rewards, np.where(weights <= math.sqrt(s), weights, 0.0), model), CHOICES
        )[1],
        "ips": _in_one(reward_interaction(rewards, ratios, normalised=False)),
        "snips": reward_interaction(rewards, ratios),
        "replay": replay(rewards.sum(axis=1), whole, rng, bound=float(whole.max()) or 1.0),
        "dm": direct(model),
    }


def _in_one(terms: Terms) -> Terms:
    """The same sum of means as a mean of sums."""
    return mean_of(terms.numerators.sum(axis=1), terms.weights)
