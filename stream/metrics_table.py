"""All metrics as rows, for people."""

from collections.abc import Sequence
from typing import NamedTuple

from stream.metrics import Metric
from stream.worker_metrics import METRICS


class MetricRow(NamedTuple):
    """One metric, for people."""

    name: str
    kind: str
    labels: str
    unit: str
    help: str


def metrics_table(declared: Sequence[Metric] = METRICS) -> list[MetricRow]:
    """One row per metric, in the order they are declared."""
    return [
        MetricRow(each.name, each.kind, ", ".join(each.labels), each.unit, each.help) for each in declared
    ]
