"""Each slate drawn by its own policy, and what that policy expected of it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from state.policy.base import Choices, Policy
from state.policy.context import Contexts, chosen_contexts
from state.policy.learning import Known, known_of, learns
from state.posterior.beliefs import Beliefs
from state.render import NOTHING_EXPECTED
from state.reranking.rulebook import Reranked
from state.retrieval.arrays import Floats, Ints, Longs


class Asking(NamedTuple):
    """Who is to draw which slates, a row for each."""

    policies: Sequence[Policy]
    """[n]"""
    scenarios: Sequence[str]
    """[n]"""
    seeds: Longs
    """[n]"""


class Drawn(NamedTuple):
    """Drawn slates."""

    choices: Choices
    contexts: Contexts
    """[items, CONTEXT_SIZE] of all items, one slate after the other; empty where none are wanted."""
    expected: Floats
    """[items] reward that the policy expected, NaN where it goes by scores alone; empty where all do."""


def draw(
    asking: Asking, reranked: Reranked, slots: int, *, contexts: Contexts | None, beliefs: Beliefs
) -> Drawn:
    """Let each policy draw its slates: one call for each policy and belief.

    Args:
        asking: Who draws.
        reranked: The candidates.
        slots: Most items of a slate.
        contexts: [n, size, CONTEXT_SIZE] of the candidates; None if no policy here learns and nobody else
            wants them.
        beliefs: What is known.
    """
    calls: dict[tuple[Policy, str], list[int]] = {}
    for row, (policy, scenario) in enumerate(zip(asking.policies, asking.scenarios, strict=True)):
        name = scenario if learns(policy) and scenario in beliefs.by_scenario else ""
        calls.setdefault((policy, name), []).append(row)
    if len(calls) == 1:
        ((policy, name),) = calls
        choices = _call(policy, known_of(beliefs, name), reranked, slots, asking.seeds, contexts, None)
    else:
        choices = Choices.empty(reranked.ranked.counts, slots)
        for (policy, name), rows in calls.items():
            known = known_of(beliefs, name)
            its = _call(policy, known, reranked, slots, asking.seeds, contexts, np.array(rows))
            for whole, part in zip(choices, its, strict=True):
                whole[rows] = part
    if contexts is None:
        return Drawn(choices, np.zeros((0, 0), np.uint8), NOTHING_EXPECTED)
    chosen = chosen_contexts(contexts, choices.indices, choices.sizes)
    return Drawn(choices, chosen, _expected(calls, chosen, choices.sizes, beliefs))


def _call(
    policy: Policy,
    known: Known,
    reranked: Reranked,
    slots: int,
    seeds: Longs,
    contexts: Contexts | None,
    rows: Longs | None,
) -> Choices:
    """Let a policy draw these rows; None is all of them."""
    (_, scores, _, counts), limits = reranked.ranked, reranked.limits
    if rows is not None:
        scores, counts, seeds = scores[rows], counts[rows], seeds[rows]
        limits = limits and limits._replace(groups=limits.groups[rows])
        contexts = None if contexts is None else contexts[rows]
    if contexts is not None and learns(policy):
        return policy.choose_contexts(contexts, scores, counts, slots, seeds, known, limits=limits)
    return policy.choose_all(scores, counts, slots, seeds, limits=limits)


def _expected(
    calls: dict[tuple[Policy, str], list[int]], chosen: Contexts, sizes: Ints, beliefs: Beliefs
) -> Floats:
    """`Drawn.expected` of these calls, over the rows that each drew."""
    if not any(learns(policy) for policy, _ in calls):
        return NOTHING_EXPECTED
    if len(calls) == 1:
        ((only, name),) = calls
        return only.expected(chosen, known_of(beliefs, name)) if learns(only) else NOTHING_EXPECTED
    expected = np.full(len(chosen), np.nan, np.float32)
    row_of = np.repeat(np.arange(sizes.size), sizes)
    for (policy, name), rows in calls.items():
        if learns(policy):
            its = np.isin(row_of, rows)
            expected[its] = policy.expected(chosen[its], known_of(beliefs, name))
    return expected
