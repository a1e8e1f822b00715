"""The contract sees what is wrong: each of these breaks one promise, and its test fails."""

import numpy as np
import pytest

from state.contracts.policies import LIMITS, SHAPES, PolicyContract
from state.policy.base import Choices
from state.policy.softmax import Softmax
from state.policy.uniform import Uniform

CONTRACT = PolicyContract()
FALLING = np.array(SHAPES["falling"])
FEW = np.array(SHAPES["ties"])


class Wrong(Softmax):
    """Softmax with one thing changed."""

    def __init__(self, change=lambda drawn, scores, counts, limits: None):
        super().__init__(temperature=0.5)
        self._change = change

    def choose_all(self, scores, counts, slots, seeds, *, limits=None):
        drawn = super().choose_all(scores, counts, slots, seeds, limits=limits)
        self._change(drawn, scores, counts, limits)
        return drawn


def overstated(drawn, *_):
    drawn.propensities[:] *= 1.01


def best_first(drawn, *_):
    drawn.indices[:, :1] = 0


def twice(drawn, *_):
    drawn.indices[:, 1:2] = drawn.indices[:, :1]


def scribbling(_, scores, *__):
    scores[:] = 0


def short(drawn, *_):
    drawn.sizes[:] = np.minimum(drawn.sizes, 1)


def breaks(test, policy, *arguments):
    with pytest.raises(AssertionError):
        test(policy, *arguments)


def test_a_right_one_passes_what_the_wrong_ones_do_not():
    right = Wrong()
    CONTRACT.test_a_chosen_item_has_the_probability_that_the_distribution_gives_it(right, FALLING)
    CONTRACT.test_slates_are_as_frequent_as_their_logged_propensities_say(right, FEW)
    CONTRACT.test_a_slate_has_different_candidates_and_probabilities_of_float32(right, FALLING, 4)
    CONTRACT.test_the_scores_stay_as_they_are(right, FALLING)


def test_a_propensity_that_is_off_by_a_hundredth_is_seen():
    test = CONTRACT.test_a_chosen_item_has_the_probability_that_the_distribution_gives_it
    breaks(test, Wrong(overstated), FALLING)


def test_draws_that_are_not_as_frequent_as_they_say_are_seen():
    breaks(CONTRACT.test_slates_are_as_frequent_as_their_logged_propensities_say, Wrong(best_first), FEW)
    breaks(CONTRACT.test_each_position_shows_each_candidate_as_often_as_computed, Wrong(best_first), FEW)


def test_an_item_that_comes_twice_is_seen():
    test = CONTRACT.test_a_slate_has_different_candidates_and_probabilities_of_float32
    breaks(test, Wrong(twice), FALLING, 4)


def test_scores_that_are_written_over_are_seen():
    breaks(CONTRACT.test_the_scores_stay_as_they_are, Wrong(scribbling), FALLING.copy())


def test_a_draw_that_changes_with_the_call_is_seen():
    class Moody(Uniform):
        def __init__(self):
            super().__init__()
            self._calls = 0

        def choose_all(self, scores, counts, slots, seeds, *, limits=None):
            self._calls += 1
            return super().choose_all(scores, counts, slots, seeds + self._calls, limits=limits)

    breaks(CONTRACT.test_the_same_seed_draws_the_same_slate, Moody(), FALLING)


@pytest.mark.parametrize("name", LIMITS)
def test_a_policy_that_forgets_the_limits_is_seen(name):
    class Careless(Softmax):
        def choose_all(self, scores, counts, slots, seeds, *, limits=None):
            return super().choose_all(scores, counts, slots, seeds)

    test = CONTRACT.test_under_limits_a_propensity_is_the_probability_among_what_they_leave
    breaks(test, Careless(temperature=0.5), FALLING, *LIMITS[name])


def test_a_slate_that_ends_though_candidates_are_left_is_seen():
    test = CONTRACT.test_under_limits_a_propensity_is_the_probability_among_what_they_leave
    breaks(test, Wrong(short), FALLING, *LIMITS["uneven"])


def test_a_draw_that_looks_at_other_rows_is_seen():
    class Sticky(Uniform):
        def choose_all(self, scores, counts, slots, seeds, *, limits=None):
            return super().choose_all(scores, counts, slots, np.full_like(seeds, seeds[0]), limits=limits)

    breaks(CONTRACT.test_a_row_of_many_is_drawn_as_it_would_be_alone, Sticky())


def test_limits_that_change_an_open_draw_are_seen():
    class Other(Uniform):
        def choose_all(self, scores, counts, slots, seeds, *, limits=None):
            return super().choose_all(scores, counts, slots, seeds + (limits is not None), limits=limits)

    breaks(CONTRACT.test_limits_that_close_nothing_change_no_draw, Other(), FALLING)


def test_a_distribution_that_leaves_something_out_is_seen():
    class Blind(Uniform):
        def distribution(self, scores, taken):
            result = super().distribution(scores, taken)
            return np.where(np.arange(len(scores)) == len(scores) - 1, 0.0, result)

    breaks(CONTRACT.test_probabilities_sum_to_1_over_the_candidates_at_each_position, Blind(), FALLING)


@pytest.mark.parametrize(("name", "version"), [("By Rank", "0" * 8), ("by_rank", "1"), ("", "0" * 8)])
def test_names_and_versions_that_cannot_be_logged_are_seen(name, version):
    class Named(Uniform):
        def __init__(self):
            self.version = version

    Named.name = name
    breaks(CONTRACT.test_it_has_a_name_and_a_version, Named())


def test_the_contract_asks_for_its_policy():
    with pytest.raises(NotImplementedError, match="fixture `policy`"):
        PolicyContract.policy.__wrapped__(CONTRACT)
    assert Choices.empty(np.array([3], np.int32), 2).sizes.tolist() == [2]
