"""The run of alarms: what it records of a fault, without any process."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks import alarms
from benchmarks.alarm_stage import ACTS, Act, Change, Stage
from benchmarks.alarms import Played as Fault
from benchmarks.alarms import Report, arguments, hurt, line
from deploy.prometheus.server import RULES


class Played:
    """A stage on which alerts fire when they are told to."""

    def __init__(self) -> None:
        self.changes = [Change(1.0, "Old", True), Change(2.0, "Old", False)]
        self.firing: frozenset[str] = frozenset()
        self.seconds = 10.0
        self.is_hurt = False

    def turn(self, alert: str, *, fires: bool) -> None:
        self.changes.append(Change(self.seconds, alert, fires))
        self.firing = self.firing | {alert} if fires else self.firing - {alert}

    until = Stage.until


def acted(it: Played, *alerts: str) -> Act:
    @asynccontextmanager
    async def fault(_: Any) -> AsyncIterator[None]:
        it.is_hurt = True
        for alert in alerts:
            it.turn(alert, fires=True)
        yield
        it.is_hurt = False
        for alert in alerts:
            it.turn(alert, fires=False)

    return Act("about", ("Wanted", "AlsoGood"), fault)


@pytest.mark.parametrize("first", ["Wanted", "AlsoGood"])
def test_a_fault_is_held_until_one_of_its_alerts_fires(first: str) -> None:
    it = Played()
    played = asyncio.run(hurt(it, "bad", acted(it, "Other", first), 5.0))  # type: ignore[arg-type]
    assert not it.is_hurt
    assert (played.fired, played.others) == (first, ["Other"])
    assert played.seconds_to_fire is not None
    assert played.seconds_to_clear is not None
    assert line(played)[0] == "bad (about)"
    assert line(played)[4] == "Other"


def test_a_fault_that_no_alert_sees_ends_at_the_limit_and_says_never() -> None:
    it = Played()
    played = asyncio.run(hurt(it, "bad", acted(it, "Other"), 0.01))  # type: ignore[arg-type]
    assert not it.is_hurt
    assert (played.fired, played.seconds_to_fire, played.others) == ("", None, ["Other"])
    assert line(played)[1:3] == ["Wanted or AlsoGood", "never"]


def test_every_fault_expects_alerts_that_exist() -> None:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    names = {rule.get("alert") for group in groups for rule in group["rules"]}
    assert all(set(act.expected) <= names for act in ACTS.values())


def test_the_command_takes_some_faults_and_a_speed() -> None:
    options = arguments(["--faults", "worker killed", "broker frozen", "--speed", "10"])
    assert options.faults == ["worker killed", "broker frozen"]
    assert options.speed == 10.0
    assert options.healthy == 300.0
    with pytest.raises(SystemExit):
        arguments(["--faults", "earthquake"])


def test_a_run_ends_with_a_table_and_its_numbers_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = Fault("bad", "about", ("Wanted",), 20.0, "Wanted", 7.2, 3.1, 0.0, ["Other"])
    report = Report(
        machine={},
        load_average=0.5,
        speed=10.0,
        scrape_seconds=1.0,
        rate=100.0,
        workers=2,
        healthy_seconds=300.0,
        healthy_alerts=[],
        faults=[fault],
        changes=[Change(27.2, "Wanted", True)],
        ended=[],
        without_data={"freshness": ["Oldest heartbeat"]},
    )

    async def run(*_: object) -> Report:
        return report

    monkeypatch.setattr(alarms, "run", run)
    monkeypatch.setattr(sys, "argv", ["alarms", "--json", str(tmp_path / "a.json")])
    alarms.main()
    said = " ".join(capsys.readouterr().out.split())
    assert "all durations of the rules divided by 10" in said
    assert "alerts in the 300 s before the first fault: none" in said
    assert "panels of freshness without data: Oldest heartbeat" in said
    assert json.loads((tmp_path / "a.json").read_text())["faults"][0]["seconds_to_fire"] == 7.2
    report.healthy_alerts.append("Early")
    with pytest.raises(SystemExit, match="not as it should be: Early"):
        alarms.main()
