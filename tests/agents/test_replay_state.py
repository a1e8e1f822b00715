"""The command that rebuilds a user's past, without Kafka."""

import pytest
import typer
from typer.testing import CliRunner

from agents import commands
from agents.replay_state import moment_of
from tests.agents.test_commands import NOBODY, run


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-11-22T17:04:22.733Z", 1_763_831_062_733),
        ("1763831062733", 1_763_831_062_733),
        ("2025-11-22", 1_763_769_600_000),
        ("20251122", 1_763_769_600_000),
        ("2025-11-22T18:04:22+01:00", 1_763_831_062_000),
    ],
)
def test_a_moment_is_iso_or_epoch_milliseconds(text: str, expected: int) -> None:
    assert moment_of(text) == expected


@pytest.mark.parametrize("text", ["yesterday", "", "2025-13-01"])
def test_what_is_no_moment_is_told_with_examples(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no time such as 2025-11-22T17:04:22Z"):
        moment_of(text)


def test_user_and_time_are_needed() -> None:
    assert CliRunner().invoke(commands.app, ["replay-state", "--user", "u1"]).exit_code == 2
    assert CliRunner().invoke(commands.app, ["replay-state", "--at", "2025-11-22"]).exit_code == 2


def test_without_a_broker_it_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRESHSLATE_BROKER", NOBODY)
    assert run(monkeypatch, "replay-state", "--user", "u1", "--at", "2025-11-22") == 1
    assert f"no Kafka broker answers at {NOBODY}" in capsys.readouterr().err
