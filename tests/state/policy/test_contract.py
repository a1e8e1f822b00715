"""Every policy is under the contract (`state/contracts/policies.py`), and what needs one that explores."""

import math

import numpy as np
import pytest

from state.contracts.learning import LearningPolicyContract
from state.contracts.policies import DRAWS, SHAPES, SIGMAS, SLOTS, PolicyContract, seeds
from state.policy.base import choose
from state.policy.epsilon_greedy import EpsilonGreedy
from state.policy.greedy import Greedy
from state.policy.learned import Learned
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
