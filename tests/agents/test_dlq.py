"""The commands of dead letters without Kafka; with it: `tests/kafka/test_redrive.py`."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from agents import commands
from tests.agents.test_commands import NOBODY, run
from tests.stream.test_letters import TOPIC, topic_of


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "--reason", "ugly"], "'ugly' is no reason; there are null_value, too_large"),
        (["list", "--topic", "slates"], "'slates' is no input; FRESHSLATE_INPUTS names events"),
        (["show", "17"], "'17' is no letter such as 3-17"),
        (["redrive", "3-x"], "'3-x' is no letter such as 3-17"),
        (["redrive", "--rate", "0"], "Invalid value for '--rate'"),
        (["drop", "--from", "yesterday"], "'yesterday' is no time such as"),
    ],
    ids=lambda each: each if isinstance(each, str) else " ".join(each),
)
def test_a_wrong_option_is_refused_with_what_there_is(arguments: list[str], said: str) -> None:
    told = CliRunner().invoke(commands.app, ["dlq", *arguments], env={"COLUMNS": "400", "TERM": "dumb"})
    assert told.exit_code == 2
    assert said in told.output


@pytest.mark.parametrize(
    "arguments",
    [["list"], ["show", "0-1"], ["redrive"], ["redrive", "--dry-run"], ["drop", "--yes"]],
    ids=" ".join,
)
def test_without_a_broker_it_is_one_line(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRESHSLATE_BROKER", NOBODY)
    assert run(monkeypatch, "dlq", *arguments) == 1
    error = capsys.readouterr().err
    assert NOBODY in error
    assert "Traceback" not in error


def told(*arguments: str) -> Any:
    """What a command says in JSON."""
    result = CliRunner().invoke(commands.app, ["dlq", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_list_has_the_latest_letters_and_counts_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    topic_of(monkeypatch, *TOPIC)
    listed = told("list", "--limit", "2")
    assert (listed["waiting"], listed["redriven"], listed["foreign"]) == (3, 1, 1)
    assert [each["letter"] for each in listed["letters"]] == ["3-1", "3-2"]
    assert told("list", "--reason", "too_large")["counts"][0]["letters"] == 1


def test_a_dry_run_says_what_would_be_done_and_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    topic_of(monkeypatch, *TOPIC)
    monkeypatch.setenv("FRESHSLATE_INPUTS", "clicks")
    sent = told("redrive", "--dry-run")
    assert (sent["letters"], sent["kept"], sent["dry_run"]) == (0, 3, True)
    assert told("redrive", "--dry-run", "--all")["letters"] == 3
    assert told("drop", "3-1", "0-5", "--dry-run")["letters"] == 2
    shown = CliRunner().invoke(commands.app, ["dlq", "redrive", "--dry-run"]).output
    assert "3 dead letters would be refused again by these settings and stay" in shown


def test_a_letter_is_shown_also_after_it_was_dealt_with(monkeypatch: pytest.MonkeyPatch) -> None:
    topic_of(monkeypatch, *TOPIC)
    assert [each["value"] for each in told("show", "3-5", "3-1")] == ["c", "a"]
    assert "letter 3-5" in CliRunner().invoke(commands.app, ["dlq", "show", "3-5"]).output


def test_a_letter_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    topic_of(monkeypatch, *TOPIC)
    assert run(monkeypatch, "dlq", "show", "3-1", "3-6") == 1
    assert "no dead letter 3-6: freshslate dlq list names" in capsys.readouterr().err
