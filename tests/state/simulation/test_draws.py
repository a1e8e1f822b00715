import numpy as np
import pytest

from state.simulation.draws import (
    draw,
    draw_below,
    draw_exponential,
    draw_from,
    draw_normal,
    stream_of,
)

N = 20_000


@pytest.fixture
def streams():
    return np.array([7, 8], np.uint64)


def test_a_stream_draws_again_what_it_drew_before(streams):
    first = [draw(streams, 0) for _ in range(3)]
    other = streams[1]
    again = np.array([7], np.uint64)
    assert [draw(again, 0) for _ in range(3)] == first
    assert streams[1] == other


def test_streams_of_shoppers_and_sessions_differ():
    starts = {
        int(stream_of(np.uint64(seed), shopper, session))
        for seed in range(5)
        for shopper in range(40)
        for session in range(40)
    }
    assert len(starts) == 5 * 40 * 40


def test_normal_numbers_are_standard_normal(streams):
    drawn = np.array([draw_normal(streams, 0) for _ in range(N)])
    assert abs(drawn.mean()) < 4 / N**0.5
    assert abs(drawn.var() - 1) < 4 * (2 / N) ** 0.5
    assert abs((drawn < -1).mean() - 0.1587) < 0.012


def test_exponential_numbers_have_mean_1_and_are_above_0(streams):
    drawn = np.array([draw_exponential(streams, 0) for _ in range(N)])
    assert drawn.min() > 0
    assert abs(drawn.mean() - 1) < 4 / N**0.5


def test_whole_numbers_below_n_are_equally_likely(streams):
    counts = np.bincount([draw_below(streams, 0, 5) for _ in range(N)], minlength=5)
    assert counts.size == 5
    assert np.abs(counts / N - 0.2).max() < 4 * (0.16 / N) ** 0.5


def test_draws_from_a_part_follow_its_steps(streams):
    cumulative = np.array([1.0, 0.5, 0.75, 0.75, 1.0])
    counts = np.bincount([draw_from(streams, 0, cumulative, 1, 5) for _ in range(N)], minlength=5)
    assert counts[0] == counts[3] == 0
    assert np.abs(counts[[1, 2, 4]] / N - [0.5, 0.25, 0.25]).max() < 4 * (0.25 / N) ** 0.5
