"""The dashboard of resources."""

from deploy.grafana.resources import RESOURCES


def test_it_shows_process_interpreter_disk_state_and_models() -> None:
    titles = [row.title for row in RESOURCES.rows]
    assert titles == ["Process", "Python", "Disk", "RocksDB", "Models", "Replica"]


def test_bytes_are_shown_as_bytes() -> None:
    for row in RESOURCES.rows:
        for chart in row.charts:
            if any("_bytes" in query.expr and "rate" not in query.expr for query in chart.queries):
                assert chart.unit == "bytes", chart.title
