"""Dashboards are drawn panel by panel from what Prometheus answers."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.grafana.queries import Panel
from deploy.grafana.render import Line, Span, draw, lines, main, render, text_of

SPAN = Span(1000.0, 1240.0)
BOARD: dict[str, Any] = {
    "title": "A board",
    "templating": {"list": []},
    "panels": [
        {"type": "row", "title": "A row", "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1}},
        *(
            {
                "type": kind,
                "title": title,
                "description": "",
                "fieldConfig": {"defaults": {"unit": "s", **more}},
                "gridPos": {"x": x, "y": 1, "w": 8, "h": 8},
                "targets": [{"expr": title, "legendFormat": "{{a}}"}],
            }
            for x, kind, title, more in (
                (0, "timeseries", "plain", {"thresholds": {"steps": [{"value": 1.0}]}}),
                (8, "timeseries", "stacked", {"custom": {"stacking": {"mode": "normal"}}}),
                (16, "stat", "number", {}),
            )
        ),
    ],
}


def series(expression: str, span: Span) -> list[dict[str, Any]]:
    """Two series, the second with a gap; nothing for alerts."""
    if "ALERTS" in expression:
        return [{"metric": {}, "values": [[span.start + 30, "1"]]}]
    times = [span.start + n * span.step for n in range(241)]
    return [
        {"metric": {"a": "x"}, "values": [[t, "2"] for t in times]},
        {"metric": {"a": "y"}, "values": [[t, "0.5"] for t in times[:100]]},
    ]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0005, "s", "0.5 ms"),
        (0.0, "s", "0 s"),
        (90.0, "s", "1.5 min"),
        (200_000.0, "s", "2.31 d"),
        (0.123, "percentunit", "12.3 %"),
        (1536.0, "bytes", "1.5 KiB"),
        (0.0, "bytes", "0 B"),
        (12_000.0, "ops", "12 k/s"),
        (7.0, "short", "7"),
        (47.6, "percentunit", "4,760 %"),
        (math.nan, "short", "nan"),
    ],
)
def test_a_value_is_told_in_its_unit(value: float, unit: str, text: str) -> None:
    assert text_of(value, unit) == text


def test_series_are_named_by_the_legend_and_gaps_stay_gaps() -> None:
    panel = Panel("t", "", "timeseries", "s", False, (), (0, 0, 8, 8), (("q", "of {{a}}"),))
    first, second = lines(panel, SPAN, series)
    assert [first.name, second.name] == ["of x", "of y"]
    assert first.values == [2.0] * 241
    assert first.times[-1] == 240.0
    assert second.values[99] == 0.5
    assert math.isnan(second.values[100])
    assert isinstance(first, Line)


def test_every_panel_is_drawn_at_its_place() -> None:
    figure, empty = draw(BOARD, SPAN, series, window="1m")
    assert empty == []
    plain, stacked, number = figure.axes[:3]
    assert [axes.get_title() for axes in (plain, stacked, number)] == ["plain", "stacked", "number"]
    assert plain.get_position().x0 < stacked.get_position().x0 < number.get_position().x0
    assert len(plain.lines) == 3  # two series and the limit
    assert len(plain.patches) == 1  # the moment an alert fired
    assert len(stacked.collections) == 2
    assert [text.get_text() for text in number.texts] == ["2 s"]
    assert {text.get_text() for text in figure.texts} == {"A board", "A row"}


def test_a_panel_without_data_says_so() -> None:
    figure, empty = draw(BOARD, SPAN, lambda *_: [], window="1m")
    assert empty == ["plain", "stacked", "number"]
    assert [axes.texts[0].get_text() for axes in figure.axes] == ["no data"] * 3


def test_there_is_one_picture_of_each_dashboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.json").write_text(json.dumps(BOARD))
    monkeypatch.setattr("deploy.grafana.render.FOLDER", tmp_path)
    empty = render(SPAN, lambda *_: [], tmp_path / "new", window="1m")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["one.png", "two.png"]
    assert sorted(empty) == ["one", "two"]


def test_a_prometheus_that_does_not_answer_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["render", "--prometheus", "http://127.0.0.1:1", "--to", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit, match="render: no Prometheus answers at"):
        main()
