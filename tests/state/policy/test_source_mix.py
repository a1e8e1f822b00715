import numpy as np
import pytest

from state.policy.learning import NOTHING_KNOWN, Known
from state.policy.source_mix import FLOOR, SourceMix, chances
from state.posterior.beliefs import PRIOR

FIRST = 3


def known(shown, earned, *, version=1):
    """A belief of sources that were shown and earned so much, of all that was shown and earned."""
    prior = PRIOR.by_scenario[""]
    row = np.zeros(11, np.float32), np.zeros(11, np.float32)
    row[0][FIRST:], row[1][FIRST:] = shown, earned
    row[0][0], row[1][0] = 1000.0, 50.0
    return Known(version, "", prior._replace(shown=row[0], earned=row[1]))


def test_before_anything_is_known_every_source_has_about_the_same_chance():
    p = chances(NOTHING_KNOWN, 1)
    assert p.shape == (8,)
    assert p.sum() == pytest.approx(1.0)
    assert (np.abs(p - 1 / 8) < 0.05).all()


def test_chances_are_those_of_being_the_best_floored():
    p = chances(known([200, 200, 200, 200, 100, 50, 50, 50], [10, 40, 10, 10, 5, 2, 2, 2]), 1)
    assert p.argmax() == 1
    assert p[1] > 0.85
    assert (p >= FLOOR).all()
    assert p.sum() == pytest.approx(1.0)


def test_a_source_of_which_little_was_seen_keeps_a_larger_chance():
    p = chances(known([400, 400, 4, 0, 0, 0, 0, 0], [40, 20, 0.2, 0, 0, 0, 0, 0]), 1)
    assert p[0] > p[2] > 3 * p[1]


def test_a_source_that_is_turned_off_is_no_arm():
    p = chances(known([400, 400, 200, 0, 0, 0, 0, 0], [20, 20, 10, 0, 0, 0, 0, 0]), 1)
    assert p[3:].tolist() == [0.0] * 5
    assert (p[:3] > 0.1).all()


def test_a_position_is_given_to_what_the_drawn_source_shares_most_in():
    policy = SourceMix(epsilon=0.08)
    belief = known([400, 400, 200, 0, 0, 0, 0, 0], [20, 20, 10, 0, 0, 0, 0, 0])
    p = policy.committee(belief).chances
    contexts = np.zeros((4, 11), np.uint8)
    contexts[:, 0] = 255
    contexts[3, FIRST] = 200
    contexts[2, FIRST + 1] = contexts[1, FIRST + 1] = 90  # equals: the first
    found = policy.distribution_of(contexts, np.ones(4, np.float32), [], belief)
    np.testing.assert_allclose(found, 0.02 + 0.92 * np.array([p[2], p[1], 0.0, p[0]]))
