"""The dashboard of recommendations."""

from deploy.grafana.recommendations import RECOMMENDATIONS


def test_it_shows_worth_exploration_coverage_and_calibration() -> None:
    titles = {chart.title for row in RECOMMENDATIONS.rows for chart in row.charts}
    assert titles >= {
        "Click-through rate",
        "Conversion",
        "Revenue per mille",
        "Exploration",
        "Propensity of published items",
        "Coverage of the catalogue",
        "Drifts told",
        "Calibration",
    }


def test_worth_is_shown_by_policy_and_can_be_narrowed_to_policies_and_scenarios() -> None:
    for chart in RECOMMENDATIONS.rows[0].charts:
        for query in chart.queries:
            assert "{{policy}}" in query.legend
            assert 'policy=~"$policy", scenario=~"$scenario"' in query.expr


def test_several_monitors_are_not_added_up() -> None:
    charts = [chart for row in RECOMMENDATIONS.rows[:2] for chart in row.charts]
    assert all("max by (policy" in query.expr for chart in charts for query in chart.queries)
