"""The command that rebuilds a user's past, without Kafka."""

import pytest
from typer.testing import CliRunner

from agents import commands
from tests.agents.test_commands import NOBODY, run


def test_user_and_time_are_needed() -> None:
    assert CliRunner().invoke(commands.app, ["replay-state", "--user", "u1"]).exit_code == 2
    assert CliRunner().invoke(commands.app, ["replay-state", "--at", "2025-11-22"]).exit_code == 2


def test_without_a_broker_it_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRESHSLATE_BROKER", NOBODY)
    assert run(monkeypatch, "replay-state", "--user", "u1", "--at", "2025-11-22") == 1
    assert f"no Kafka broker answers at {NOBODY}" in capsys.readouterr().err
