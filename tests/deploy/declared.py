"""Every metric that Prometheus can know of Freshslate, with its labels: what queries are checked against."""

from functools import cache
from typing import Any, Final

import yaml

from deploy.prometheus.promql import Checker
from deploy.prometheus.server import RULES
from stream.api.metrics import API_METRICS
from stream.metrics import Metric
from stream.monitor_metrics import MONITOR_METRICS
from stream.worker_metrics import METRICS

TARGET: Final = frozenset({"job", "instance"})
"""What Prometheus itself adds to each series that it scrapes."""
OTHERS: Final = {
    "up": frozenset(),
    "process_resident_memory_bytes": frozenset(),
    "process_virtual_memory_bytes": frozenset(),
    "process_cpu_seconds_total": frozenset(),
    "process_start_time_seconds": frozenset(),
    "process_open_fds": frozenset(),
    "process_max_fds": frozenset(),
    "python_gc_collections_total": frozenset({"generation"}),
}
"""Of Prometheus and its client library."""
ALERTS: Final = frozenset({"alertname", "alertstate", "severity"})


def declared() -> list[Metric]:
    """Of workers, the monitor and the API."""
    return [*METRICS, *MONITOR_METRICS, *API_METRICS]


def series() -> dict[str, frozenset[str]]:
    """Labels by name of a series, as Prometheus stores it."""
    found = {name: labels | TARGET for name, labels in OTHERS.items()} | {"ALERTS": ALERTS}
    for metric in declared():
        labels = TARGET | set(metric.labels)
        if metric.kind == "histogram":
            found |= {f"{metric.name}_{part}": labels for part in ("count", "sum")}
            found[f"{metric.name}_bucket"] = labels | {"le"}
        else:
            found[metric.name] = labels
    return found


def bounds() -> dict[str, frozenset[float]]:
    """Upper bounds by name of a histogram's buckets."""
    return {f"{m.name}_bucket": frozenset(m.buckets) for m in declared() if m.kind == "histogram"}


@cache
def rules() -> list[dict[str, Any]]:
    """Every rule of the rules file, in order."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


@cache
def known() -> dict[str, frozenset[str]]:
    """Labels by name of what is scraped and of what rules record."""
    found = series()
    for rule in rules():
        if "record" in rule:
            found[rule["record"]] = Checker(found, bounds()).check(rule["expr"]) or frozenset()
    return found
