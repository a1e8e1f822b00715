import io

import pytest
from rich.console import Console

from state.evaluation.contenders import Engine
from state.evaluation.metrics import CUTS, METRICS
from state.evaluation.results import ALL
from stream.evaluation import MarkedEvents, Plan, Split, ask, compare_contenders, contenders, statement
from stream.screens.evaluation import (
    EvaluationScreen,
    print_freshness,
    print_results,
    print_statement,
    verdicts,
)
from tests.stream.evaluations import made

PLAN = Plan(late_days=2)


def console() -> Console:
    return Console(file=io.StringIO(), width=250)


def printed(on: Console) -> str:
    return on.file.getvalue()


@pytest.fixture(scope="module")
def found():
    events = MarkedEvents(made(), Split(days=3))
    questions = ask(events, PLAN)
    makers = contenders({"engine": Engine}, ["popularity"], PLAN)
    return statement(events, questions, PLAN), compare_contenders(questions, makers, seed=1)


def test_the_protocol_is_stated_with_its_numbers(found) -> None:
    stated, _ = found
    on = console()
    print_statement(on, stated | {"note": "no times"})
    text = printed(on)
    assert "protocol frozen: learn the training sessions" in text
    assert f"{stated['predictions']:,} predictions" in text
    assert "the last 3 days" in text
    assert "the models are 2 days late" in text
    assert "known from training only" in text
    assert "seed 1" in text
    assert "note: no times" in text


def test_results_hold_every_metric_row_and_difference(found) -> None:
    _, results = found
    on = console()
    print_results(on, results)
    text = printed(on)
    row = results.configurations["engine"].rows[ALL]
    assert f"{row.values['hr@20']:.4f} ±" in text
    assert all(f"{name}@{cut}" in text for name in METRICS for cut in CUTS)
    assert "not seen before" in text
    assert "engine minus" in text
    assert f"{results.differences['popularity']['map@20'].value:+.4f} (" in text


def test_a_difference_is_told_in_words(found) -> None:
    _, results = found
    assert list(verdicts(results)) == [
        "engine and popularity, hr@20: " + next(verdicts(results)).split(": ")[1],
        "engine and popularity, mrr@20: engine is better",
    ]


def test_freshness_shows_both_kinds_of_items(found) -> None:
    _, results = found
    row = results.configurations["engine"].rows[ALL]
    on = console()
    print_freshness(on, [("2 days late", row, row)])
    assert printed(on).count(f"{row.values['mrr@20']:.4f} ±") == 2


def test_without_a_terminal_progress_is_a_line_now_and_then(monkeypatch) -> None:
    on = console()
    monkeypatch.setattr("stream.screens.counting.LINE_SECONDS", 0.0)
    with EvaluationScreen(on) as screen:
        screen.show("engine", 5, 1_000)
    assert printed(on) == "engine: 5 of 1,000 queries\n"


def test_on_a_terminal_progress_is_a_bar() -> None:
    on = Console(file=io.StringIO(), width=120, force_terminal=True)
    with EvaluationScreen(on) as screen:
        screen.show("engine", 5, 1_000)
        screen._bar.refresh()
    assert "5/1000" in printed(on)
