import math

import numpy as np
import pytest

from state.contracts.learning import candidates_of, known_of_world
from state.policy.learning import NOTHING_KNOWN
from state.policy.linear_ts import LinearTS

VERSIONS = 300
"""Of the beliefs: each draws members anew."""


@pytest.mark.parametrize("members", [0, -1, 1025])
def test_a_number_of_members_out_of_range_is_refused(members):
    with pytest.raises(ValueError, match=r"members must be a whole number in \[1, 1024\]"):
        LinearTS(members=members)


def test_members_are_drawn_from_the_belief():
    known = known_of_world(0)
    members = np.hstack(
        [LinearTS(members=1024).committee(known._replace(version=n)).members for n in range(20)]
    ).astype(np.float64)
    count = members.shape[1]
    covariance = known.belief.root.astype(np.float64) @ known.belief.root.T
    spread = np.sqrt(np.diag(covariance) / count)
    assert (np.abs(members.mean(axis=1) - known.belief.mean) < 5 * spread + 1e-6).all()
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    assert (np.abs(np.cov(members) - covariance) < 5 * scale * math.sqrt(2 / count)).all()


def test_every_worker_draws_the_same_members_and_every_version_others():
    known = known_of_world(0)
    first, second = (LinearTS().committee(known).members for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != LinearTS().committee(known._replace(version=99)).members.tobytes()


@pytest.mark.parametrize("taken", [[], [2, 0]])
@pytest.mark.parametrize("members", [8, 32])
def test_the_distance_to_true_thompson_sampling_is_within_hoeffdings_bound(taken, members):
    """Over many versions: too far no more often than the bound allows, and right on the average."""
    epsilon, known = 0.02, known_of_world(1)
    contexts, scores = candidates_of(0, 8)
    left = [index for index in range(8) if index not in taken]
    truth = thompson(contexts[left], known.belief)
    policy = LinearTS(epsilon=epsilon, members=members)
    found = np.array(
        [
            policy.distribution_of(contexts, scores, taken, known._replace(version=version))[left]
            for version in range(VERSIONS)
        ]
    )
    of_members = (found - epsilon / len(left)) / (1.0 - epsilon)
    assert truth.max() < 0.9  # or there would be nothing to see
    for delta in (0.05, 0.3):
        bound = math.sqrt(math.log(2.0 / delta) / (2.0 * members))
        beyond = (np.abs(of_members - truth) > bound).mean(axis=0)
        assert (beyond <= delta + 5 * math.sqrt(delta * (1 - delta) / VERSIONS)).all()
    error = np.sqrt(truth * (1.0 - truth) / (members * VERSIONS))
    assert (np.abs(of_members.mean(axis=0) - truth) < 5 * error + 2e-3).all()


def thompson(contexts, belief, draws=200_000):
    """How often each candidate is the best by a coefficient vector of the belief."""
    rng = np.random.default_rng(1)
    vectors = belief.mean + rng.normal(size=(draws, len(belief.mean))) @ belief.root.T
    best = (vectors @ contexts.T.astype(np.float64)).argmax(axis=1)
    return np.bincount(best, minlength=len(contexts)) / draws


def test_before_anything_is_known_the_blends_order_leads():
    scores = 0.7 ** np.arange(20)
    found = LinearTS().distribution(scores, [])
    assert found.argmax() == 0
    assert found[:3].sum() > 0.9
    assert LinearTS().committee(NOTHING_KNOWN).members.shape == (11, 32)
