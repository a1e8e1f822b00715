"""Metrics of the API."""

from stream.api.metrics import API_METRICS, FILE_METRICS
from stream.monitor_metrics import MONITOR_METRICS
from stream.worker_metrics import METRICS


def test_every_name_is_declared_once_and_is_the_apis_own() -> None:
    names = [metric.name for metric in API_METRICS]
    assert len(set(names)) == len(names)
    assert all(name.startswith("freshslate_api_") for name in names)
    assert not {metric.name for metric in (*METRICS, *MONITOR_METRICS)} & set(names)


def test_no_label_holds_a_user_or_a_path() -> None:
    assert {label for metric in API_METRICS for label in metric.labels} == {
        "route",
        "status",
        "reason",
        "kind",
        "version",
    }


def test_files_that_workers_follow_too_have_the_workers_names() -> None:
    assert set(FILE_METRICS) <= set(METRICS)
