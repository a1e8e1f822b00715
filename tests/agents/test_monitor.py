"""The command of the monitor without Kafka."""

import pytest
from typer.testing import CliRunner

import agents.monitor
from agents import commands
from tests.agents.test_commands import NOBODY, run


def test_without_river_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(agents.monitor, "find_spec", lambda name: None)
    assert run(monkeypatch, "monitor") == 1
    assert "pip install 'freshslate[river]'" in capsys.readouterr().err


def test_a_duration_that_is_none_is_refused() -> None:
    assert CliRunner().invoke(commands.app, ["monitor", "--since", "long"]).exit_code == 2


def test_without_a_broker_it_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRESHSLATE_BROKER", NOBODY)
    assert run(monkeypatch, "monitor") == 1
    assert f"no Kafka broker answers at {NOBODY}" in capsys.readouterr().err
