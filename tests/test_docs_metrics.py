"""The metrics in the documentation are those of the code."""

import re
from collections.abc import Sequence
from pathlib import Path

from stream.api.metrics import API_METRICS
from stream.metrics import Metric
from stream.metrics_table import metrics_table
from stream.monitor_metrics import MONITOR_METRICS
from stream.worker_metrics import METRICS

DOC = Path(__file__).parents[1] / "docs" / "operations.md"


def table(metrics: Sequence[Metric] = METRICS) -> str:
    """The metrics as Markdown."""
    rows = ["| metric | kind | labels | unit | meaning |", "|---|---|---|---|---|"]
    rows += [
        f"| `{row.name}` | {row.kind} | {row.labels} | {row.unit} | {row.help} |"
        for row in metrics_table(metrics)
    ]
    return "\n".join(rows)


def section() -> str:
    """What the page says under "Metrics"."""
    _, _, rest = DOC.read_text(encoding="utf-8").partition("\n## Metrics\n")
    return rest.partition("\n## ")[0]


def test_the_operations_page_lists_every_metric_as_it_is() -> None:
    assert table() in section(), "python -m tests.test_docs_metrics prints the table"


def test_the_operations_page_lists_every_metric_of_the_monitor() -> None:
    assert table(MONITOR_METRICS) in DOC.read_text(encoding="utf-8")


def test_the_operations_page_lists_every_metric_of_the_api() -> None:
    assert table(API_METRICS) in DOC.read_text(encoding="utf-8")


def test_the_operations_page_names_no_metric_that_is_not_there() -> None:
    declared = {metric.name for metric in METRICS + MONITOR_METRICS + API_METRICS}
    named = set(re.findall(r"\bfreshslate_[a-z_]+\b", DOC.read_text(encoding="utf-8")))
    parts = {f"{name}_{part}" for name in declared for part in ("bucket", "count", "sum")}
    assert named <= declared | parts


if __name__ == "__main__":
    print(table(), table(MONITOR_METRICS), table(API_METRICS), sep="\n\n")
