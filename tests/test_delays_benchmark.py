"""`benchmarks/delays.py`: what is learned is right under delays of days, where simpler ways are not."""

import io

import numpy as np
import pytest
from rich.console import Console

from benchmarks.delayed import DAY, KINDS, START, delta_of, make, rewards_of, truth
from benchmarks.delays import arguments, biases, drift, plot, run, tables
from state.policy.context import CONTEXT_SIZE, FULL

EXPOSURES = 30_000


@pytest.fixture(scope="module")
def found():
    rows = biases(16, EXPOSURES, lambda: None)
    return {(row.method, row.days): row for row in rows}


def test_after_the_longest_horizon_the_corrected_estimates_are_unbiased(found) -> None:
    for days in (8.0, 21.0):
        assert abs(found["corrected", days].z) < 2.6
        assert abs(found["corrected", days].mean) < 0.03


@pytest.mark.parametrize(("method", "least"), [("naive", 0.03), ("uncorrected", 0.25)])
def test_the_other_ways_are_biased(found, method, least) -> None:
    for days in (1.0, 3.0, 8.0, 21.0):
        assert found[method, days].z < -4
        assert found[method, days].mean < -least


def test_at_one_age_a_slow_type_is_learned_with_many_times_the_error(found) -> None:
    at_one_age, corrected = found["one age", 21.0], found["corrected", 21.0]
    assert abs(at_one_age.mean) < 0.05
    assert at_one_age.spread > 2 * corrected.spread
    assert at_one_age.slow_half_width > 2 * corrected.slow_half_width


def test_in_a_young_log_it_is_nearer_than_the_naive_way(found) -> None:
    assert found["naive", 3.0].mean < found["corrected", 3.0].mean - 0.05


def test_after_a_change_a_short_half_life_is_nearer_and_before_it_a_long_one() -> None:
    errors = {row.half_life_days: row.errors for row in drift(4, 100_000, lambda: None)}
    assert errors[3650.0]["9.5"] < errors[1.0]["9.5"]
    assert errors[1.0]["14"] < errors[3650.0]["14"]
    assert errors[7.0]["20"] < errors[3650.0]["20"]


def test_a_log_earns_what_the_truth_says() -> None:
    log = make(1, 400_000, 5.0)
    rewards = np.array([kind.reward for kind in KINDS])[log.kind].sum()
    expected = (log.contexts @ truth() / FULL).sum()
    assert rewards == pytest.approx(expected, rel=0.02)
    for number, kind in enumerate(KINDS):
        assert log.delay[log.kind == number].max() <= kind.horizon


def test_what_is_liked_changes_with_the_drift_alone() -> None:
    log = make(1, 400_000, 20.0, 10.0)
    is_late = log.times[log.exposure] >= START + 10 * DAY * 1000
    is_purchase = log.kind == 3
    liked = [log.contexts[log.exposure[is_purchase & late], 6].mean() for late in (~is_late, is_late)]
    assert liked[0] > 1.3 * liked[1]


def test_records_say_what_the_log_says() -> None:
    log = make(1, 100, 1.0)
    exposures, rewards = delta_of(log, 0, 100).exposures, rewards_of(log, 0, len(log.exposure))
    assert len(exposures.slates) == 10
    assert [exposures.times[n] for n in exposures.slate] == log.times.tolist()
    assert len(rewards[0].features) == CONTEXT_SIZE
    assert [each.time - round(1000 * each.delay_seconds) for each in rewards] == log.times[
        log.exposure
    ].tolist()


def test_a_run_prints_its_tables_and_draws_its_plot(tmp_path) -> None:
    options = arguments(["--seeds", "2", "--drift-seeds", "2", "--exposures", "2000"])
    console = Console(file=io.StringIO(), width=160)
    report = run(options, console)
    first, second = tables(report)
    assert len(first.lines) == 16
    assert [len(line) for line in second.lines] == [7, 7, 7]
    plot(report, tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
