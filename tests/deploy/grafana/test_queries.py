"""What is read from a dashboard's JSON."""

import pytest

from deploy.grafana.build import FOLDER
from deploy.grafana.queries import Heading, annotations, choices, filled, headings, panels, read_board


def test_an_expression_is_filled_with_all_of_everything() -> None:
    expression = 'rate(a{b=~"$b", bc=~"$bc"}[$__rate_interval])'
    assert filled(expression, ["b", "bc"], "30s") == 'rate(a{b=~".*", bc=~".*"}[30s])'


def test_panels_headings_choices_and_marks_are_read_from_a_file() -> None:
    board = read_board(FOLDER / "freshness.json")
    found = {panel.title: panel for panel in panels(board, window="2m")}
    burn = found["Burn rate of the error budget"]
    assert burn.limits == (6.0, 14.4)
    assert [legend for _, legend in burn.queries] == ["5m", "30m", "1h", "6h"]
    assert found["Where the time goes"].is_stacked
    assert not burn.is_stacked
    assert "[2m]" in found["Event to slate, p99"].queries[0][0]
    assert found["Event to slate, p99"].kind == "stat"
    assert headings(board)[0] == Heading("Objective", 0)
    assert [choice.label for choice in choices(board)] == ["scenario"]
    assert annotations(board) == ['ALERTS{alertname=~"Freshslate.*", alertstate="firing"}']


def test_a_variable_that_asks_in_another_way_is_refused() -> None:
    variable = {"name": "x", "type": "query", "query": "query_result(up)"}
    with pytest.raises(ValueError, match="x asks 'query_result"):
        choices({"templating": {"list": [variable]}})
