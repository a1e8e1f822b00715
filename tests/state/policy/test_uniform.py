import itertools
from collections import Counter
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from state.policy.base import choose
from state.policy.uniform import Uniform
from state.seeds import seed_of


@given(st.integers(0, 1000), st.integers(0, 100), st.integers(0, 2**53 - 1))
def test_propensities_are_one_over_the_candidates_left(n, slots, seed):
    choice = choose(Uniform(), np.linspace(1.0, 0.0, n), slots, seed)
    wanted = [float(np.float32(Fraction(1, n - j))) for j in range(min(slots, n))]
    assert choice.propensities.tolist() == wanted
    assert len(set(choice.indices.tolist())) == len(choice.indices)
    assert all(0 <= index < n for index in choice.indices)


def test_scores_are_not_looked_at():
    falling = np.linspace(1.0, 0.0, 60, dtype=np.float32)
    for scores in (np.zeros(60), falling.astype(np.float64), np.full(60, 1e300)):
        drawn = choose(Uniform(), scores, 10, 7).indices
        assert drawn.tolist() == choose(Uniform(), falling, 10, 7).indices.tolist()


def test_every_ordered_slate_is_equally_frequent():
    """Pearson's chi-squared over the 60 slates of 3 out of 5; 59 degrees of freedom, 1 in 1000 above 98."""
    draws = 30_000
    counts = Counter(
        tuple(choose(Uniform(), np.ones(5), 3, seed_of("events", 1, n)).indices.tolist())
        for n in range(draws)
    )
    mean = draws / 60
    statistic = sum((counts[slate] - mean) ** 2 / mean for slate in itertools.permutations(range(5), 3))
    assert statistic < 98.3


def test_a_full_slate_is_a_permutation():
    choice = choose(Uniform(), np.ones(40), 100, 3)
    assert sorted(choice.indices.tolist()) == list(range(40))
    assert choice.propensities[-1] == 1.0


def test_the_version_is_that_of_the_name_alone():
    assert (Uniform().name, Uniform().version) == ("random", "5937ffcb")
