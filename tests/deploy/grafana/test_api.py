"""The dashboard of the HTTP API."""

from deploy.grafana.api import API
from stream.api.metrics import API_METRICS, FILE_METRICS


def test_it_shows_requests_times_what_came_what_was_shown_and_the_process() -> None:
    assert [row.title for row in API.rows] == ["Requests", "Time", "Events and items", "Slates", "Process"]


def test_every_metric_of_the_api_is_on_it() -> None:
    queries = " ".join(query.expr for row in API.rows for chart in row.charts for query in chart.queries)
    assert [metric.name for metric in (*API_METRICS, *FILE_METRICS) if metric.name not in queries] == []
