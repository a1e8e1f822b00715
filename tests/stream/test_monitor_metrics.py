"""The monitor's declarations, and what is shown of its sums."""

from prometheus_client import generate_latest

from state.event import SCENARIOS
from state.monitoring import DIRECTIONS, SIGNALS
from stream.metrics import Metrics
from stream.monitor_metrics import ALARMS, CALIBRATION, MONITOR_METRICS, REVENUE, WATERMARK, show
from stream.worker_metrics import METRICS
from tests.state.test_monitoring import BY, made, over, reward, slate


def shown(monitor):
    metrics = Metrics(MONITOR_METRICS)
    show(metrics, monitor, watermark=12_500, lag={"slates": 3})
    return metrics


def test_names_are_the_monitors_own_and_end_as_prometheus_wants():
    names = [metric.name for metric in MONITOR_METRICS]
    assert len(set(names)) == len(names) == 20
    assert not set(names) & {metric.name for metric in METRICS}
    for metric in MONITOR_METRICS:
        assert metric.name.startswith("freshslate_monitor_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.unit not in {"seconds", "ratio"} or metric.name.endswith(metric.unit)
        assert metric.help.endswith(".")


def test_what_cannot_be_known_yet_is_absent():
    monitor = made()
    monitor.publish(slate(0))
    text = generate_latest(shown(monitor).registry).decode()
    assert 'freshslate_monitor_slates_total{policy="softmax",scenario="feed"} 1.0' in text
    for name in ("ctr_ratio", "reward_per_slate", "calibration_error"):
        assert f"freshslate_monitor_{name}{{" not in text


def test_alarms_are_0_from_the_start_so_that_the_first_is_seen_as_one():
    monitor = made()
    monitor.publish(slate(0))
    metrics = shown(monitor)
    assert set(metrics._values[ALARMS]) == {(*BY, signal, way) for signal in SIGNALS for way in DIRECTIONS}
    assert metrics.value(ALARMS) == 0.0


def test_values_are_those_of_the_series():
    monitor = made()
    monitor.publish(slate(0, expected=0.25))
    monitor.reward(reward(0, kind="purchase", worth=5.0, value=8.0, currency="EUR"))
    over(monitor)
    metrics = shown(monitor)
    assert metrics.value(REVENUE, *BY, "EUR") == 8.0
    assert metrics.value(CALIBRATION, *BY) == monitor.series[BY].calibration_error
    assert metrics.value(WATERMARK) == 12.5
    assert BY[1] in SCENARIOS
