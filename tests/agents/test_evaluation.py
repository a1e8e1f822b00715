"""`freshslate evaluate` in this process, on real files."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from agents import commands
from agents.evaluation import BASELINES, configured
from state.evaluation.baselines import registry
from state.retrieval.config import ModelConfig
from stream import training
from stream.codecs import encode_event
from stream.model_file import read_model_file
from tests.stream.evaluations import made
from tests.stream.made_ranker import lightgbm_or_skip


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.evaluation.out.width", 250, raising=False)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    path.write_bytes(b"\n".join(encode_event(event) for event in made()))
    return path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(commands.app, ["evaluate", *arguments])
    return result.exit_code, " ".join(result.output.split())


def test_it_compares_with_baselines_and_writes_json(file: Path, tmp_path: Path) -> None:
    written = tmp_path / "result.json"
    code, output = run(
        str(file), "--format", "jsonl", "--split", "3d", "--baselines", "popularity,vstan",
        "--variant", "rule_weight=0,popularity_weight=0", "--json", str(written),
    )  # fmt: skip
    assert code == 0, output
    assert "protocol frozen: learn the training sessions" in output
    found = json.loads(written.read_text())
    names = ["freshslate", "freshslate, rule_weight=0,popularity_weight=0", "popularity", "vstan"]
    assert list(found["configurations"]) == names
    assert list(found["differences"]) == names[1:]
    ours = found["configurations"]["freshslate"]
    assert ours["predictions"] == found["protocol"]["predictions"] > 100
    assert 0 < ours["mrr@20"] < ours["hr@20"] <= 1


def test_a_ranker_is_trained_before_the_test_and_compared_first(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lightgbm_or_skip()
    monkeypatch.setattr(training, "LEAST_LISTS", 10)
    written = tmp_path / "result.json"
    code, output = run(
        str(file), "--format", "jsonl", "--split", "3d", "--ranker", "--baselines", "popularity",
        "--json", str(written),
    )  # fmt: skip
    assert code == 0, output
    assert "the last period before the test" in output
    found = json.loads(written.read_text())
    assert list(found["configurations"]) == ["freshslate, ranker", "freshslate", "popularity"]
    assert list(found["differences"]) == ["freshslate", "popularity"]


@pytest.mark.parametrize("protocol", ["daily", "prequential"])
def test_every_protocol_runs(file: Path, protocol: str) -> None:
    code, output = run(
        str(file), "--format", "jsonl", "--split", "0.2", "--protocol", protocol, "--items", "all",
        "--sources", "session_knn,popularity", "--baselines", "repeat",
    )  # fmt: skip
    assert code == 0, output
    assert f"protocol {protocol}:" in output


def test_freshness_writes_a_table_a_curve_and_json(file: Path, tmp_path: Path) -> None:
    written, chart = tmp_path / "result.json", tmp_path / "chart.png"
    code, output = run(
        str(file), "--format", "jsonl", "--split", "2d", "--freshness",
        "--json", str(written), "--plot", str(chart),
    )  # fmt: skip
    assert code == 0, output
    assert "refreshed each midnight" in output
    assert chart.stat().st_size > 1_000
    assert json.loads(written.read_text())["freshness"][0]["known_items"]["hr@20"] > 0.5


def test_tuning_writes_a_file_for_workers_and_judges_what_it_found(file: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="the extra tune is not installed: --tune is NOT checked here")
    tuned, written = tmp_path / "tuned.toml", tmp_path / "result.json"
    worse = "neighbours=1,rule_weight=0,two_hop_weight=0,history_weight=0"
    code, output = run(
        str(file), "--format", "jsonl", "--split", "2d", "--set", worse,
        "--tune", "2", "--tuned", str(tuned), "--json", str(written),
    )  # fmt: skip
    assert code == 0, output
    assert f"FRESHSLATE_MODEL_FILE={tuned}" in output
    assert read_model_file(tuned).keys() >= {"neighbours", "rule_weight"}
    found = json.loads(written.read_text())["configurations"]
    assert set(found) == {"freshslate", "freshslate, not tuned"}
    assert found["freshslate"]["hr@20"] > found["freshslate, not tuned"]["hr@20"]


def test_parameters_are_set_by_name() -> None:
    found = configured(ModelConfig(), ["rule_weight=0.5", "neighbours=10,postings=20"])
    assert (found.rule_weight, found.neighbours, found.postings) == (0.5, 10, 20)


@pytest.mark.parametrize("text", ["rule_weight", "magic=1", "rule_weight=much", "rule_weight=-1"])
def test_a_wrong_parameter_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        configured(ModelConfig(), [text])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--split", "tomorrow"], "neither days such as 7d"),
        (["--sources", "magic"], "there is no source magic"),
        (["--set", "magic=1"], "a parameter is NAME=VALUE"),
    ],
)
def test_a_wrong_option_is_told(file: Path, options: list[str], message: str) -> None:
    code, output = run(str(file), "--format", "jsonl", *options)
    assert code == 2
    assert message in output.replace("│ ", "")


def test_the_help_names_the_baselines_that_there_are() -> None:
    assert set(BASELINES) == set(registry.BASELINES)
