"""What is declared follows the rules of Prometheus."""

import re

import pytest

from state import attribution
from state.errors import REASONS
from state.event import EVENT_TYPES, SCENARIOS
from state.exposure import HOWS
from stream.worker_metrics import (
    CYCLE_SECONDS,
    EVENT_TO_SLATE,
    EVENTS,
    LAG,
    LAG_SECONDS,
    METRICS,
    PHASES,
    RECORD_TO_SLATE,
    STAGE_SECONDS,
    STAGES,
    WorkerMetrics,
    told,
)

BASE_UNITS = {"seconds", "bytes", "ratio"}
"""Units that Prometheus's naming rules want at the end of a name."""
OTHER_UNITS = re.compile(r"_(ms|millis|milliseconds|us|minutes|hours|days|kb|mb|percent)(_|$)")
CLOSED = {
    "topic": {"events"},
    "type": set(EVENT_TYPES),
    "reason": {*REASONS, *attribution.REASONS},
    "how": set(HOWS),
    "what": {"exposures", "rewards"},
    "scenario": set(SCENARIOS),
    "policy": {"softmax", "epsilon_greedy", "uniform"},
    "stage": set(STAGES),
    "phase": set(PHASES),
    "partition": {"0", "4095"},
    "error": {"Refused", "ProducerFenced"},
    "model": {"sessions", "rules", "popularity", "hours", "content"},
    "source": {"season"},
    "version": {"1.0"},
    "python": {"3.11"},
    "processing_guarantee": {"exactly_once"},
}
"""Every label there may be, with values. None of them names a user, an item, a session or a slate."""


def stem(metric):
    return metric.name.removesuffix("_total").removesuffix("_info")


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_name_follows_the_rules_of_prometheus(metric):
    assert re.fullmatch(r"freshslate_[a-z]+(_[a-z]+)*", metric.name)
    assert not OTHER_UNITS.search(metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.name.endswith("_info") == (metric.kind == "info")
    assert not metric.name.endswith(("_bucket", "_count", "_sum", "_created"))
    if metric.unit in BASE_UNITS:
        assert stem(metric).endswith("_" + metric.unit)
    assert not any(stem(metric).endswith("_" + unit) for unit in BASE_UNITS - {metric.unit})


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_declaration_is_complete(metric):
    assert metric.help.endswith(".")
    assert metric.help[0].isupper() or metric.help[0].isdigit()
    assert "|" not in metric.help
    assert metric.unit or metric.kind == "info"
    assert set(metric.labels) <= set(CLOSED)
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))


def test_no_name_is_declared_twice():
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names) > 30


def test_latency_has_a_bound_at_each_objective():
    bounds = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.35, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30, 60)
    assert EVENT_TO_SLATE.buckets == RECORD_TO_SLATE.buckets == bounds


def test_lag_is_shown_until_the_partition_is_somebody_elses():
    metrics = WorkerMetrics()
    place = {"topic": "events", "partition": "3"}
    metrics.set_lag("events", 3, 17, 0.5)
    assert metrics.registry.get_sample_value(LAG.name, place) == 17
    assert metrics.registry.get_sample_value(LAG_SECONDS.name, place) == 0.5
    metrics.forget_lag("events", 3)
    metrics.forget_lag("events", 4)
    assert metrics.registry.get_sample_value(LAG.name, place) is None
    assert metrics.registry.get_sample_value(LAG_SECONDS.name, place) is None


def test_what_was_done_is_told_in_one_line_with_microseconds_per_event():
    metrics = WorkerMetrics()
    metrics.add(EVENTS, 100, "events", "click")
    metrics.observe(CYCLE_SECONDS, [0.1] * 4)
    for stage, seconds in (("decode", 0.001), ("decide", 0.004), ("commit", 0.02), ("apply", 0.002)):
        metrics.observe(STAGE_SECONDS, [seconds], stage)
    assert told(metrics) == (
        "processed 100 events in 4 cycles: step 50.0 us, commit 5.00 ms a cycle, apply 20.0 us"
    )
    assert told(WorkerMetrics()).startswith("processed 0 events in 0 cycles")
