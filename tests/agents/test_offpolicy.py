"""The command on an exported log; help and docs are in test_commands.py."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from agents.commands import app
from agents.offpolicy import time_of
from state.evaluation.evidence import OffPolicyError
from state.policy.softmax import Softmax
from state.policy.uniform import Uniform
from tests.state.evaluation.logged import world
from tests.stream.exported import AFTER, FIRST_DAY, export

pytest.importorskip("pyarrow", reason="pyarrow is absent: freshslate ope --log is NOT checked")

PLAIN = ["ope", "--from", FIRST_DAY, "--to", AFTER, "--mature", "1m"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported")
    export(world(800, [(Softmax(temperature=0.3), 0.8), (Uniform(), 0.2)]), path)
    return path


def run(*arguments: str, folder: Path | None = None) -> tuple[int, str]:
    log = [] if folder is None else ["--log", str(folder)]
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*PLAIN, *arguments, *log])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


def test_a_policy_is_judged_and_written(folder: Path, tmp_path: Path) -> None:
    said, chart = tmp_path / "said.json", tmp_path / "said.png"
    options = ["--by", "scenario,day", "--json", str(said), "--plot", str(chart)]
    code, text = run("--policy", "softmax:temperature=0.2", *options, folder=folder)
    assert code == 0
    assert "softmax:temperature=0.2 judged on 800 slates" in text
    written = json.loads(said.read_text())
    assert written["asked"]["policies"] == {"": [["softmax", Softmax(temperature=0.2).version, 1.0]]}
    assert written["whole"]["estimates"]["dr"]["value"] > written["whole"]["logged"]["value"]
    assert list(written["by"]["scenario"]) == ["feed"]
    assert chart.read_bytes().startswith(b"\x89PNG")


def test_a_refusal_is_exit_code_1(folder: Path) -> None:
    code, text = run("--policy", "greedy", folder=folder)
    assert code == 1
    assert "The log cannot judge this policy" in text


def test_an_export_alone_judges_no_learning_policy(folder: Path) -> None:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(
        app, [*PLAIN, "--policy", "linear_ts", "--log", str(folder)]
    )
    assert isinstance(result.exception, OffPolicyError)
    assert "leave out --log" in str(result.exception)


def test_a_policy_file_is_judged_with_the_arms_of_its_scenarios(folder: Path, tmp_path: Path) -> None:
    said, path = tmp_path / "said.json", tmp_path / "policy.toml"
    path.write_text(
        '[[arm]]\npolicy = "greedy"\nshare = 1.0\n'
        '[[scenario.feed.arm]]\npolicy = "softmax"\nshare = 1.0\ntemperature = 0.2\n'
    )
    code, _ = run("--policy", str(path), "--json", str(said), folder=folder)
    assert code == 0
    as_file = json.loads(said.read_text())
    assert list(as_file["asked"]["policies"]) == ["", "feed"]
    run("--policy", "softmax:temperature=0.2", "--json", str(said), folder=folder)
    assert as_file["whole"] == json.loads(said.read_text())["whole"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--policy", "best"], "'best' is neither one of"),
        (["--policy", "nowhere.toml"], "the policies in nowhere.toml cannot be followed"),
        (["--policy", "random", "--by", "colour"], "--by knows scenario and day"),
        (["--policy", "random", "--from", "tomorrow"], "is neither ISO 8601"),
        (["--policy", "random", "--from", AFTER], "is not before"),
        (["--policy", "random", "--mature", "soon"], "is no duration"),
    ],
)
def test_a_wrong_option_says_what_is_right(arguments: list[str], said: str) -> None:
    result = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"}).invoke(app, [*PLAIN, *arguments])
    assert result.exit_code == 2
    assert said in " ".join(result.output.replace("│", " ").split())


def test_a_time_is_a_moment_or_so_long_ago() -> None:
    assert time_of("now", 1_000) == 1_000
    assert time_of("90s", 100_000) == 10_000
    assert time_of("1970-01-02", 0) == 86_400_000
    with pytest.raises(typer.BadParameter, match="neither ISO 8601"):
        time_of("yesterday", 0)
