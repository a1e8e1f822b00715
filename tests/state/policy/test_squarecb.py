import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.policy.base import choose
from state.policy.squarecb import SquareCB


@pytest.mark.parametrize("gamma", [-1.0, 1e10, math.nan, math.inf])
def test_a_gamma_out_of_range_is_refused(gamma):
    with pytest.raises(ValueError, match=r"gamma must be in \[0, 1e\+09\].*got"):
        SquareCB(gamma=gamma)


@given(
    st.lists(st.integers(0, 1000), min_size=1, max_size=40), st.floats(0.0, 1e6), st.integers(0, 2**53 - 1)
)
def test_propensities_are_those_of_exact_fractions(scores, gamma, seed):
    scores.sort(reverse=True)
    choice = choose(SquareCB(gamma=gamma), np.array(scores, np.float64), 6, seed)
    left = list(range(len(scores)))
    for index, propensity in zip(choice.indices.tolist(), choice.propensities.tolist(), strict=True):
        others = {
            i: 1 / (len(left) + Fraction(gamma) * Fraction(scores[left[0]] - scores[i], scores[0] or 1))
            for i in left[1:]
        }
        wanted = others.get(index, 1 - sum(others.values()))
        assert math.isclose(propensity, float(wanted), rel_tol=1e-6)
        left.remove(index)


def test_gamma_0_is_uniform_and_a_large_one_nearly_greedy():
    scores = np.linspace(1.0, 0.0, 10)
    np.testing.assert_allclose(
        SquareCB(gamma=0.0).distribution(scores, [3]), [0.111111] * 3 + [0] + [0.111111] * 6, rtol=1e-4
    )
    assert SquareCB(gamma=1e6).distribution(scores, [])[0] > 0.9999


def test_one_gamma_fits_every_scale():
    scores = np.array([3.0, 2.0, 1.0])
    np.testing.assert_allclose(
        SquareCB().distribution(scores, []), SquareCB().distribution(scores / 1000, []), rtol=1e-12
    )
