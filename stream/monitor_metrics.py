"""Every metric of the monitor: declared once, here, as a worker's are in `stream/worker_metrics.py`."""

from collections.abc import Mapping
from math import isnan
from typing import Final

from state.monitoring import Monitor, Series
from stream.metrics import NAMESPACE, Kind, Metric, Metrics


def _metric(kind: Kind, name: str, unit: str, text: str, *labels: str) -> Metric:
    suffix = "_total" if kind == "counter" else ""
    return Metric(f"{NAMESPACE}_monitor_{name}{suffix}", kind, unit, text, labels)


_BY: Final = ("policy", "scenario")

SLATES: Final = _metric("counter", "slates", "slates", "Slates published to users that are followed.", *_BY)
MATURED: Final = _metric(
    "counter", "matured_slates", "slates", "Of those, slates whose wait for feedback is over.", *_BY
)
UNSEEN: Final = _metric(
    "counter",
    "unseen_slates",
    "slates",
    "Of those, slates that nobody saw or answered; counted only where the log has exposures.",
    *_BY,
)
REWARDS: Final = _metric(
    "counter", "rewards", "rewards", "Feedback joined to a slate within the wait.", *_BY, "type"
)
REWARD: Final = _metric(
    "gauge", "reward_per_slate", "rewards", "Mean reward of the latest 5,000 matured slates.", *_BY
)
CTR: Final = _metric(
    "gauge", "ctr_ratio", "ratio", "Share of the latest 5,000 matured slates with a click or view.", *_BY
)
CONVERSION: Final = _metric(
    "gauge", "conversion_ratio", "ratio", "Share of the latest 5,000 matured slates with a purchase.", *_BY
)
REVENUE: Final = _metric(
    "gauge",
    "revenue",
    "currency",
    "Value of purchases less refunds within the wait, since the start; the label may be empty.",
    *_BY,
    "currency",
)
CALIBRATION: Final = _metric(
    "gauge",
    "calibration_error",
    "rewards",
    "Expected calibration error per item over 10 bins; absent where the policy expects nothing.",
    *_BY,
)
ALARMS: Final = _metric(
    "counter",
    "drift_alarms",
    "alarms",
    "Changes that ADWIN found in the reward of slates, or in reward less expectation (calibration).",
    *_BY,
    "signal",
    "direction",
)
EXPLORATION: Final = _metric(
    "gauge",
    "exploration_ratio",
    "ratio",
    "Share of positions whose item is not the best-scored of those left, latest 5,000 published slates.",
    *_BY,
)
LOW: Final = _metric(
    "gauge", "low_propensity_ratio", "ratio", "First percentile of the propensities of items.", *_BY
)
ITEMS: Final = _metric("counter", "items", "items", "Items of published slates.", *_BY)
SMALL: Final = _metric(
    "counter", "small_propensities", "items", "Of those, items with a propensity below 0.01.", *_BY
)
COVERAGE: Final = _metric(
    "gauge", "different_items", "items", "Estimate of the different items published this day, in UTC.", *_BY
)
WAITING: Final = _metric("gauge", "waiting_slates", "slates", "Slates that wait for feedback.")
LATE: Final = _metric(
    "counter", "late_rewards", "rewards", "Feedback after the wait, or on slates from before the start."
)
FOLLOWED: Final = _metric(
    "gauge", "followed_ratio", "ratio", "Share of users that are followed; halved when too many slates wait."
)
WATERMARK: Final = _metric(
    "gauge", "watermark_timestamp_seconds", "seconds", "Event time that the monitor has come to."
)
LAG: Final = _metric("gauge", "lag_records", "records", "Offsets that are not read yet.", "topic")

MONITOR_METRICS: Final = tuple(each for each in list(vars().values()) if isinstance(each, Metric))
"""All of them, in the order above."""


def show(metrics: Metrics, monitor: Monitor, *, watermark: int, lag: Mapping[str, int]) -> None:
    """Set every metric to what the monitor holds.

    Args:
        metrics: Of `MONITOR_METRICS`.
        monitor: With the sums.
        watermark: Epoch milliseconds; 0 before any.
        lag: Offsets not read yet, by topic.
    """
    for series in monitor.series.values():
        _show_series(metrics, series)
    metrics.set(WAITING, monitor.waiting)
    metrics.set(LATE, monitor.late)
    metrics.set(FOLLOWED, monitor.share)
    metrics.set(WATERMARK, watermark / 1000)
    for topic, behind in lag.items():
        metrics.set(LAG, behind, topic)


def _show_series(metrics: Metrics, series: Series) -> None:
    labels = series.policy, series.scenario
    values = {
        SLATES: series.slates,
        MATURED: series.matured,
        UNSEEN: series.unseen,
        REWARD: series.mean("reward"),
        CTR: series.mean("ctr"),
        CONVERSION: series.mean("conversion"),
        CALIBRATION: series.calibration_error,
        EXPLORATION: series.mean("exploration"),
        LOW: series.low_propensity,
        ITEMS: series.items,
        SMALL: series.small,
        COVERAGE: series.different_items,
    }
    for metric, value in values.items():
        if not isnan(value):
            metrics.set(metric, value, *labels)
    for metric, by in ((REWARDS, series.rewards), (REVENUE, series.revenue)):
        for label, value in by.items():
            metrics.set(metric, value, *labels, label)
    for (signal, direction), count in series.alarms.items():
        metrics.set(ALARMS, count, *labels, signal, direction)
