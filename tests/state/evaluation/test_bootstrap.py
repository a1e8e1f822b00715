import numpy as np

from state.evaluation.bootstrap import interval, resampled, sums_by_group


def test_sums_are_by_group() -> None:
    values = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    assert sums_by_group(values, np.array([0, 2, 0], np.int32)).tolist() == [[5, 50], [0, 0], [2, 20]]


def test_the_same_seed_draws_the_same() -> None:
    sums = np.arange(20.0).reshape(10, 2)
    first, second = (resampled(sums, np.random.default_rng(7), rounds=5) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert len(np.unique(first[:, 0])) > 1


def test_columns_are_drawn_together() -> None:
    values = np.random.default_rng(1).random(50)
    drawn = resampled(np.stack([values, 3 * values], axis=1), np.random.default_rng(2), rounds=50)
    assert np.allclose(3 * drawn[:, 0], drawn[:, 1])


def test_intervals_hold_the_true_mean_about_95_times_of_100() -> None:
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(300):
        sizes = rng.integers(1, 6, 60)
        taste = rng.normal(0.3, 0.5, 60)
        sums = np.stack([taste * sizes, sizes.astype(float)], axis=1)
        drawn = resampled(sums, rng, rounds=200)
        low, high = interval(drawn[:, 0] / drawn[:, 1])
        held += low <= 0.3 <= high
    assert 0.90 <= held / 300 <= 0.98


def test_a_paired_difference_is_surer_than_either_mean() -> None:
    rng = np.random.default_rng(3)
    users = rng.random(400)
    better = users + rng.normal(0.02, 0.05, 400)
    drawn = resampled(np.stack([better, users], axis=1), rng) / 400
    low, high = interval(drawn[:, 0] - drawn[:, 1])
    alone = interval(drawn[:, 0])
    assert 0 < low < 0.02 < high
    assert high - low < 0.3 * (alone[1] - alone[0])


def test_without_groups_there_is_nothing_to_draw() -> None:
    assert resampled(np.zeros((0, 2)), np.random.default_rng(1), rounds=3).tolist() == [[0, 0]] * 3
