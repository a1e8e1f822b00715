"""The command that has a user forgotten, without Kafka; with it: `tests/kafka/test_forget.py`."""

import json

import pytest
from typer.testing import CliRunner

from agents import commands
from stream.config import Settings
from stream.forget import Known, Left
from tests.agents.test_commands import NOBODY, run


@pytest.mark.parametrize("arguments", [[], ["--dry-run"], ["--yes", "--json"]], ids=" ".join)
def test_without_a_broker_it_is_one_line(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRESHSLATE_BROKER", NOBODY)
    assert run(monkeypatch, "forget", "ann", *arguments) == 1
    assert f"no Kafka broker answers at {NOBODY}" in capsys.readouterr().err


def test_a_dry_run_says_what_there_is_and_what_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def look(settings: Settings, user_id: str, tenant: str) -> Known:
        return Known(user_id, tenant, f"{tenant}|{user_id}", 3, 512, 2)

    async def left_behind(settings: Settings) -> list[Left]:
        return [Left("rewards", "rewards", 86_400, "retention.ms")]

    monkeypatch.setattr("stream.forget.look", look)
    monkeypatch.setattr("stream.forget.left_behind", left_behind)
    asked = ["forget", "ann", "--tenant", "north", "--dry-run"]
    told = CliRunner().invoke(commands.app, asked).output
    assert "north|ann: a profile of 512 bytes and 2 slates in the log, partition 3" in told
    assert "1 days" in told
    said = json.loads(CliRunner().invoke(commands.app, [*asked, "--json"]).stdout)
    assert (said["key"], said["took_seconds"], said["left"][0]["seconds"]) == ("north|ann", None, 86_400)
