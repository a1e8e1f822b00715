"""What every policy promises, checked over every policy and several shapes of scores.

Draws are seeded as in production, so every number here is the same on each run. Bounds are five standard
deviations: a propensity that is off by a few per cent is far outside.
"""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from state.policy.base import choose
from state.policy.epsilon_greedy import EpsilonGreedy
from state.policy.registry import POLICY_NAMES
from state.policy.softmax import Softmax
from state.policy.uniform import Uniform
from state.seeds import seed_of

POLICIES = [
    EpsilonGreedy(),
    EpsilonGreedy(epsilon=0.4),
    Softmax(),
    Softmax(temperature=0.0125),
    Softmax(temperature=2.0),
    Uniform(),
]
SHAPES = {
    "falling": (0.9 ** np.arange(60)).tolist(),
    "ties": [4.0, 4.0, 2.0, 2.0, 2.0, 1.0],
    "one candidate": [3.0],
    "all zero": [0.0] * 5,
    "fewer than slots": [2.0, 1.0, 0.5],
    "none": [],
    "peaked": [1e9, 1.0, 1e-9, 0.0],
    "tiny": [1e-300, 1e-301, 0.0],
}
SLOTS = 4
DRAWS = 20_000
SIGMAS = 5.0


def named(policy):
    return f"{policy.name}-{policy.version}"


every_policy = pytest.mark.parametrize("policy", POLICIES, ids=named)
every_shape = pytest.mark.parametrize("scores", [np.array(s) for s in SHAPES.values()], ids=SHAPES.keys())


def seeds(count):
    return (seed_of("events", 0, offset) for offset in range(count))


def test_every_registered_policy_is_under_contract():
    assert {policy.name for policy in POLICIES} == set(POLICY_NAMES)


@every_policy
@every_shape
def test_probabilities_sum_to_1_over_the_candidates_at_each_position(policy, scores):
    choice = choose(policy, scores, len(scores), seed=5)
    taken = choice.indices.tolist()
    for depth in range(len(scores)):
        distribution = policy.distribution(scores, taken[:depth])
        assert distribution.shape == scores.shape
        assert math.isclose(distribution.sum(), 1.0, rel_tol=1e-12)
        assert (distribution[taken[:depth]] == 0).all()
        assert (np.delete(distribution, taken[:depth]) > 0).all()
    assert policy.distribution(scores, taken).tolist() == [0.0] * len(scores)


@every_policy
@every_shape
def test_a_chosen_item_has_the_probability_that_the_distribution_gives_it(policy, scores):
    for seed in seeds(50):
        indices, propensities = choose(policy, scores, SLOTS, seed)
        for depth, (index, propensity) in enumerate(zip(indices, propensities, strict=True)):
            wanted = policy.distribution(scores, indices[:depth].tolist())[index]
            assert math.isclose(propensity, wanted, rel_tol=2e-7)


@every_policy
@every_shape
@pytest.mark.parametrize("slots", [0, 1, SLOTS, 100])
def test_a_slate_has_different_candidates_and_probabilities_of_float32(policy, scores, slots):
    for seed in seeds(50):
        indices, propensities = choose(policy, scores, slots, seed)
        assert (indices.dtype, propensities.dtype) == (np.int32, np.float32)
        assert len(indices) == len(propensities) == min(slots, len(scores))
        assert len(set(indices.tolist())) == len(indices)
        assert all(0 <= index < len(scores) for index in indices)
        assert ((propensities > 0) & (propensities <= 1)).all()


@every_policy
@every_shape
def test_the_same_seed_draws_the_same_slate(policy, scores):
    first, second = (choose(policy, scores, SLOTS, seed=2**53 - 1) for _ in range(2))
    assert first.indices.tolist() == second.indices.tolist()
    assert first.propensities.tobytes() == second.propensities.tobytes()


@pytest.mark.parametrize("policy", [EpsilonGreedy(epsilon=0.4), Softmax(), Uniform()], ids=named)
def test_other_seeds_draw_other_slates(policy):
    scores = np.array(SHAPES["falling"])
    drawn = {tuple(choose(policy, scores, 10, seed).indices.tolist()) for seed in seeds(100)}
    assert len(drawn) > 50


@every_policy
@every_shape
def test_slates_are_as_frequent_as_their_logged_propensities_say(policy, scores):
    """Every ordered slate of a few candidates, rare ones pooled."""
    scores = scores[:5]
    slots = min(3, len(scores))
    logged, counts = {}, Counter()
    for seed in seeds(DRAWS):
        indices, propensities = choose(policy, scores, slots, seed)
        slate = tuple(indices.tolist())
        counts[slate] += 1
        logged[slate] = float(np.prod(propensities, dtype=np.float64))
    for slate, probability in logged.items():
        if probability * DRAWS >= 10:
            assert_frequency(counts[slate], probability)
    rare = [slate for slate, probability in logged.items() if probability * DRAWS < 10]
    common = sum(p for p in logged.values() if p * DRAWS >= 10)
    assert sum(counts[slate] for slate in rare) <= bound(max(0.0, 1.0 - common))


@every_policy
@every_shape
def test_each_position_shows_each_candidate_as_often_as_computed(policy, scores):
    """Marginals of the first two positions by summing over what can stand above."""
    scores = scores[:6]
    slots = min(2, len(scores))
    counts = np.zeros((slots, len(scores)))
    for seed in seeds(DRAWS):
        indices = choose(policy, scores, slots, seed).indices
        counts[np.arange(slots), indices] += 1
    for depth in range(slots):
        marginal = np.zeros(len(scores))
        for above in itertools.permutations(range(len(scores)), depth):
            marginal += probability_of(policy, scores, above) * policy.distribution(scores, above)
        for count, probability in zip(counts[depth], marginal, strict=True):
            assert_frequency(count, probability)


@pytest.mark.parametrize(
    "policy", [EpsilonGreedy(epsilon=0.4), Softmax(), Softmax(temperature=2.0)], ids=named
)
def test_inverse_propensities_count_the_candidates_that_were_left(policy):
    """The check that needs the log alone: the mean of 1 / propensity is n, n - 1, ... down the slate."""
    scores = np.array(SHAPES["falling"][:12])
    drawn = np.array(
        [choose(policy, scores, SLOTS, seed).propensities for seed in seeds(DRAWS)], dtype=np.float64
    )
    weights = 1.0 / drawn
    error = weights.std(axis=0) / math.sqrt(DRAWS)
    assert (np.abs(weights.mean(axis=0) - (12 - np.arange(SLOTS))) < SIGMAS * error).all()
    assert (error < 0.5).all()


@pytest.mark.parametrize(
    "policy", [EpsilonGreedy(epsilon=0.4), Softmax(), Softmax(temperature=2.0)], ids=named
)
def test_weighting_by_inverse_propensity_shows_every_candidate_once(policy):
    """E[1{first = a} / p] = 1 for each a: what every off-policy estimate rests on."""
    scores = np.array(SHAPES["falling"][:12])
    total = np.zeros(len(scores))
    for seed in seeds(DRAWS):
        indices, propensities = choose(policy, scores, 1, seed)
        total[indices[0]] += 1.0 / float(propensities[0])
    probability = policy.distribution(scores, [])
    error = np.sqrt((1.0 / probability - 1.0) / DRAWS)
    assert (np.abs(total / DRAWS - 1.0) < SIGMAS * error).all()


def probability_of(policy, scores, slate):
    steps = (policy.distribution(scores, slate[:depth])[index] for depth, index in enumerate(slate))
    return math.prod(steps)


def bound(probability):
    """Most often that an event of this probability may happen in all draws."""
    mean = DRAWS * probability
    return mean + SIGMAS * math.sqrt(mean) + SIGMAS


def assert_frequency(count, probability):
    mean = DRAWS * probability
    spread = SIGMAS * math.sqrt(mean * max(0.0, 1.0 - probability)) + SIGMAS
    assert abs(count - mean) <= spread, f"{count} of {DRAWS} draws at probability {probability}"


@every_policy
def test_a_row_of_many_is_drawn_as_it_would_be_alone(policy):
    """What stands beyond a row's candidates, and in other rows, changes nothing."""
    counts = [60, 0, 3, 10, 1]
    scores = np.sort(np.random.default_rng(1).random((len(counts), 60)))[:, ::-1].astype(np.float32)
    drawn = policy.choose_all(scores, np.array(counts, np.int32), SLOTS, np.array([7, 8, 9, 10, 2**53 - 1]))
    assert drawn.indices.shape == drawn.propensities.shape == (len(counts), SLOTS)
    for row, (count, seed) in enumerate(zip(counts, [7, 8, 9, 10, 2**53 - 1], strict=True)):
        alone = choose(policy, scores[row, :count], SLOTS, seed)
        k = min(SLOTS, count)
        assert drawn.indices[row, :k].tolist() == alone.indices.tolist()
        assert drawn.propensities[row, :k].tolist() == alone.propensities.tolist()
