import io

import pytest
from rich.console import Console

from state.retrieval.config import ModelConfig
from stream.screens.tuning import TuningScreen, changes, print_tuned, told
from stream.tuning import Trial, Tuned

START = Trial(0, ModelConfig(), {"hr@20": 0.5, "mrr@20": 0.2}, 1.0)
BETTER = Trial(3, ModelConfig(neighbours=500, rule_weight=0.123456), {"hr@20": 0.55, "mrr@20": 0.21}, 1.075)


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), width=120, force_terminal=terminal, color_system=None)


def text(of: Console) -> str:
    assert isinstance(of.file, io.StringIO)
    return of.file.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_only_a_new_best_is_a_line(terminal: bool) -> None:
    out = console(terminal=terminal)
    with TuningScreen(out, 60.0) as screen:
        screen.show(START, START)
        screen.show(START._replace(number=1), START)
        screen.show(BETTER, BETTER)
    lines = [line for line in text(out).splitlines() if " s, trial " in line]
    assert len(lines) == 2
    assert lines[1].endswith("s, trial 3: HR@20 0.5500, MRR@20 0.2100")


def test_the_end_tells_before_after_and_what_changed() -> None:
    out = console(terminal=False)
    tuned = Tuned(BETTER, START, 40, 61.2)
    print_tuned(out, tuned)
    assert text(out).splitlines() == [
        f"40 trials in 61 s; start: {told(START.metrics)}; best (trial 3): {told(BETTER.metrics)}",
        "  neighbours: 90 -> 500",
        "  rule_weight: 0.05 -> 0.1235",
    ]
    assert changes(tuned).keys() == {"neighbours", "rule_weight"}
