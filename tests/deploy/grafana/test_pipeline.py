"""The dashboard of the pipeline."""

from deploy.grafana.pipeline import PIPELINE


def test_it_shows_throughput_lag_cycles_partitions_and_dead_letters() -> None:
    assert [row.title for row in PIPELINE.rows] == [
        "Throughput",
        "Lag",
        "Cycles",
        "Partitions",
        "Dead letters",
        "Versions and plug-ins",
    ]


def test_lag_is_shown_in_seconds_and_in_records() -> None:
    lag = {chart.title: chart for chart in PIPELINE.rows[1].charts}
    assert lag["Lag in seconds"].unit == "s"
    assert lag["Lag in records"].unit == "short"
    assert {lag["Lag in seconds"].alert, lag["Lag in records"].alert} == {"FreshslateLagGrowing"}


def test_dead_letters_are_shown_by_reason() -> None:
    assert PIPELINE.rows[4].charts[0].queries[0].legend == "{{reason}}"
