"""The contract sees what is wrong with a learning policy: each of these breaks one promise."""

import numpy as np
import pytest

from state.contracts.learning import LearningPolicyContract
from state.policy.epsilon_greedy import EpsilonGreedy
from state.policy.learned import Learned
from state.policy.softmax import Softmax

CONTRACT = LearningPolicyContract()


class Wrong(Learned):
    """A learning policy with one thing changed."""

    def __init__(self, change=lambda policy, drawn: None):
        super().__init__(EpsilonGreedy(epsilon=0.3))
        self.calls = 0
        self._change = change

    def choose_contexts(self, contexts, scores, counts, slots, seeds, known, *, limits=None):
        drawn = super().choose_contexts(contexts, scores, counts, slots, seeds, known, limits=limits)
        self.calls += 1
        self._change(self, drawn)
        return drawn


def overstated(_, drawn):
    drawn.propensities[:] *= 1.01


def best_first(_, drawn):
    drawn.indices[:, :1] = 0


def tired(policy, drawn):
    drawn.propensities[:] /= policy.calls


def breaks(test, policy, *arguments):
    with pytest.raises(AssertionError):
        test(policy, *arguments)


def test_a_right_one_passes_what_the_wrong_ones_do_not():
    right = Wrong()
    CONTRACT.test_it_says_that_it_learns(right)
    CONTRACT.test_under_beliefs_a_propensity_is_the_probability_among_what_is_left(right, 1, True)
    CONTRACT.test_under_beliefs_slates_are_as_frequent_as_their_propensities_say(right, 1)
    CONTRACT.test_equal_beliefs_draw_equal_slates_whatever_was_drawn_between(right)


def test_a_policy_over_scores_alone_is_seen():
    breaks(CONTRACT.test_it_says_that_it_learns, Softmax())


def test_a_propensity_that_is_off_by_a_hundredth_is_seen():
    test = CONTRACT.test_under_beliefs_a_propensity_is_the_probability_among_what_is_left
    breaks(test, Wrong(overstated), 1, False)


def test_draws_that_are_not_as_frequent_as_they_say_are_seen():
    test = CONTRACT.test_under_beliefs_slates_are_as_frequent_as_their_propensities_say
    breaks(test, Wrong(best_first), 0)


def test_a_policy_that_remembers_what_it_drew_is_seen():
    breaks(CONTRACT.test_equal_beliefs_draw_equal_slates_whatever_was_drawn_between, Wrong(tired))


def test_an_expectation_that_is_not_finite_is_seen():
    policy = Wrong()
    policy.expected = lambda contexts, known: np.full(len(contexts), np.nan, np.float32)
    breaks(CONTRACT.test_every_context_has_a_finite_expectation, policy)
