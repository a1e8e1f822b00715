"""What is needed to judge a policy by a log: weights of the logged slates, and what a model expects of them.

Slates of several logged policies are weighted by their mixture,

    w_k = pi_B(a_1..a_k) / sum_m share_m pi_m(a_1..a_k)

where the policies are known and none of them learns, since users were given to them by lot: a slate that one
policy hardly ever draws may be another one's favourite (the balance heuristic). Else by the propensity that
each slate carries.

Sources: Veach, Guibas (1995), Optimally combining sampling techniques, SIGGRAPH; Agarwal, Basu, Schnabel,
Joachims (2017), Effective evaluation using logged bandit feedback from multiple loggers, KDD; Kallus, Saito,
Uehara (2021), Optimal off-policy evaluation from multiple logging policies, ICML.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from msgspec import Struct

from state.errors import FreshslateError
from state.evaluation.decisions import Decisions
from state.evaluation.estimators.replay import replay
from state.evaluation.estimators.single import shrunk, tuned
from state.evaluation.estimators.slates import (
    Model,
    cascade_dr,
    direct,
    prefix_weights,
)
from state.evaluation.estimators.terms import Terms, mean_of
from state.evaluation.probabilities import expectations, probabilities
from state.evaluation.reward_model import RewardModel, fit_rewards
from state.policy.base import Policy
from state.policy.learning import NOTHING_KNOWN, Known, known_of, learns
from state.posterior.beliefs import PRIOR, Beliefs
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
Judged: TypeAlias = Mapping[str, Sequence[tuple[Policy, float]]]
"""Policies and their shares of users, which sum to 1, by scenario; empty for those that are not named."""


class OffPolicyError(FreshslateError):
    """The log cannot answer this; the message says what to do."""


class Evidence(Struct, frozen=True, kw_only=True):
    """All that estimates are made of, for every slate that can judge."""

    decisions: Decisions
    """Slates that can judge others."""
    everything: Decisions
    """All of them, for what the logged policies earned."""
    weights: Doubles
    """[n, k] prefix weights."""
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
    beliefs: Beliefs = PRIOR,
    seed: int = 1,
    on_progress: OnProgress | None = None,
) -> Evidence:
    """`gather_plan` for one policy that serves everybody.

    Args:
        decisions: As for `gather_plan`, like the others.
        policy: To judge.
        arms: see `decisions`.
        beliefs: see `decisions`.
        seed: see `decisions`.
        on_progress: see `decisions`.

    Raises:
        OffPolicyError: As for `gather_plan`.
    """
    return gather_plan(
        decisions, {"": ((policy, 1.0),)}, arms=arms, beliefs=beliefs, seed=seed, on_progress=on_progress
    )


def gather_plan(
    decisions: Decisions,
    judged: Judged,
    *,
    arms: Sequence[Policy] = (),
    beliefs: Beliefs = PRIOR,
    seed: int = 1,
    on_progress: OnProgress | None = None,
) -> Evidence:
    """Weigh every slate under the policies of its scenario, and ask the reward model.

    Users are given to the judged policies by lot too, so their mixture is what is judged: a slate weighs

        w_k = sum_m share_m w_m,k

    with m over the policies of its scenario, and what is linear in the weights is the shares' sum.

    Args:
        decisions: The log.
        judged: What is to be judged.
        arms: Policies that may have drawn the slates; those that did are found by name and version.
        beliefs: What the judged policies that learn believe, for all of the slates.
        seed: Of what is drawn on the way.
        on_progress: Is told how far it is.

    Raises:
        OffPolicyError: There are no slates, or none that can judge another policy.
    """
    policies = list(dict.fromkeys(policy for its in judged.values() for policy, share in its if share > 0))
    rows, deterministic = _judges(decisions, policies[0] if len(policies) == 1 else None)
    if not rows.size:
        raise OffPolicyError(_nothing_left(decisions, deterministic))
    kept = decisions.taken(rows)
    mixture, disagreeing = _mixture(kept, arms)
    below = kept.propensities if mixture is None else mixture
    asking = _Asking(kept, below, _fitted(kept), beliefs, np.random.default_rng(seed))
    given = [(policy, _shares_of(policy, kept, judged)) for policy in policies]
    weighed = [(policy, shares) for policy, shares in given if shares.any()]
    told = _counted(on_progress, sum(int((shares > 0).sum()) for _, shares in weighed))
    parts = [_weigh(asking, policy, shares, told) for policy, shares in weighed]
    weights = _added([part.weights for part in parts])
    return Evidence(
        decisions=kept,
        everything=decisions,
        weights=weights,
        terms=_terms(kept.rewards, weights, parts, asking.rng),
        balanced=mixture is not None,
        disagreeing=disagreeing,
        deterministic=deterministic,
    )


class _Asking(NamedTuple):
    """What judged policies are asked about."""

    decisions: Decisions
    below: Doubles
    """[n, k] probabilities of the logged policies."""
    fitted: RewardModel
    beliefs: Beliefs
    rng: np.random.Generator


class _Part(NamedTuple):
    """What one judged policy adds, times its share; rows that it does not serve are 0."""

    weights: Doubles
    """[n, k]"""
    terms: dict[str, Terms]
    """Estimates that are means over the rows."""


def _shares_of(policy: Policy, decisions: Decisions, judged: Judged) -> Doubles:
    """[n] the policy's share of users in the scenario of each slate."""
    shares = [
        sum(share for its, share in judged.get(scenario, judged[""]) if its is policy)
        for scenario in decisions.scenario_names
    ]
    return np.array(shares, np.float64)[decisions.scenarios]


def _counted(on_progress: OnProgress | None, total: int) -> Callable[[int], None]:
    """Takes how many slates more are done."""
    done = 0

    def told(more: int) -> None:
        nonlocal done
        done += more
        if on_progress is not None:
            on_progress(done, total)

    return told


def _weigh(asking: _Asking, policy: Policy, shares: Doubles, told: Callable[[int], None]) -> _Part:
    """Weigh the slates of the scenarios that a policy serves."""
    rows = np.flatnonzero(shares).astype(np.int32)
    its = asking._replace(decisions=asking.decisions.taken(rows), below=asking.below[rows])
    said, model = _expect(its, policy, told)
    # What underflows in the mixture would be a slate that is never drawn.
    ratios = np.divide(said, its.below, out=np.zeros_like(said), where=its.below > 0)
    weights = prefix_weights(ratios)
    share = shares[rows, None]

    def spread(values: Doubles) -> Doubles:
        everywhere = np.zeros((len(shares), values.shape[1]))
        everywhere[rows] = share * values
        return everywhere

    terms = {
        name: mean_of(spread(each.numerators)[:, 0], spread(each.weights))
        for name, each in _means(its.decisions.rewards, weights, model).items()
    }
    return _Part(spread(weights), terms)


def _added(arrays: Sequence[Doubles]) -> Doubles:
    total: Doubles = np.sum(arrays, axis=0)
    return total


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

    By scenario, as each has its own shares. None where a logged policy is not among `arms`, or learns: what
    it would have said of another one's slate then is not known.
    """
    by_name = {f"{arm.name}/{arm.version}": arm for arm in arms if not learns(arm)}
    present = np.unique(decisions.arms).tolist()
    if any(decisions.arm_names[arm] not in by_name for arm in present):
        return None, 0
    mixture = np.zeros(decisions.rewards.shape)
    wrong = 0
    pairs = np.unique(np.stack([decisions.scenarios, decisions.arms]), axis=1).T.tolist()
    for scenario, arm in pairs:
        rows = np.flatnonzero(decisions.scenarios == scenario).astype(np.int32)
        said = probabilities(by_name[decisions.arm_names[arm]], decisions.drawn.taken(rows))
        its = decisions.arms[rows] == arm
        logged = decisions.propensities[rows][its]
        wrong += int((np.abs(said[its] - logged) > AGREEMENT * logged).any(axis=1).sum())
        mixture[rows] += its.mean() * np.cumprod(said, axis=1)
    above = mixture[:, :-1].copy()
    mixture[:, 1:] = np.divide(mixture[:, 1:], above, out=np.zeros_like(above), where=above > 0)
    return mixture, wrong


def _fitted(decisions: Decisions) -> RewardModel:
    drawn = decisions.drawn
    logged = decisions.contexts[np.arange(decisions.rows)[:, None], drawn.chosen]
    return fit_rewards(logged, decisions.rewards, drawn.sizes, decisions.users)


def _expect(asking: _Asking, policy: Policy, told: Callable[[int], None]) -> tuple[Doubles, Model]:
    """The policy's probabilities [n, k] of the logged items, and what the reward model expects."""
    decisions, rng = asking.decisions, asking.rng
    n, k = decisions.rewards.shape
    at = np.arange(k)
    said = np.empty((n, k))
    model = Model(np.zeros((n, k)), np.zeros((n, k)), np.zeros((n, k)))
    for part, known in _alike(decisions, policy, asking.beliefs):
        its, contexts = decisions.drawn.taken(part), decisions.contexts[part]
        values = asking.fitted.of(contexts, decisions.users[part])
        said[part], model.expected[part] = expectations(policy, its, values, contexts=contexts, known=known)
        inside = at < its.sizes[:, None]
        rows = np.arange(len(its.counts))[:, None]
        model.q[part] = np.where(inside, values[rows, its.chosen, at], 0.0)
        for _ in range(OWN_DRAWS):
            seeds = rng.integers(0, 1 << SEED_BITS, len(rows))
            if learns(policy):
                own = policy.choose_contexts(contexts, its.scores, its.counts, k, seeds, known).indices
            else:
                own = policy.choose_all(its.scores, its.counts, k, seeds).indices
            reached = inside & (at < its.counts[:, None])
            picked = values[rows, np.where(reached, own, 0), at]
            model.own[part] += np.where(reached, picked, 0.0) / OWN_DRAWS
        told(len(rows))
    return said, model


def _alike(decisions: Decisions, policy: Policy, beliefs: Beliefs) -> Iterator[tuple[Ints, Known]]:
    """Rows to ask about at a time, and what a policy that learns believes there."""
    everything = np.arange(decisions.rows, dtype=np.int32)
    groups = [(everything, NOTHING_KNOWN)]
    if learns(policy):
        groups = [
            (everything[decisions.scenarios == number], known_of(beliefs, decisions.scenario_names[number]))
            for number in np.unique(decisions.scenarios).tolist()
        ]
    for rows, known in groups:
        for first in range(0, len(rows), CHUNK):
            yield rows[first : first + CHUNK], known


def _means(rewards: Doubles, weights: Doubles, model: Model) -> dict[str, Terms]:
    """Estimates of one policy that are means over the slates."""

    def by(cut: Callable[[float], Doubles]) -> Terms:
        return tuned(lambda s: cascade_dr(rewards, cut(s), model), CHOICES)[1]

    return {
        "dr": cascade_dr(rewards, weights, model),
        "dr_os": by(lambda s: shrunk(weights, s)),
        "switch_dr": by(lambda s: np.where(weights <= math.sqrt(s), weights, 0.0)),
        "dm": direct(model),
    }


def _terms(
    rewards: Doubles, weights: Doubles, parts: Sequence[_Part], rng: np.random.Generator
) -> dict[str, Terms]:
    """All estimates of what is judged."""
    means = {
        name: mean_of(
            _added([part.terms[name].numerators for part in parts])[:, 0],
            _added([part.terms[name].weights for part in parts]),
        )
        for name in parts[0].terms
    }
    weighted, whole = weights * rewards, weights[:, -1]
    return {
        "dr": means["dr"],
        "dr_os": means["dr_os"],
        "switch_dr": means["switch_dr"],
        "ips": mean_of(weighted.sum(axis=1), weights),
        "snips": Terms(weighted, weights, weights),
        "replay": replay(rewards.sum(axis=1), whole, rng, bound=float(whole.max()) or 1.0),
        "dm": means["dm"],
    }
