"""The run of alarms: what it records of a fault, without any process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import yaml

from benchmarks.alarm_stage import ACTS, Act, Change, Stage
from benchmarks.alarms import arguments, hurt, line
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
