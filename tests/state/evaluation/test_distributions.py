"""Quantiles, concentration and rhythm against slow definitions and hand-made cases."""

from collections import Counter
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.evaluation.distributions import (
    DAY_MINUTES,
    Concentration,
    Rhythm,
    Spread,
    concentration,
    rhythm,
    spread,
)

VALUES = st.lists(st.integers(0, 1000), min_size=1, max_size=200)


@given(VALUES)
def test_a_spread_has_the_mean_and_the_quantiles_of_the_sorted_values(values):
    found = spread(Counter(values))
    ordered = sorted(values)
    quantiles = [ordered[ceil(share * len(ordered)) - 1] for share in (0.5, 0.9, 0.99)]
    assert (found.n, [found.median, found.p90, found.p99]) == (len(values), quantiles)
    assert found.mean == pytest.approx(sum(values) / len(values))


def test_a_unit_scales_every_number_but_the_count():
    assert spread({100: 3, 200: 1}, 0.01) == Spread(4, 1.25, 1.0, 2.0, 2.0)


def test_no_values_have_no_spread_and_no_concentration():
    assert spread({}) == Spread()
    assert concentration([]) == Concentration()


@given(st.lists(st.integers(1, 500), min_size=1, max_size=60))
def test_gini_is_half_the_relative_mean_difference_of_all_pairs(counts):
    n, mean = len(counts), sum(counts) / len(counts)
    difference = sum(abs(a - b) for a in counts for b in counts) / n**2
    found = concentration(counts)
    assert found.gini == pytest.approx(difference / (2 * mean), abs=1e-12)
    assert found.n == n


def test_the_busiest_tenth_is_counted_from_the_top():
    found = concentration([1] * 90 + [10] * 10)
    assert found.top_10 == pytest.approx(100 / 190)
    assert found.top_1 == pytest.approx(10 / 190)


def test_a_handful_of_items_has_at_least_one_in_its_top():
    assert concentration([3, 1]) == Concentration(2, 0.75, 0.75, pytest.approx(0.25))


def test_even_minutes_have_no_variance_and_no_peak():
    found = rhythm(dict.fromkeys(range(1000, 1000 + DAY_MINUTES), 7))
    assert found.hourly_peak == pytest.approx(1.0)
    assert found.fano == pytest.approx(0.0)
    assert found.rate_cv == 0.0


def test_the_peak_is_the_busiest_hour_of_day_by_the_mean_hour_over_all_days():
    minutes = {minute: 3 if minute // 60 % 24 == 20 else 1 for minute in range(3 * DAY_MINUTES)}
    assert rhythm(minutes).hourly_peak == pytest.approx(3 / (26 / 24))


def test_a_poisson_stream_has_a_fano_factor_of_one_and_a_steady_rate():
    counts = np.random.Generator(np.random.PCG64(3)).poisson(20.0, 20_000)
    found = rhythm(dict(enumerate(map(int, counts))))
    assert found.fano == pytest.approx(1.0, abs=0.05)
    assert found.rate_cv is not None
    assert found.rate_cv < 0.06


def test_the_cv_of_a_rate_that_doubles_does_not_depend_on_its_level():
    rng = np.random.Generator(np.random.PCG64(4))
    rates = np.tile([1.0, 3.0], 20_000)
    low, high = (rhythm(dict(enumerate(map(int, rng.poisson(level * rates))))) for level in (2, 50))
    assert low.rate_cv == pytest.approx(0.5, abs=0.02)
    assert high.rate_cv == pytest.approx(0.5, abs=0.02)
    assert high.fano is not None
    assert low.fano is not None
    assert high.fano > 10 * low.fano


def test_minutes_without_an_event_count_as_empty_and_the_cut_ones_at_the_ends_do_not_count():
    found = rhythm({0: 99, 1: 4, 4: 4, 5: 99})
    assert found.fano == pytest.approx(np.var([4, 0, 0, 4], ddof=1) / 2)


@pytest.mark.parametrize("minutes", [{}, {5: 2}, {5: 2, 6: 1, 7: 1}, {0: 1, 5: 1}])
def test_a_stream_too_short_for_a_rhythm_has_none(minutes):
    assert rhythm(minutes) == Rhythm()
