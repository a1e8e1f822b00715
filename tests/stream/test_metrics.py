"""The exposition, as Prometheus's own parsers read it."""

import prometheus_client
import pytest
from faust.sensors.monitor import Monitor
from prometheus_client import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from stream.app import create_app
from stream.config import Settings
from stream.worker_metrics import (
    BUILD,
    EVENTS,
    LAST_COMMIT,
    METRICS,
    PROPENSITY,
    RESTORED,
    WorkerMetrics,
)
from tests.stream.test_worker_metrics import BASE_UNITS, CLOSED, stem


def filled():
    """Metrics with a sample of every declaration, under every label value."""
    metrics = WorkerMetrics(now=lambda: 1_763_831_000.0)
    for metric in METRICS:
        for n in range(max(len(CLOSED[label]) for label in metric.labels) if metric.labels else 1):
            labels = [sorted(CLOSED[label])[n % len(CLOSED[label])] for label in metric.labels]
            if metric.kind == "histogram":
                metrics.observe(metric, [metric.buckets[0], metric.buckets[-1] * 2], *labels)
            elif metric.kind == "counter":
                metrics.add(metric, 3 + n, *labels)
            else:
                metrics.set(metric, 1, *labels)
    return metrics


def ours(families):
    return {family.name: family for family in families if family.name.startswith("freshslate_")}


# Exposition ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["text", "openmetrics"])
def test_the_official_parser_reads_every_family_with_its_type_help_and_labels(kind):
    registry = filled().registry
    if kind == "text":
        families = ours(text_string_to_metric_families(generate_latest(registry).decode()))
    else:
        text = openmetrics.generate_latest(registry).decode()
        families = ours(openmetrics_parser.text_string_to_metric_families(text))
    for metric in METRICS:
        name = stem(metric)
        if kind == "text" and metric.kind == "info":
            name = metric.name  # the older format knows no such type
        family = families.pop(name)
        assert family.documentation == metric.help
        assert family.type == ("gauge" if name.endswith("_info") else metric.kind)
        assert family.samples
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == set(metric.labels)
            assert sample.name.startswith(metric.name)
        if kind == "openmetrics" and metric.unit in BASE_UNITS:
            assert family.unit == metric.unit
    assert families == {}


def test_a_histogram_is_exposed_whole():
    metrics = WorkerMetrics()
    metrics.observe(PROPENSITY, [0.1, 0.3, 0.3], "softmax")
    value = metrics.registry.get_sample_value
    by_policy = {"policy": "softmax"}
    assert value("freshslate_propensity_ratio_count", by_policy) == 3
    assert value("freshslate_propensity_ratio_sum", by_policy) == pytest.approx(0.7)
    assert value("freshslate_propensity_ratio_bucket", by_policy | {"le": "0.1"}) == 1
    assert value("freshslate_propensity_ratio_bucket", by_policy | {"le": "0.5"}) == 3
    assert value("freshslate_propensity_ratio_bucket", by_policy | {"le": "+Inf"}) == 3


def test_the_process_and_the_interpreter_are_exposed_too():
    names = {family.name for family in WorkerMetrics().registry.collect()}
    assert {"process_cpu_seconds", "process_resident_memory_bytes", "python_info"} <= names
    assert {"python_gc_collections", "python_gc_objects_collected"} <= names


def test_only_what_was_asked_for_can_be_scraped():
    only = filled().registry.restricted_registry(["freshslate_last_commit_timestamp_seconds"])
    families = list(only.collect())
    assert [family.name for family in families] == ["freshslate_last_commit_timestamp_seconds"]


def test_the_names_are_taken_in_the_registry_so_that_nobody_else_uses_them():
    with pytest.raises(ValueError, match="Duplicated"):
        prometheus_client.Counter("freshslate_slates", "theirs", registry=WorkerMetrics().registry)


def test_a_worker_that_has_done_nothing_shows_zeros_but_no_time_of_a_commit():
    metrics = WorkerMetrics()
    assert metrics.registry.get_sample_value(RESTORED.name) == 0
    assert metrics.registry.get_sample_value("freshslate_cycle_events_count") == 0
    assert metrics.registry.get_sample_value(LAST_COMMIT.name) is None


# Values ----------------------------------------------------------------------------------------------


def test_workers_of_one_process_share_no_metric():
    one, other = WorkerMetrics(), WorkerMetrics()
    one.add(RESTORED, 5)
    assert (one.value(RESTORED), other.value(RESTORED)) == (5, 0)
    assert other.registry.get_sample_value(RESTORED.name) == 0


def test_a_counter_counts_label_sets():
    metrics = WorkerMetrics()
    metrics.count(EVENTS, [("events", "click"), ("events", "view"), ("events", "click")])
    metrics.count(EVENTS, iter([("carts", "add_to_cart")]))
    assert metrics.value(EVENTS, "events", "click") == 2
    assert metrics.value(EVENTS, "events", "purchase") == 0
    assert metrics.value(EVENTS) == 4
    assert metrics.registry.get_sample_value(EVENTS.name, {"topic": "events", "type": "view"}) == 1


def test_every_scrape_looks_again():
    metrics = WorkerMetrics()
    looks = iter(range(10, 20))
    metrics.before_scrape(lambda: metrics.set(LAST_COMMIT, next(looks)))
    assert metrics.registry.get_sample_value(LAST_COMMIT.name) == 10
    assert metrics.registry.get_sample_value(LAST_COMMIT.name) == 11


def test_what_is_not_declared_cannot_be_written():
    with pytest.raises(KeyError):
        WorkerMetrics().add(BUILD.__class__("freshslate_other_total", "counter", "things", "Help.", ()), 1)


# faust -----------------------------------------------------------------------------------------------


def test_faust_exports_nothing_to_prometheus(tmp_path):
    """Its sensor crashes on a partition without a highwater, and counts milliseconds."""
    before = {family.name for family in prometheus_client.REGISTRY.collect()}
    app = create_app(Settings(data_dir=tmp_path, app_id="test-metrics"))
    assert {type(sensor) for sensor in (app.monitor, *app.sensors)} == {Monitor}
    assert "/metrics" not in app.web.views
    assert {family.name for family in prometheus_client.REGISTRY.collect()} == before
