"""The rules: promtool's own tests of when each alert fires, and the names, labels and pages they refer to."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.prometheus.promql import Checker
from deploy.prometheus.server import RULES, faster
from tests.deploy.declared import bounds, rules, series
from tests.deploy.tools import tool

ROOT = Path(__file__).parents[3]
ALERTS = [rule for rule in rules() if "alert" in rule]
NAMES = {
    "FreshslateFreshnessBurnFast",
    "FreshslateFreshnessBurnSlow",
    "FreshslateHeartbeatMissing",
    "FreshslateLagGrowing",
    "FreshslateCommitsStalled",
    "FreshslateRestoreStuck",
    "FreshslateDeadLetterShare",
    "FreshslateFencingStorm",
    "FreshslateReplicaBehind",
    "FreshslateRewardDrop",
    "FreshslateRewardDrift",
    "FreshslateCalibration",
    "FreshslatePolicyCollapse",
    "FreshslateNoPurchases",
    "FreshslateDiskFull",
    "FreshslateWorkerDown",
    "FreshslateApiDown",
    "FreshslateApiFaults",
    "FreshslateApiSlow",
    "FreshslateApiBehind",
}
TESTS = sorted(RULES.parent.glob("rules*_test.yml"))


@pytest.mark.parametrize("tests", TESTS, ids=[path.stem for path in TESTS])
def test_every_alert_fires_when_it_should_and_is_silent_when_it_should(tests: Path) -> None:
    done = subprocess.run(
        [tool("promtool"), "test", "rules", tests], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_the_rules_of_normal_and_of_higher_speed_correct(tmp_path: Path) -> None:
    quick = tmp_path / "quick.yml"
    quick.write_text(faster(RULES.read_text(), 16))
    done = subprocess.run(
        [tool("promtool"), "check", "rules", RULES, quick], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(f"{len(rules())} rules found") == 2


def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent() -> None:
    fires, silent = set(), set()
    for path in TESTS:
        for case in yaml.safe_load(path.read_text())["tests"]:
            for each in case["alert_rule_test"]:
                (fires if each["exp_alerts"] else silent).add(each["alertname"])
    assert fires == silent == NAMES


def test_there_are_the_alerts_that_charts_and_pages_name() -> None:
    assert {alert["alert"] for alert in ALERTS} == NAMES


@pytest.mark.parametrize("alert", ALERTS, ids=[alert["alert"] for alert in ALERTS])
def test_an_alert_says_how_bad_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert re.fullmatch(r"\d+[mh]", alert["for"])
    assert set(alert["annotations"]) == {"summary", "runbook_url"}
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert anchor == alert["alert"].lower()
    assert f"\n### {alert['alert']}\n" in (ROOT / page).read_text(encoding="utf-8")


def test_no_rule_asks_for_a_metric_or_a_label_that_does_not_exist() -> None:
    known, problems = series(), []
    for rule in rules():
        checker = Checker(known, bounds())
        labels = checker.check(rule["expr"])
        problems += [f"{rule.get('record') or rule['alert']}: {problem}" for problem in checker.problems]
        if "record" in rule:
            known[rule["record"]] = labels or frozenset()
    assert problems == []


def test_no_summary_names_a_label_that_its_alert_does_not_have() -> None:
    known = series()
    for rule in rules():
        labels = Checker(known, bounds()).check(rule["expr"]) or frozenset()
        named = set(re.findall(r"\$labels\.(\w+)", rule.get("annotations", {}).get("summary", "")))
        assert named <= labels, rule
        if "record" in rule:
            known[rule["record"]] = labels


def test_the_objective_is_a_bound_of_the_histogram_it_looks_at() -> None:
    late = [rule for rule in rules() if rule.get("record", "").startswith("freshslate:late_slates")]
    assert len(late) == 4
    assert all('le="0.5"' in rule["expr"] for rule in late)
    assert 0.5 in bounds()["freshslate_record_to_slate_seconds_bucket"]
