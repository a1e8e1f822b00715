"""`benchmarks/offpolicy.py` small enough for a test: the same studies, with bounds that it has to keep."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmarks.offpolicy import TARGETS, arguments, coverage, on_policy, ranking, show, spearman
from benchmarks.slate_world import moments, play, value_of
from state.policy.softmax import Softmax


def test_intervals_of_a_small_study_hold_the_truth_and_the_model_alone_does_not() -> None:
    rows = coverage("softmax 0.6", TARGETS["softmax 0.6"], 1_600, 30, 40_000)
    found = {row["estimator"]: row for row in rows}
    for name in ("ips", "snips", "dr"):
        assert abs(found[name]["bias"]) < 4 * found[name]["bias_error"]
        assert found[name]["delta_coverage"] >= 0.85
    assert found["ips"]["bernstein_coverage"] == 1
    assert found["dm"]["delta_coverage"] < 0.6
    assert abs(found["independent, given the items above"]["bias"]) > 3 * abs(found["ips"]["bias"])


def test_one_log_ranks_eight_policies_as_they_rank_themselves() -> None:
    found = ranking(8_000, 1, on_policy(30_000))
    assert found["spearman"] >= 0.9
    assert found["told"] >= 7
    assert found["held"] >= found["told"] - 2


def test_a_rank_correlation_is_spearmans() -> None:
    assert spearman(np.array([1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0])) == pytest.approx(0.5)
    assert spearman(np.array([1.0, 2.0, 3.0]), np.array([-1.0, -5.0, -9.0])) == pytest.approx(-1)


def test_what_a_policy_is_worth_is_what_its_shoppers_click() -> None:
    rng = np.random.default_rng(1)
    policy = Softmax(temperature=0.3)
    truth = value_of(moments(40_000, rng), policy, 5, rng)
    played = play(moments(40_000, rng), [(policy, 1.0)], 5, rng).rewards.sum(axis=1).mean()
    assert played == pytest.approx(truth, rel=0.02)


def test_a_report_is_printed_for_the_page() -> None:
    row = {
        "policy": "p",
        "estimator": "dr",
        "truth": 0.5,
        "bias": 0.01,
        "bias_error": 0.001,
        "rmse": 0.02,
        "delta_coverage": 0.95,
        "delta_width": 0.1,
        "refused": 0,
    }
    ranked = {"policy": "p", "estimate": None, "refused": "why", "on_policy": 0.5}
    report = {
        "coverage": [row, {"policy": "p", "estimator": "ips", "truth": 0.5, "refused": 3}],
        "ranking": [{"rows": [ranked], "spearman": 1.0, "held": 7, "told": 8}],
        "speed": {"softmax": 20_000.0},
    }
    printed = io.StringIO()
    show(report, Console(file=printed, width=200))
    for text in ("+0.0100", "95.0%", "refused in all 3", "7 of 8", "20,000 slates/s"):
        assert text in printed.getvalue()


def test_the_command_line_has_the_size_that_the_page_tells() -> None:
    options = arguments([])
    page = (Path(__file__).parents[1] / "docs" / "evaluation.md").read_text()
    assert f"{options.seeds} logs of {options.slates:,} slates" in page
    assert f"{options.ranking_seeds} logs of {options.ranking_slates:,} slates" in page
