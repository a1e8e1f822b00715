"""The commands of dead letters without Kafka; with it: `tests/kafka/test_redrive.py`."""

import pytest
from typer.testing import CliRunner

from agents import commands
from tests.agents.test_commands import NOBODY, run


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
