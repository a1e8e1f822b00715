"""The commands of the policy file."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agents import commands
from state.policy.softmax import Softmax
from tests.agents.test_commands import run

GOOD = """
[[arm]]
policy = "softmax"
share = 0.95
[[arm]]
policy = "random"
share = 0.05
"""


def test_a_good_file_is_told_with_the_versions_that_slates_will_name(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(GOOD)
    result = CliRunner().invoke(commands.app, ["policy", "check", str(file)])
    assert result.exit_code == 0
    assert Softmax().version in result.output
    said = json.loads(CliRunner().invoke(commands.app, ["policy", "check", str(file), "--json"]).output)
    assert [arm["share"] for arm in said["arms"]] == [0.95, 0.05]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD.replace("0.95", "0.9"), "line 2: arm: the shares sum to 0.95"),
        (GOOD + "epsilon = 1\n", "line 8: arm 2.epsilon: random has no such parameter"),
        ("[[arm]\n", "line 1"),
    ],
)
def test_a_wrong_file_is_one_message_with_the_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    text: str,
    told: str,
) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    assert run(monkeypatch, "policy", "check", str(file)) == 1
    assert told in capsys.readouterr().err


def test_a_missing_file_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "policy", "check", str(tmp_path / "none.toml")) == 1
    assert "No such file" in capsys.readouterr().err


def test_the_help_has_examples() -> None:
    assert (
        "policy check policy.toml" in CliRunner().invoke(commands.app, ["policy", "check", "--help"]).output
    )
