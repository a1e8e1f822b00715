import numpy as np

from state.contracts.learning import candidates_of, known_of_world, one
from state.policy.context import CONTEXT_SIZE
from state.policy.epsilon_greedy import EpsilonGreedy
from state.policy.learned import Learned
from state.policy.learning import Known, expected_by
from state.policy.limits import Limits
from state.policy.softmax import Softmax
from state.policy.squarecb import SquareCB
from state.posterior.beliefs import PRIOR


def test_the_order_is_that_of_the_expected_reward():
    contexts, scores = candidates_of(2, 12)
    known = known_of_world(0)
    drawn = one(Learned(EpsilonGreedy(epsilon=1e-6)), contexts, scores, known, slots=12)
    expected = contexts.astype(np.float64) @ known.belief.mean
    assert drawn.indices.tolist() == np.argsort(-expected).tolist()


def test_what_is_expected_below_0_counts_as_0_and_comes_last():
    known = known_of_world(0)
    known = known._replace(belief=known.belief._replace(mean=-np.abs(known.belief.mean)))
    contexts, scores = candidates_of(2, 12)
    policy = Learned(Softmax())
    assert (policy.expected(contexts, known) < 0).all()
    np.testing.assert_allclose(policy.distribution_of(contexts, scores, [], known), np.full(12, 1 / 12))


def test_limits_follow_the_candidates_into_their_new_order():
    contexts, scores = candidates_of(2, 6)
    known = known_of_world(0)
    order = np.argsort(-(contexts.astype(np.float64) @ known.belief.mean)).tolist()
    groups = np.full((1, 6), -1, np.int32)
    groups[0, order[:3]] = 0
    drawn = one(
        Learned(EpsilonGreedy(epsilon=1e-6)),
        contexts,
        scores,
        known,
        slots=6,
        limits=Limits(groups, np.array([1], np.int32)),
    )
    assert drawn.indices.tolist() == [order[0], *order[3:]]


def test_before_anything_is_known_it_is_the_policy_over_scores_in_steps_of_a_byte():
    scores = np.array([255, 200, 100, 3], np.float32) / 255
    np.testing.assert_allclose(
        Learned(SquareCB()).distribution(scores, []), SquareCB().distribution(scores, []), rtol=1e-5
    )


def test_a_belief_that_cannot_be_written_is_read_as_another():
    """A snapshot's arrays may be read-only."""
    mean = np.linspace(0, 1, CONTEXT_SIZE).astype(np.float32)
    mean.flags.writeable = False
    belief = PRIOR.by_scenario[""]._replace(mean=mean)
    contexts, _ = candidates_of(1, 5)
    np.testing.assert_allclose(expected_by(belief, contexts), contexts @ mean / 255, rtol=1e-5)
    assert Learned(SquareCB()).expected(contexts, Known(1, "", belief)).shape == (5,)
