import math

import numpy as np

from state.policy.draws import normals, seed_named


def test_normal_numbers_are_normal():
    numbers = normals(seed_named("x"), 100_000)
    assert abs(numbers.mean()) < 5 / math.sqrt(len(numbers))
    assert abs(numbers.var() - 1.0) < 5 * math.sqrt(2 / len(numbers))
    for border in (-2.0, -1.0, 0.0, 1.0, 2.0):
        wanted = 0.5 * (1.0 + math.erf(border / math.sqrt(2.0)))
        assert abs((numbers < border).mean() - wanted) < 5 * math.sqrt(wanted * (1 - wanted) / len(numbers))
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 5 / math.sqrt(len(numbers))


def test_the_numbers_of_a_seed_do_not_change():
    """They are in every worker and in every replay the same."""
    np.testing.assert_allclose(normals(7, 4), normals(7, 9)[:4], rtol=0)
    assert seed_named("linear_ts/1/") != seed_named("linear_ts/2/")
    assert 0 <= seed_named("linear_ts/1/") < 2**53
