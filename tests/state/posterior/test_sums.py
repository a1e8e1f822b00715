import numpy as np

from state.policy.context import CONTEXT_SIZE
from state.posterior.sums import (
    SPANS,
    TYPES,
    Sums,
    add_exposures,
    add_rewards,
    by_scenario,
    forget,
    grown,
    mature,
    new_sums,
)

WAITING = 5


def contexts(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, CONTEXT_SIZE)).astype(np.uint8)


def filled():
    sums = new_sums(2, WAITING)
    for array in sums:
        array[...] = np.random.default_rng(array.size).integers(0, 9, array.shape)
    return sums


def test_exposures_are_summed_by_row() -> None:
    sums, x = new_sums(1, WAITING), contexts(50)
    rows = np.arange(50) % 3
    add_exposures(sums, rows, np.arange(50.0), x)
    for row in range(3):
        own = x[rows == row].astype(float)
        assert np.array_equal(sums.outer[row], np.tril(own.T @ own))
        assert np.array_equal(sums.shown[row], own.sum(axis=0))
        assert sums.exposures[row] == len(own)
        assert sums.since[row] == np.arange(50)[rows == row].sum()
    assert not any(array[3:].any() for array in sums)


def test_rewards_are_summed_by_row_and_type() -> None:
    sums, x = new_sums(1, WAITING), contexts(40)
    rows, types = np.arange(40) % 2, np.arange(40) % 7
    rewards = np.random.default_rng(3).normal(size=40)
    add_rewards(sums, rows, types, rewards, x)
    for row in range(2):
        for code in range(TYPES):
            own = (rows == row) & (types == code)
            assert np.allclose(sums.earned[row, code], rewards[own] @ x[own].astype(float))
            assert np.isclose(sums.squares[row, code], (rewards[own] ** 2).sum())
    assert not sums.exposures.any()


def test_buckets_that_mature_move_to_their_hours_in_every_scenario() -> None:
    sums = filled()
    before = Sums(*(array.copy() for array in by_scenario(sums, WAITING)))
    mature(sums, WAITING, np.array([11, 12]), np.array([SPANS + 4, SPANS + 4]))
    for old, new in zip(before, by_scenario(sums, WAITING), strict=True):
        expected = old.copy()
        expected[:, WAITING + 4] += old[:, 1] + old[:, 2]  # 11 % 5 and 12 % 5
        expected[:, [1, 2]] = 0
        assert np.array_equal(new, expected)


def test_forgotten_hours_are_empty_and_nothing_else_is() -> None:
    sums = filled()
    before = Sums(*(array.copy() for array in by_scenario(sums, WAITING)))
    forget(sums, WAITING, np.array([SPANS, SPANS + 1]))
    for old, new in zip(before, by_scenario(sums, WAITING), strict=True):
        assert not new[:, WAITING : WAITING + 2].any()
        assert np.array_equal(new[:, WAITING + 2 :], old[:, WAITING + 2 :])
        assert np.array_equal(new[:, :WAITING], old[:, :WAITING])


def test_room_for_another_scenario_keeps_what_is_there() -> None:
    sums = filled()
    larger = grown(sums, 3, WAITING)
    for old, new in zip(by_scenario(sums, WAITING), by_scenario(larger, WAITING), strict=True):
        assert np.array_equal(new[:2], old)
        assert not new[2].any()
