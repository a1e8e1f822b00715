from stream.metrics_table import metrics_table
from stream.worker_metrics import EVENTS, METRICS


def test_the_table_has_a_row_per_metric():
    table = metrics_table()
    assert [row.name for row in table] == [metric.name for metric in METRICS]
    assert table[0] == (EVENTS.name, "counter", "topic, type", "events", EVENTS.help)
