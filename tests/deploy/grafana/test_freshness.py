"""The dashboard of freshness."""

from deploy.grafana.freshness import FRESHNESS


def test_it_shows_the_objective_the_stages_and_the_heartbeat() -> None:
    assert [row.title for row in FRESHNESS.rows] == [
        "Objective",
        "Burn rate",
        "Latency",
        "Stages",
        "Heartbeat",
    ]


def test_the_burn_rate_is_shown_in_the_windows_that_alerts_look_at() -> None:
    burn = FRESHNESS.rows[1].charts[0]
    assert {query.legend for query in burn.queries} == {"5m", "30m", "1h", "6h"}
    assert burn.limits == (6.0, 14.4)


def test_latency_can_be_narrowed_to_scenarios() -> None:
    latency = FRESHNESS.rows[2].charts
    assert all('scenario=~"$scenario"' in query.expr for chart in latency for query in chart.queries)
