"""The command of the export without Kafka."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from agents import commands
from tests.agents.test_commands import NOBODY, run


def test_help_has_examples_and_says_that_a_second_run_goes_on() -> None:
    told = CliRunner().invoke(commands.app, ["export", "--help"], env={"COLUMNS": "160", "TERM": "dumb"})
    assert told.exit_code == 0
    assert "freshslate export slates --to warehouse" in told.output
    assert "goes on where it ended" in told.output


@pytest.mark.parametrize(
    "arguments",
    [["deltas", "--to", "x"], ["slates"], ["slates", "--to", "x", "--until", "yesterday"]],
    ids=["no such kind", "no folder", "no time"],
)
def test_a_wrong_command_line_is_refused(arguments: list[str]) -> None:
    assert CliRunner().invoke(commands.app, ["export", *arguments]).exit_code == 2


def test_without_a_broker_it_is_one_line_and_no_folder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("FRESHSLATE_BROKER", NOBODY)
    assert run(monkeypatch, "export", "slates", "--to", str(tmp_path / "out")) == 1
    assert f"no Kafka broker answers at {NOBODY}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
