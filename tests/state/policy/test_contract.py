"""Every policy is under the contract (`state/contracts/policies.py`), and what needs one that explores."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.contracts.learning import LearningPolicyContract, candidates_of, known_of_world, one
from state.contracts.policies import DRAWS, SHAPES, SIGMAS, SLOTS, PolicyContract, limits_over, seeds
from state.policy.base import choose
from state.policy.epsilon_greedy import EpsilonGreedy
from state.policy.greedy import Greedy
from state.policy.learned import Learned
from state.policy.limits import closed
from state.policy.linear_ts import LinearTS
from state.policy.registry import POLICY_NAMES
from state.policy.river_model import RiverModel
from state.policy.softmax import Softmax
from state.policy.source_mix import SourceMix
from state.policy.squarecb import SquareCB
from state.policy.uniform import Uniform

POLICIES = [
    SquareCB(),
    SquareCB(gamma=0.0),
    SquareCB(gamma=5.0),
    EpsilonGreedy(),
    EpsilonGreedy(epsilon=0.4),
    Softmax(),
    Softmax(temperature=0.0125),
    Softmax(temperature=2.0),
    Uniform(),
]


LEARNING = [
    LinearTS(),
    LinearTS(epsilon=0.3, members=5),
    SourceMix(),
    SourceMix(epsilon=0.4),
    Learned(SquareCB(gamma=20.0)),
    Learned(EpsilonGreedy(epsilon=0.3)),
    Learned(Softmax()),
]


def named(policy):
    return f"{policy.name}-{policy.version}"


class TestEveryPolicy(PolicyContract):
    @pytest.fixture(params=POLICIES, ids=named)
    def policy(self, request):
        return request.param


class TestEveryLearningPolicy(LearningPolicyContract):
    @pytest.fixture(params=LEARNING, ids=named)
    def policy(self, request):
        return request.param


class TestGreedy(PolicyContract):
    explores = False

    @pytest.fixture
    def policy(self):
        return Greedy()


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(LEARNING),
    st.integers(1, 40),
    st.integers(0, 2**53 - 1),
    st.lists(st.integers(-1, 3), min_size=1, max_size=6),
    st.lists(st.integers(1, 3), min_size=4, max_size=4),
    st.booleans(),
)
def test_whatever_is_asked_a_learning_policy_says_what_it_does(policy, count, seed, groups, most, limited):
    """Any contexts, beliefs and limits: probabilities sum to 1, and the drawn one is what is logged."""
    contexts, scores = candidates_of(seed % 1009, count)
    known = known_of_world(seed % 13)
    limits = limits_over(count, groups, most) if limited else None
    slate, propensities = one(policy, contexts, scores, known, slots=6, seed=seed, limits=limits)
    above = []
    for index, propensity in zip(slate.tolist(), propensities.tolist(), strict=True):
        barred = above if limits is None else closed(limits, 0, above)
        assert index not in barred
        distribution = policy.distribution_of(contexts, scores, barred, known)
        assert math.isclose(distribution.sum(), 1.0, rel_tol=1e-12)
        assert math.isclose(propensity, distribution[index], rel_tol=2e-7)
        above.append(index)
    left = count - len(above if limits is None else closed(limits, 0, above))
    assert len(above) == 6 or left == 0


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(POLICIES),
    st.lists(st.floats(0.0, 1e6, width=32), min_size=1, max_size=40),
    st.integers(0, 2**53 - 1),
    st.lists(st.integers(-1, 3), min_size=1, max_size=6),
    st.lists(st.integers(1, 3), min_size=4, max_size=4),
)
def test_whatever_the_scores_a_policy_says_what_it_does(policy, scores, seed, groups, most):
    scores = np.sort(np.array(scores, np.float32))[::-1].copy()
    limits = limits_over(len(scores), groups, most)
    above = []
    for index, propensity in zip(*choose(policy, scores, 6, seed, limits=limits), strict=True):
        barred = closed(limits, 0, above)
        assert index not in barred
        distribution = policy.distribution(scores, barred)
        assert math.isclose(distribution.sum(), 1.0, rel_tol=1e-12)
        assert math.isclose(propensity, distribution[index], rel_tol=1e-6)
        above.append(int(index))
    assert len(above) == 6 or len(closed(limits, 0, above)) == len(scores)


def test_every_registered_policy_is_under_contract():
    others = {Greedy.name, RiverModel.name}  # the first above, the other in its own file
    assert {policy.name for policy in POLICIES + LEARNING} | others == set(POLICY_NAMES)


@pytest.mark.parametrize("policy", [EpsilonGreedy(epsilon=0.4), Softmax(), Uniform()], ids=named)
def test_other_seeds_draw_other_slates(policy):
    scores = np.array(SHAPES["falling"])
    drawn = {tuple(choose(policy, scores, 10, seed).indices.tolist()) for seed in seeds(100)}
    assert len(drawn) > 50


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
