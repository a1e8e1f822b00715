import numpy as np
import pytest

from state.posterior.delays import LEAST_REWARDS, add_delays, arrived, new_delays, pass_spans
from state.posterior.sums import SPAN_MS, SPANS, TYPES

MATURITY = 1800
DAY = 86_400
CLICK, PURCHASE = 2, 5
BEGIN = 500_000
"""Hour of the first slate."""


def seen(kind, delays, hours, newest):
    """Delays, as a log knows them that ends with the hour `newest`."""
    found = new_delays(MATURITY)
    came = hours * 3600 + 1800 + delays <= (newest + 1) * 3600
    add_delays(found, newest, hours[came], np.full(came.sum(), kind), delays[came])
    return found


def exponential(mean, count, span_hours, seed=1):
    """Delays, and hours of slates evenly over a log."""
    draw = np.random.default_rng(seed)
    return draw.exponential(mean, count), BEGIN + draw.integers(0, span_hours, count)


def test_the_first_bin_ends_at_maturity_and_the_last_beyond_two_weeks() -> None:
    edges = new_delays(MATURITY).edges
    assert edges[0] == MATURITY
    assert np.allclose(edges[1:] / edges[:-1], np.sqrt(2))
    assert edges[-1] >= 16 * DAY


def test_a_delay_is_counted_in_the_bin_that_it_does_not_exceed() -> None:
    found = new_delays(MATURITY)
    seconds = np.array([-3.0, 0.0, 1800.0, 1800.1, found.edges[1], found.edges[-1] + 1])
    add_delays(found, BEGIN, np.full(6, BEGIN), np.full(6, CLICK), seconds)
    counted = found.counts[CLICK, BEGIN % SPANS]
    assert counted[:3].tolist() == [3, 2, 0]
    assert counted.sum() == 5


@pytest.mark.parametrize("age", [1800.0, 6 * 3600.0, DAY, 5.0 * DAY])
def test_the_share_that_arrived_is_right_although_the_log_has_not_seen_the_slow_ones(age) -> None:
    mean, days = 1.5 * DAY, 20
    delays, hours = exponential(mean, 200_000, days * 24)
    newest = BEGIN + days * 24 - 1
    found = seen(PURCHASE, delays, hours, newest)
    (share,) = arrived(found, (newest + 1) * SPAN_MS - 1, np.array([age]))[PURCHASE]
    truth = 1 - np.exp(-age / mean)
    among_seen = np.mean(delays[hours * 3600 + 1800 + delays <= (newest + 1) * 3600] <= age)
    # Interpolated between edges: within 4 % of a share, and nearer than the share among all seen at first.
    assert share == pytest.approx(truth, rel=0.04)
    if age < DAY:
        assert abs(share - truth) < abs(among_seen - truth)


def test_in_a_young_log_shares_are_of_what_can_have_been_seen() -> None:
    delays, hours = exponential(3 * DAY, 400_000, 12)
    newest = BEGIN + 11
    found = seen(PURCHASE, delays, hours, newest)
    (share,) = arrived(found, (newest + 1) * SPAN_MS - 1, np.array([1800.0]))[PURCHASE]
    longest = found.edges[found.edges <= 11 * 3600][-1]
    expected = -np.expm1(-1800 / (3 * DAY)) / -np.expm1(-longest / (3 * DAY))
    assert share == pytest.approx(expected, rel=0.1)


def test_shares_rise_with_age_to_one() -> None:
    delays, hours = exponential(DAY, 20_000, 10 * 24)
    found = seen(PURCHASE, delays, hours, BEGIN + 239)
    shares = arrived(found, (BEGIN + 240) * SPAN_MS, np.geomspace(1.0, 40 * DAY, 60))
    assert (np.diff(shares, axis=1) >= 0).all()
    assert shares[PURCHASE, -1] == 1.0
    assert 0 < shares[PURCHASE, 0] < 0.1
    assert (shares[CLICK] == 1.0).all()  # none was seen
    assert shares.shape == (TYPES, 60)


@pytest.mark.parametrize(("count", "is_believed"), [(LEAST_REWARDS - 1, False), (LEAST_REWARDS, True)])
def test_few_rewards_say_nothing_of_delays(count, is_believed) -> None:
    hours = np.full(count, BEGIN)
    found = seen(PURCHASE, np.full(count, 7000.0), hours, BEGIN + 300)
    (share,) = arrived(found, (BEGIN + 300) * SPAN_MS, np.array([1800.0]))[PURCHASE]
    assert (share < 1.0) == is_believed


def test_hours_that_are_too_old_are_forgotten_and_their_late_rewards_left_out() -> None:
    found = new_delays(MATURITY)
    one = np.ones(1, np.int64)
    add_delays(found, BEGIN, BEGIN * one, CLICK * one, np.ones(1))
    pass_spans(found, BEGIN, BEGIN + SPANS - 1)
    assert found.counts.sum() == 1
    pass_spans(found, BEGIN + SPANS - 1, BEGIN + SPANS)
    assert found.counts.sum() == 0
    add_delays(found, BEGIN + SPANS, BEGIN * one, CLICK * one, np.ones(1))
    assert found.counts.sum() == 0
