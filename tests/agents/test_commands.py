"""The commands without Kafka: help, exit codes, and errors of one line."""

import re
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from agents import commands
from stream.drill.acts import FAULTS
from stream.event_file import EventFile

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "samples" / "otto.jsonl"
NOBODY = "127.0.0.1:1"
"""An address where no broker answers."""
TO = ["--to-prefix", "v2.", "--to-app-id", "shop-v2"]
NAMES = [
    ["demo"],
    ["dlq", "drop"],
    ["dlq", "list"],
    ["dlq", "redrive"],
    ["dlq", "show"],
    ["drill"],
    ["forget"],
    ["kafka"],
    ["worker"],
    ["topics", "create"],
    ["topics", "check"],
    ["topics", "move"],
    ["settings"],
    ["formats"],
    ["replay"],
    ["inspect"],
    ["simulate"],
    ["compare"],
    ["ope"],
    ["train-ranker"],
    ["ranker"],
]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FRESHSLATE_BROKER", raising=False)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run `freshslate` in this process, and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["freshslate", *arguments])
    with pytest.raises(SystemExit) as stop:
        commands.main()
    return int(stop.value.code or 0)


@pytest.mark.parametrize("name", NAMES, ids=" ".join)
def test_every_command_has_help_with_an_example(name: list[str]) -> None:
    result = CliRunner().invoke(commands.app, [*name, "--help"])
    assert result.exit_code == 0
    assert f"freshslate {' '.join(name)}" in " ".join(result.output.split())


def test_the_help_lists_every_command() -> None:
    result = CliRunner().invoke(commands.app, ["-h"])
    assert result.exit_code == 0
    assert [name[0] for name in NAMES if name[0] not in result.output] == []


@pytest.mark.parametrize("name", NAMES, ids=" ".join)
def test_every_command_is_documented_with_an_example_that_the_command_accepts(name: list[str]) -> None:
    text = (ROOT / "docs" / "commands.md").read_text()
    examples = re.findall(rf"^(?:\w+=\S+ )*freshslate {' '.join(name)}(?=\s|$)(.*)$", text, re.MULTILINE)
    assert examples
    for example in examples:
        options = re.findall(r"--[a-z]+", example)
        offered = CliRunner().invoke(commands.app, [*name, "--help"]).output
        assert [option for option in options if option not in offered] == []


def test_without_a_command_the_help_is_shown() -> None:
    result = CliRunner().invoke(commands.app, [])
    assert result.exit_code == 2
    assert "replay" in result.output


@pytest.mark.parametrize(("text", "speed"), [("max", None), ("1", 1.0), ("0.5", 0.5), ("1e3", 1000.0)])
def test_a_speed_is_a_factor_or_max(text: str, speed: float | None) -> None:
    assert commands.speed_of(text) == speed


@pytest.mark.parametrize("text", ["0", "-1", "fast", "nan", "inf", ""])
def test_another_speed_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="neither max nor a number above 0"):
        commands.speed_of(text)


def test_a_wrong_speed_is_a_usage_error() -> None:
    result = CliRunner().invoke(commands.app, ["replay", str(SAMPLE), "--format", "otto", "--speed", "fast"])
    assert result.exit_code == 2
    assert "neither max" in result.output


def test_a_wrong_duration_is_a_usage_error() -> None:
    result = CliRunner().invoke(commands.app, ["compare", "--since", "yesterday"])
    assert result.exit_code == 2
    assert "is no duration such as" in result.output


def test_a_simulated_day_is_a_file_that_replay_reads(tmp_path: Path) -> None:
    file = tmp_path / "day.jsonl"
    options = ["--hasty", "--rate", "20", "--seconds", "30", "--file", str(file)]
    result = CliRunner().invoke(commands.app, ["simulate", *options])
    assert result.exit_code == 0, result.output
    events = list(EventFile(file, "jsonl"))
    assert len(events) > 100
    assert {event.type for event in events} >= {"view", "click", "impression"}
    assert f"{len(events):,} events of 30 s written to" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["replay", "no-such-file", "--format", "otto"], "there is no file no-such-file"),
        (["replay", str(SAMPLE), "--format", "excel"], "no format 'excel'; known are jsonl, csv"),
        (["replay", str(SAMPLE), "--format", "csv"], "the format csv needs --column"),
        (["replay", str(SAMPLE), "--format", "otto"], f"no Kafka broker answers at {NOBODY}"),
        (["inspect", "u1"], f"no Kafka broker answers at {NOBODY}"),
        (["simulate", "--hasty"], f"no Kafka broker answers at {NOBODY}"),
        (["compare"], f"no Kafka broker answers at {NOBODY}"),
        (["ranker"], f"no Kafka broker answers at {NOBODY}"),
        (["topics", "create"], f"no Kafka broker answers at {NOBODY}"),
        (["topics", "check"], f"no Kafka broker answers at {NOBODY}"),
        (["topics", "move", *TO], f"no Kafka broker answers at {NOBODY}"),
        (["worker"], f"no Kafka broker answers at {NOBODY}"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else None,
)
def test_an_error_is_one_clear_line_and_exit_code_1(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FRESHSLATE_BROKER", NOBODY)
    assert run(monkeypatch, *arguments) == 1
    printed = capsys.readouterr()
    assert message in printed.err
    assert "Traceback" not in printed.err + printed.out
    assert len(printed.err.strip().splitlines()) == 1


def test_a_misspelt_setting_stops_every_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRESHSLATE_PARTITION", "4")
    assert run(monkeypatch, "settings") == 1
    assert "did you mean FRESHSLATE_PARTITIONS?" in capsys.readouterr().err


def test_settings_without_a_terminal_are_rows_to_grep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHSLATE_PARTITIONS", "16")
    result = CliRunner().invoke(commands.app, ["settings"])
    assert result.exit_code == 0
    rows = [row for row in result.output.splitlines() if row.startswith("FRESHSLATE_PARTITIONS=")]
    assert len(rows) == 1
    assert rows[0].startswith("FRESHSLATE_PARTITIONS=16  # partitions; default 8; ")


def test_ctrl_c_is_exit_code_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "load_settings", interrupted)
    assert run(monkeypatch, "settings") == 130


def test_the_drills_faults_can_be_listed_without_starting_anything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "drill", "--faults", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(FAULTS)
    assert "SIGKILL" in lines[0]


def test_a_wrong_fault_name_is_one_line_and_nothing_is_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "drill", "--faults", "kill,sharks") == 1
    assert "there is no fault sharks; there are kill, kill_all" in capsys.readouterr().err
