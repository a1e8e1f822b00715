import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client import Histogram as Official

import stream.histogram
from stream.histogram import Histogram
from stream.metrics import Metric
from stream.worker_metrics import METRICS

DECLARED = [metric for metric in METRICS if metric.kind == "histogram"]


def official(bounds, values):
    """The library's own counts and sum of the same values."""
    registry = CollectorRegistry()
    histogram = Official("h", "help", buckets=bounds, registry=registry)
    for value in values:
        histogram.observe(value)
    (family,) = registry.collect()
    buckets = [(s.labels["le"], s.value) for s in family.samples if s.name == "h_bucket"]
    return buckets, registry.get_sample_value("h_count"), registry.get_sample_value("h_sum")


def of(metric: Metric):
    """Values at, between, below and above a metric's bounds."""
    return st.lists(
        st.one_of(st.sampled_from(metric.buckets), st.floats(0, 2 * metric.buckets[-1], width=32)),
        max_size=60,
    )


@pytest.mark.parametrize("metric", DECLARED, ids=lambda metric: metric.name)
@given(data=st.data())
def test_it_counts_as_the_official_histogram_does(metric, data):
    cycles = data.draw(st.lists(of(metric), max_size=4))
    ours = Histogram(metric.buckets)
    for cycle in cycles:
        ours.observe(cycle)
    values = [value for cycle in cycles for value in cycle]
    buckets, count, total = official(metric.buckets, values)
    assert ours.buckets() == buckets
    assert ours.count == count
    assert ours.sum == pytest.approx(total)


@given(values=st.lists(st.floats(0, 100), max_size=50), pending=st.integers(1, 20), look=st.integers(0, 50))
def test_when_it_is_counted_changes_nothing(values, pending, look):
    one, other = Histogram([1, 10]), Histogram([1, 10])
    one.observe(values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream.histogram, "PENDING", pending)
        for n, value in enumerate(values):
            other.observe([value])
            if n == look:
                other.buckets()
        assert len(other._pending) < pending
    assert other.buckets() == one.buckets()
    assert other.sum == pytest.approx(one.sum)


def test_values_do_not_pile_up_while_nobody_looks():
    histogram = Histogram([1])
    for _ in range(10):
        histogram.observe([0.5] * 1000)
        assert len(histogram._pending) < stream.histogram.PENDING
    assert histogram.count == 10_000


def test_a_value_below_zero_counts_as_zero():
    histogram = Histogram([1, 2])
    histogram.observe([-5.0, 1.5])
    assert histogram.buckets() == [("1.0", 1.0), ("2.0", 2.0), ("+Inf", 2.0)]
    assert histogram.sum == 1.5


def test_one_that_saw_nothing_is_all_zero():
    assert Histogram([1]).buckets() == [("1.0", 0.0), ("+Inf", 0.0)]
    assert (Histogram([1]).count, Histogram([1]).sum) == (0, 0.0)


@pytest.mark.parametrize("bounds", [[], [1, 1], [2, 1]])
def test_bounds_that_do_not_ascend_are_refused(bounds):
    with pytest.raises(ValueError, match="ascend"):
        Histogram(bounds)
