"""What every policy promises, as a test class to inherit.

    class TestMine(PolicyContract):
        @pytest.fixture
        def policy(self) -> Policy:
            return Mine()

Draws are seeded as in production, so every number is the same on each run. Bounds are five standard
deviations: a propensity that is off by a few per cent is far outside.
"""

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
import pytest

from state.event import Origin
from state.policy.base import Choices, Policy, choose
from state.policy.limits import Limits, closed
from state.seeds import seed_of, seeds_of

Doubles = npt.NDArray[np.float64]

SHAPES: Final[dict[str, list[float]]] = {
    "falling": (0.9 ** np.arange(60)).tolist(),
    "ties": [4.0, 4.0, 2.0, 2.0, 2.0, 1.0],
    "one candidate": [3.0],
    "all zero": [0.0] * 5,
    "fewer than slots": [2.0, 1.0, 0.5],
    "none": [],
    "peaked": [1e9, 1.0, 1e-9, 0.0],
    "tiny": [1e-300, 1e-301, 0.0],
}
"""Scores as a policy may meet them."""
SLOTS: Final = 4
DRAWS: Final = 20_000
SIGMAS: Final = 5.0
LIMITS: Final[dict[str, tuple[tuple[int, ...], tuple[int, ...]]]] = {
    "one a group": ((0, 1), (1, 1)),
    "two of one, the rest free": ((0, 0, -1), (2,)),
    "all in one": ((0,), (2,)),
    "uneven": ((1, 0, 1, 1, -1), (1, 2)),
}
"""Groups, repeated over the candidates, and the most of each."""

every_shape = pytest.mark.parametrize("scores", [np.array(s) for s in SHAPES.values()], ids=SHAPES.keys())
every_limit = pytest.mark.parametrize(("groups", "most"), LIMITS.values(), ids=LIMITS.keys())


class PolicyContract:
    """Inherit it, name the class `Test...`, and give the fixture `policy`."""

    draws: ClassVar[int] = DRAWS
    """Slates to draw where frequencies are looked at; fewer see less."""
    explores: ClassVar[bool] = True
    """Whether every candidate left may be drawn. A policy for which it may not can judge no other one."""

    @pytest.fixture
    def policy(self) -> Policy:
        """The policy under test."""
        message = "give the test class a fixture `policy`"
        raise NotImplementedError(message)

    def test_it_has_a_name_and_a_version(self, policy: Policy) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9_]{0,62}", policy.name), f"{policy.name!r} cannot be a name"
        assert re.fullmatch(r"[0-9a-f]{8}", policy.version), f"{policy.version!r} is not 8 hex digits"

    @every_shape
    def test_probabilities_sum_to_1_over_the_candidates_at_each_position(
        self, policy: Policy, scores: Doubles
    ) -> None:
        taken = choose(policy, scores, len(scores), seed=5).indices.tolist()
        for depth in range(len(scores)):
            distribution = policy.distribution(scores, taken[:depth])
            assert distribution.shape == scores.shape
            assert math.isclose(distribution.sum(), 1.0, rel_tol=1e-12)
            assert (distribution[taken[:depth]] == 0).all()
            assert not self.explores or (np.delete(distribution, taken[:depth]) > 0).all()
        assert policy.distribution(scores, taken).tolist() == [0.0] * len(scores)

    @every_shape
    def test_a_chosen_item_has_the_probability_that_the_distribution_gives_it(
        self, policy: Policy, scores: Doubles
    ) -> None:
        for seed in seeds(50):
            indices, propensities = choose(policy, scores, SLOTS, seed)
            for depth, (index, propensity) in enumerate(zip(indices, propensities, strict=True)):
                wanted = policy.distribution(scores, indices[:depth].tolist())[index]
                assert math.isclose(propensity, wanted, rel_tol=2e-7), f"{propensity} instead of {wanted}"

    @every_shape
    @pytest.mark.parametrize("slots", [0, 1, SLOTS, 100])
    def test_a_slate_has_different_candidates_and_probabilities_of_float32(
        self, policy: Policy, scores: Doubles, slots: int
    ) -> None:
        for seed in seeds(50):
            indices, propensities = choose(policy, scores, slots, seed)
            assert indices.dtype == np.int32
            assert propensities.dtype == np.float32
            assert len(indices) == len(propensities) == min(slots, len(scores))
            assert len(set(indices.tolist())) == len(indices)
            assert all(0 <= index < len(scores) for index in indices)
            assert ((propensities > 0) & (propensities <= 1)).all()

    @every_shape
    def test_the_same_seed_draws_the_same_slate(self, policy: Policy, scores: Doubles) -> None:
        first, second = (choose(policy, scores, SLOTS, seed=2**53 - 1) for _ in range(2))
        assert first.indices.tolist() == second.indices.tolist()
        assert first.propensities.tobytes() == second.propensities.tobytes()

    @every_shape
    def test_the_scores_stay_as_they_are(self, policy: Policy, scores: Doubles) -> None:
        given = scores.copy()
        choose(policy, given, SLOTS, seed=1)
        assert given.tobytes() == scores.tobytes()

    @every_shape
    def test_slates_are_as_frequent_as_their_logged_propensities_say(
        self, policy: Policy, scores: Doubles
    ) -> None:
        """Every ordered slate of a few candidates, rare ones pooled."""
        scores = scores[:5]
        assert_frequencies(drawn(policy, scores, 3, self.draws))

    @every_shape
    def test_each_position_shows_each_candidate_as_often_as_computed(
        self, policy: Policy, scores: Doubles
    ) -> None:
        """Marginals of the first two positions by summing over what can stand above."""
        scores = scores[:6]
        slates = drawn(policy, scores, 2, self.draws)
        for depth in range(min(2, len(scores))):
            marginal = np.zeros(len(scores))
            for above in itertools.permutations(range(len(scores)), depth):
                steps = (policy.distribution(scores, above[:i])[index] for i, index in enumerate(above))
                marginal += math.prod(steps) * policy.distribution(scores, above)
            counts = np.bincount(slates.indices[:, depth], minlength=len(scores))
            for count, probability in zip(counts.tolist(), marginal, strict=True):
                assert_frequency(count, probability, self.draws)

    def test_a_row_of_many_is_drawn_as_it_would_be_alone(self, policy: Policy) -> None:
        """What stands beyond a row's candidates, and in other rows, changes nothing."""
        counts, given_seeds = np.array([60, 0, 3, 10, 1], np.int32), np.array([7, 8, 9, 10, 2**53 - 1])
        shape = len(counts), 60
        scores = np.sort(np.random.default_rng(1).random(shape))[:, ::-1].astype(np.float32)
        limits = Limits(np.resize(np.arange(7, dtype=np.int32), shape), np.full(7, 1, np.int32))
        for given in (None, limits):
            whole = policy.choose_all(scores, counts, SLOTS, given_seeds, limits=given)
            assert whole.indices.shape == whole.propensities.shape == (len(counts), SLOTS)
            for row, (count, seed) in enumerate(zip(counts.tolist(), given_seeds.tolist(), strict=True)):
                its = None if given is None else Limits(given.groups[row : row + 1, :count], given.most)
                alone = choose(policy, scores[row, :count], SLOTS, seed, limits=its)
                k = int(whole.sizes[row])
                assert whole.indices[row, :k].tolist() == alone.indices.tolist()
                assert whole.propensities[row, :k].tolist() == alone.propensities.tolist()

    @every_shape
    @every_limit
    def test_under_limits_a_propensity_is_the_probability_among_what_they_leave(
        self, policy: Policy, scores: Doubles, groups: tuple[int, ...], most: tuple[int, ...]
    ) -> None:
        limits = limits_over(len(scores), groups, most)
        for seed in seeds(50):
            indices, propensities = choose(policy, scores, SLOTS, seed, limits=limits)
            slate = indices.tolist()
            for depth, (index, propensity) in enumerate(zip(slate, propensities, strict=True)):
                barred = closed(limits, 0, slate[:depth])
                assert index not in barred, f"{index} broke a limit in {slate}"
                wanted = policy.distribution(scores, barred)[index]
                assert math.isclose(propensity, wanted, rel_tol=2e-7), f"{propensity} instead of {wanted}"
            is_open = len(closed(limits, 0, slate)) < len(scores)
            assert len(slate) == SLOTS or not is_open, f"{slate} ends though candidates are left"

    @every_shape
    @every_limit
    def test_under_limits_slates_are_as_frequent_as_their_propensities_say(
        self, policy: Policy, scores: Doubles, groups: tuple[int, ...], most: tuple[int, ...]
    ) -> None:
        scores = scores[:5]
        assert_frequencies(drawn(policy, scores, 3, self.draws, groups=groups, most=most))

    @every_shape
    def test_limits_that_close_nothing_change_no_draw(self, policy: Policy, scores: Doubles) -> None:
        limits = limits_over(len(scores), (0, 1, -1), (100, 100))
        for seed in seeds(50):
            free, limited = (choose(policy, scores, SLOTS, seed, limits=each) for each in (None, limits))
            assert free.indices.tolist() == limited.indices.tolist()
            np.testing.assert_allclose(free.propensities, limited.propensities, rtol=2e-7)


def seeds(count: int) -> Iterator[int]:
    """Seeds as the first records of a topic have them."""
    return (seed_of("events", 0, offset) for offset in range(count))


def limits_over(candidates: int, groups: Sequence[int], most: Sequence[int]) -> Limits:
    """Limits of one row, its groups repeated over the candidates."""
    row = np.resize(np.array(groups, np.int32), candidates)
    return Limits(row.reshape(1, -1), np.array(most, np.int32))


def drawn(
    policy: Policy,
    scores: Doubles,
    slots: int,
    count: int,
    *,
    groups: Sequence[int] = (),
    most: Sequence[int] = (),
) -> Choices:
    """So many slates of the same candidates, each with a seed of its own."""
    n = len(scores)
    row_seeds = seeds_of([Origin("events", 0, offset, 0) for offset in range(count)])
    limits = None
    if groups:
        limits = Limits(
            np.tile(np.resize(np.array(groups, np.int32), n), (count, 1)), np.array(most, np.int32)
        )
    rows = np.tile(scores, (count, 1))
    return policy.choose_all(rows, np.full(count, n, np.int32), slots, row_seeds, limits=limits)


def assert_frequencies(choices: Choices) -> None:
    """Each slate came as often as the product of its propensities says; rare ones are pooled."""
    logged: dict[tuple[int, ...], float] = {}
    counts: Counter[tuple[int, ...]] = Counter()
    draws = len(choices.sizes)
    for indices, propensities, size in zip(*choices, strict=True):
        slate = tuple(indices[:size].tolist())
        counts[slate] += 1
        logged[slate] = float(np.prod(propensities[:size], dtype=np.float64))
    for slate, probability in logged.items():
        if probability * draws >= 10:
            assert_frequency(counts[slate], probability, draws)
    rare = [slate for slate, probability in logged.items() if probability * draws < 10]
    mean = draws * max(0.0, 1.0 - sum(p for p in logged.values() if p * draws >= 10))
    assert sum(counts[slate] for slate in rare) <= mean + SIGMAS * math.sqrt(mean) + SIGMAS


def assert_frequency(count: int, probability: float, draws: int) -> None:
    """An event of this probability may come so often in so many draws."""
    mean = draws * probability
    spread = SIGMAS * math.sqrt(mean * max(0.0, 1.0 - probability)) + SIGMAS
    assert abs(count - mean) <= spread, f"{count} of {draws} draws at probability {probability}"
