import numpy as np
import pytest

from state.contracts.learning import candidates_of, known_of_world
from state.policy.committee import MOST_COMMITTEES
from state.policy.linear_ts import LinearTS


@pytest.mark.parametrize("epsilon", [0.0, 1e-7, 1.1, float("nan")])
def test_an_epsilon_that_leaves_items_without_support_is_refused(epsilon):
    with pytest.raises(ValueError, match="every item has support"):
        LinearTS(epsilon=epsilon)


def test_the_committee_sits_while_the_beliefs_hold():
    policy, known = LinearTS(), known_of_world(1)
    first = policy.committee(known)
    assert policy.committee(known) is first
    assert policy.committee(known._replace(version=9)) is not first
    assert policy.committee(known_of_world(2)) is not first


def test_committees_are_bounded():
    policy, known = LinearTS(members=1), known_of_world(1)
    for number in range(MOST_COMMITTEES + 10):
        policy.committee(known._replace(scenario=f"s{number}"))
    assert len(policy._sitting) <= MOST_COMMITTEES


def test_propensities_are_the_chances_of_those_who_like_it_best_and_the_floor():
    policy, known = LinearTS(epsilon=0.1, members=4), known_of_world(2)
    contexts, scores = candidates_of(2, 6)
    members, chances = policy.committee(known)
    favourites = (contexts.astype(np.float64) @ members).argmax(axis=0)
    wanted = np.full(6, 0.1 / 6)
    for favourite, chance in zip(favourites, chances, strict=True):
        wanted[favourite] += 0.9 * chance
    np.testing.assert_allclose(policy.distribution_of(contexts, scores, [], known), wanted)


def test_of_equal_candidates_the_one_ranked_first_is_liked_best():
    policy, known = LinearTS(epsilon=0.1), known_of_world(2)
    contexts = np.tile(candidates_of(2, 1)[0], (5, 1))
    found = policy.distribution_of(contexts, np.ones(5, np.float32), [1], known)
    np.testing.assert_allclose(found, [0.925, 0.0, 0.025, 0.025, 0.025])
