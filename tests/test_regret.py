"""`benchmarks/regret.py` on runs short enough for a test."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.regret import (
    CONTENDERS,
    DRIFTING,
    NEVER,
    POINTS,
    Curve,
    Loop,
    Report,
    arguments,
    interval,
    play,
    plot,
    table,
)


@pytest.fixture(scope="module")
def learned() -> Curve:
    return play("linear_ts", "clicks", 1, 4_000, unanswered=2_000)


def test_a_learning_policy_is_clicked_more_than_random_and_never_more_than_the_best(learned: Curve) -> None:
    random = play("random", "clicks", 1, 4_000, unanswered=2_000)
    assert learned.expected > 1.3 * random.expected
    assert learned.best > learned.expected
    assert learned.regret[-1] / learned.seen[-1] < random.regret[-1] / random.seen[-1]


def test_a_curve_has_a_point_for_each_part_and_regret_only_grows(learned: Curve) -> None:
    assert len(learned.seen) == len(learned.regret) == POINTS
    assert learned.decisions >= 4_000
    assert min(np.diff(learned.regret)) >= 0.0
    assert 0.5 * learned.decisions < learned.seen[-1] <= learned.decisions


def test_what_is_learned_comes_from_the_loop_itself() -> None:
    loop = Loop(CONTENDERS["linear_ts"], "clicks", 1)
    loop.run(events=2_000, is_shown=False)
    assert (loop.decided, loop.decide.beliefs.version) == (0, 0)
    loop.run(decisions=12_000)
    assert loop.decide.beliefs.version > 0
    assert loop.decide.beliefs.by_scenario[""].count > 1_000


def test_after_the_turn_other_slates_are_the_best() -> None:
    loop = Loop(DRIFTING["linear_ts, forgets nothing"], "drift", 1)
    loop.run(events=2_000, is_shown=False)
    loop.run(decisions=3_000)
    before = np.mean([best for _, best in loop.seen])
    seen = len(loop.seen)
    loop.turn()
    loop.run(decisions=6_000)
    after = np.mean([best for _, best in loop.seen[seen:]])
    assert abs(after - before) > 0.02
    assert NEVER.half_life_seconds > 1e6


def test_an_interval_is_students_over_seeds() -> None:
    mean, width = interval([1.0, 2.0, 3.0])
    assert (mean, width) == (2.0, pytest.approx(4.302653 * 1.0 / 3**0.5, rel=1e-5))
    assert np.isnan(interval([1.0])[1])


def test_the_table_and_the_plot_have_every_policy(learned: Curve, tmp_path: Path) -> None:
    report = Report({}, "clicks", 4_000, [learned, learned])
    (line,) = table(report).lines
    assert line[0] == "linear_ts"
    assert line[1].endswith("± 0.0")
    plot(report, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_numbers_go_to_a_file_of_the_study() -> None:
    assert arguments(["--study", "drift"]).json.name == "regret-drift.json"
    assert arguments([]).seeds * arguments([]).decisions * len(CONTENDERS) == 2_000_000
