"""The dashboards: their files are up to date, every query asks for what exists, and everything is shown."""

import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.grafana.build import BOARDS, FOLDER, main, text_of
from deploy.grafana.queries import annotations, choices, panels, read_board
from deploy.prometheus.promql import Checker
from tests.deploy.declared import bounds, declared, known, rules

FILES = sorted(FOLDER.glob("*.json"))
NOT_SHOWN: dict[str, str] = {}
"""Declared metrics that are deliberately on no panel, each with the reason."""


def asked(expression: str) -> set[str]:
    """Metrics of an expression; of a recorded one those that it is recorded from."""
    records = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}
    checker = Checker(known(), bounds())
    checker.check(expression)
    return checker.metrics.union(*(asked(records[name]) for name in checker.metrics & records.keys()))


def links(board: dict[str, Any]) -> list[str]:
    return [link["url"] for panel in board["panels"] for link in panel.get("links", [])]


def test_the_files_are_what_the_code_builds() -> None:
    texts = {board.name: text_of(board) for board in BOARDS}
    assert {path.stem for path in FILES} == set(texts)
    stale = [path.name for path in FILES if path.read_text() != texts[path.stem]]
    assert stale == [], "run python -m deploy.grafana.build"


def test_the_files_can_be_written_anywhere_with_links_to_docs_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        sys, "argv", ["build", "--to", str(tmp_path / "new"), "--docs", "https://docs.example"]
    )
    main()
    written = sorted((tmp_path / "new").glob("*.json"))
    assert [path.name for path in written] == [path.name for path in FILES]
    assert all('"query": "https://docs.example"' in path.read_text() for path in written)


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_no_query_asks_for_a_metric_or_a_label_that_does_not_exist(path: Path) -> None:
    board, labels, problems = read_board(path), known(), []
    for panel in panels(board):
        for expression, legend in panel.queries:
            checker = Checker(labels, bounds())
            checker.check(expression, legend)
            problems += [f"{panel.title}: {problem}" for problem in checker.problems]
    for expression in annotations(board):
        checker = Checker(labels, bounds())
        checker.check(expression)
        problems += checker.problems
    problems += [f"${c.name}" for c in choices(board) if c.label not in labels.get(c.metric, frozenset())]
    assert problems == []


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_panel_says_what_it_shows_and_lies_beside_the_others(path: Path) -> None:
    board = read_board(path)
    assert board["uid"] == f"freshslate-{path.stem}"
    taken: set[tuple[int, int]] = set()
    for panel in panels(board):
        assert len(panel.about) > 20, panel.title
        left, top, width, height = panel.place
        cells = {(x, y) for x in range(left, left + width) for y in range(top, top + height)}
        assert not cells & taken, panel.title
        assert left + width <= 24
        taken |= cells
    rows = {top for _, top in taken}
    assert all({x for x, y in taken if y == row} == set(range(24)) for row in rows), "a gap"
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_the_data_source_is_a_choice_and_every_query_uses_it(path: Path) -> None:
    board = read_board(path)
    first = board["templating"]["list"][0]
    assert (first["type"], first["name"], first["query"]) == ("datasource", "datasource", "prometheus")
    shown = [panel for panel in board["panels"] if panel["type"] != "row"]
    sources = [each["datasource"]["uid"] for panel in shown for each in (panel, *panel["targets"])]
    assert set(sources) == {"${datasource}"}


def test_every_alert_is_linked_from_a_panel_and_every_link_leads_to_an_alert() -> None:
    linked = {url for path in FILES for url in links(read_board(path))}
    alerts = {f"$docs/operations.md#{rule['alert'].lower()}" for rule in rules() if "alert" in rule}
    assert linked == alerts


def test_every_declared_metric_is_on_a_panel_or_left_out_for_a_reason() -> None:
    shown: set[str] = set()
    for path in FILES:
        for panel in panels(read_board(path)):
            shown |= set[str]().union(*(asked(expression) for expression, _ in panel.queries))
    names = {
        metric.name: {metric.name, f"{metric.name}_bucket", f"{metric.name}_count"} for metric in declared()
    }
    missing = {name for name, ways in names.items() if not ways & shown}
    assert missing == set(NOT_SHOWN)
