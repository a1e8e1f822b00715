"""A Prometheus of our own."""

from pathlib import Path

import pytest

from deploy.prometheus.server import RULES, Prometheus, PrometheusError, faster, get
from tests.deploy.tools import tool


def test_a_faster_rules_file_has_shorter_durations_and_the_same_numbers() -> None:
    quick = faster(RULES.read_text(), 10)
    assert "rate(freshslate_events_rejected_total[30s])" in quick
    assert "for: 12s" in quick
    assert "[8640s] offset 360s" in quick
    assert "freshslate:heartbeat_age:seconds > 60" in quick
    assert "free_bytes[360s], 1440) < 0" in quick
    assert faster(RULES.read_text(), 1).count("[300s]") == RULES.read_text().count("[5m]")


def test_it_scrapes_what_it_is_told_and_says_why_it_refuses_a_query(tmp_path: Path) -> None:
    tool("prometheus")
    with Prometheus(tmp_path, scrape_seconds=0.2) as server:
        assert server.query("vector(1) + 1")[0]["value"][1] == "2"
        assert server.query("1 + 1")[0]["value"][1] == "2"
        assert server.firing() == set()
        assert {g["name"] for g in server.get("rules")["groups"]} >= {
            "freshslate-records",
            "freshslate-pipeline",
        }
        with pytest.raises(PrometheusError, match="parse error"):
            server.query("rate(")
        address = server.url
    with pytest.raises(PrometheusError, match="no Prometheus answers"):
        get(address, "query", query="1")


def test_a_prometheus_that_cannot_start_says_why(tmp_path: Path) -> None:
    tool("prometheus")
    (tmp_path / "rules.yml").write_text("groups: [{name: a, rules: [{record: b, expr: 'rate('}]}]")
    with (
        pytest.raises(PrometheusError, match="parse error"),
        Prometheus(tmp_path / "p", rules=tmp_path / "rules.yml"),
    ):
        pass
