"""What every learning policy promises besides, as a test class to inherit.

    class TestMine(LearningPolicyContract):
        @pytest.fixture
        def policy(self) -> LearningPolicy:
            return Mine()

The fixture also gives the policy to the tests of `state.contracts.policies`, which know scores alone.
"""

import math
from typing import Final

import numpy as np
import pytest

from state.contracts.policies import (
    SLOTS,
    PolicyContract,
    assert_frequencies,
    limits_over,
    seeds,
)
from state.event import Origin
from state.policy.base import Choice, Choices
from state.policy.context import CONTEXT_SIZE, FULL, Contexts
from state.policy.learning import Known, LearningPolicy, learns
from state.policy.limits import Limits, closed
from state.posterior.beliefs import Belief
from state.retrieval.arrays import Floats
from state.seeds import seeds_of

WORLDS: Final = range(4)
"""Seeds of contexts and beliefs."""
every_world = pytest.mark.parametrize("world", WORLDS)


class LearningPolicyContract(PolicyContract):
    """Inherit it, name the class `Test...`, and give the fixture `policy`."""

    def test_it_says_that_it_learns(self, policy: LearningPolicy) -> None:
        assert learns(policy)

    @every_world
    def test_under_beliefs_probabilities_sum_to_1_and_none_left_is_impossible(
        self, policy: LearningPolicy, world: int
    ) -> None:
        contexts, scores = candidates_of(world, 12)
        known = known_of_world(world)
        taken = one(policy, contexts, scores, known, slots=12).indices.tolist()
        for depth in range(12):
            distribution = policy.distribution_of(contexts, scores, taken[:depth], known)
            assert math.isclose(distribution.sum(), 1.0, rel_tol=1e-12)
            assert (distribution[taken[:depth]] == 0).all()
            assert (np.delete(distribution, taken[:depth]) > 0).all()
        assert policy.distribution_of(contexts, scores, taken, known).tolist() == [0.0] * 12

    @every_world
    @pytest.mark.parametrize("limited", [False, True])
    def test_under_beliefs_a_propensity_is_the_probability_among_what_is_left(
        self, policy: LearningPolicy, world: int, limited: bool
    ) -> None:
        contexts, scores = candidates_of(world, 12)
        known = known_of_world(world)
        limits = limits_over(12, (0, 1, -1, 1, 0), (1, 2)) if limited else None
        for seed in seeds(50):
            slate, propensities = one(policy, contexts, scores, known, seed=seed, limits=limits)
            above: list[int] = []
            for index, propensity in zip(slate.tolist(), propensities.tolist(), strict=True):
                barred = above if limits is None else closed(limits, 0, above)
                assert index not in barred
                wanted = policy.distribution_of(contexts, scores, barred, known)[index]
                assert math.isclose(propensity, wanted, rel_tol=2e-7), f"{propensity} instead of {wanted}"
                above.append(index)
            assert len(above) == SLOTS

    @every_world
    def test_under_beliefs_slates_are_as_frequent_as_their_propensities_say(
        self, policy: LearningPolicy, world: int
    ) -> None:
        contexts, scores = candidates_of(world, 5)
        for limits in (None, Limits(np.array([0, 0, 1, -1, 1], np.int32), np.array([1, 1], np.int32))):
            rows = np.broadcast_to(contexts, (self.draws, *contexts.shape))
            its = limits and limits._replace(groups=np.tile(limits.groups, (self.draws, 1)))
            choices = policy.choose_contexts(
                np.ascontiguousarray(rows),
                np.tile(scores, (self.draws, 1)),
                np.full(self.draws, 5, np.int32),
                3,
                seeds_of([Origin("events", world, offset, 0) for offset in range(self.draws)]),
                known_of_world(world),
                limits=its,
            )
            assert_frequencies(choices)

    def test_under_beliefs_a_row_of_many_is_drawn_as_it_would_be_alone(self, policy: LearningPolicy) -> None:
        counts, given = np.array([30, 0, 3, 10, 1], np.int32), np.array([7, 8, 9, 10, 2**53 - 1])
        found = [candidates_of(world, 30) for world in range(len(counts))]
        contexts, scores = (np.stack(parts) for parts in zip(*found, strict=True))
        known = known_of_world(3)
        whole = policy.choose_contexts(contexts, scores, counts, SLOTS, given, known)
        for row, (count, seed) in enumerate(zip(counts.tolist(), given.tolist(), strict=True)):
            alone = one(policy, contexts[row, :count], scores[row, :count], known, seed=seed)
            k = int(whole.sizes[row])
            assert whole.indices[row, :k].tolist() == alone.indices.tolist()
            assert whole.propensities[row, :k].tolist() == alone.propensities.tolist()

    def test_equal_beliefs_draw_equal_slates_whatever_was_drawn_between(self, policy: LearningPolicy) -> None:
        contexts, scores = candidates_of(1, 12)
        slates = []
        for world in (1, 2, 1):
            drawn = one(policy, contexts, scores, known_of_world(world), seed=5)
            slates.append((drawn.indices.tolist(), drawn.propensities.tolist()))
        assert slates[0] == slates[2]

    def test_every_context_has_a_finite_expectation(self, policy: LearningPolicy) -> None:
        contexts, _ = candidates_of(4, 12)
        expected = policy.expected(contexts, known_of_world(4))
        assert expected.shape == (12,)
        assert expected.dtype == np.float32
        assert np.isfinite(expected).all()


def candidates_of(world: int, count: int) -> tuple[Contexts, Floats]:
    """Contexts [count, CONTEXT_SIZE] and falling scores [count]; some candidates are alike."""
    rng = np.random.default_rng(world)
    contexts = rng.integers(0, FULL + 1, (count, CONTEXT_SIZE)).astype(np.uint8)
    contexts[:, 0] = FULL
    if world % 2:
        contexts[1::3] = contexts[0]
    return contexts, np.sort(rng.random(count)).astype(np.float32)[::-1].copy()


def known_of_world(world: int) -> Known:
    """A belief as learning may have left it, from sure to unsure."""
    rng = np.random.default_rng(100 + world)
    mean = rng.normal(0.02, 0.03, CONTEXT_SIZE).astype(np.float32)
    root = np.tril(rng.normal(0.0, 0.02 * (world + 1), (CONTEXT_SIZE, CONTEXT_SIZE))).astype(np.float32)
    shown = (1000.0 * rng.random(CONTEXT_SIZE)).astype(np.float32)
    shown[0] = 1000.0
    earned = (shown * rng.random(CONTEXT_SIZE) * 0.1).astype(np.float32)
    return Known(world + 1, "", Belief(mean, root, shown, earned, 1000.0))


def one(
    policy: LearningPolicy,
    contexts: Contexts,
    scores: Floats,
    known: Known,
    *,
    slots: int = SLOTS,
    seed: int = 3,
    limits: Limits | None = None,
) -> Choice:
    """Draw one slate."""
    drawn: Choices = policy.choose_contexts(
        contexts[np.newaxis],
        scores[np.newaxis],
        np.array([len(scores)], np.int32),
        slots,
        np.array([seed], np.int64),
        known,
        limits=limits,
    )
    k = drawn.sizes[0]
    return Choice(drawn.indices[0, :k], drawn.propensities[0, :k])
