"""How charts become panels."""

from deploy.grafana.panels import Board, Chart, Query, Row, Variable, built, mean, quantile, quantiles, rate


def chart(title: str, **more: object) -> Chart:
    return Chart(title, "what it shows", "s", (Query("up", "{{instance}}"),), **more)  # type: ignore[arg-type]


def test_queries_sum_over_everything_but_what_they_are_asked_for() -> None:
    assert rate("a_total") == "sum (rate(a_total[$__rate_interval]))"
    assert rate("a_total", "x, y", 'z="1"') == 'sum by (x, y) (rate(a_total{z="1"}[$__rate_interval]))'
    assert (
        quantile(0.9, "b", "x")
        == "histogram_quantile(0.9, sum by (le, x) (rate(b_bucket[$__rate_interval])))"
    )
    assert [query.legend for query in quantiles("b", shares=(0.5, 0.999))] == ["p50", "p99.9"]
    assert mean("b") == "sum (rate(b_sum[$__rate_interval])) / sum (rate(b_count[$__rate_interval]))"


def test_a_board_becomes_grafanas_with_rows_variables_and_links() -> None:
    rows = (
        Row("First", tuple(chart(f"c{n}") for n in range(5))),
        Row("Second", (chart("number", form="number", limits=(1.0, 2.0), alert="SomethingBad"),)),
        Row("Third", (chart("stack", form="stacked"),)),
    )
    made = built(Board("name", "Title", "about", (Variable("x", "X", "up"),), rows), "/d")
    assert made.uid == "freshslate-name"
    shown = [panel for panel in made.panels or [] if panel.type_val != "row"]  # type: ignore[union-attr]
    assert [(panel.grid_pos.x, panel.grid_pos.w) for panel in shown[:5]] == [
        (0, 4),
        (4, 4),
        (8, 4),
        (12, 4),
        (16, 8),
    ]
    number, stack = shown[5:]
    assert number.grid_pos.y == 1 + 8 + 1
    assert number.type_val == "stat"
    assert [step.value for step in number.field_config.defaults.thresholds.steps] == [None, 1.0, 2.0]
    assert number.links[0].url == "$docs/operations.md#somethingbad"
    assert stack.field_config.defaults.custom.stacking.mode == "normal"
    names = [variable.name for variable in made.templating.list_val]
    assert names == ["datasource", "x", "docs"]
