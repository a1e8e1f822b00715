"""The commands of the ranker without Kafka."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from agents import commands
from stream import training
from stream.training import TrainingError
from tests.agents.test_commands import NOBODY, run
from tests.stream.made_ranker import lightgbm_or_skip, made_artefact


def test_without_lightgbm_nothing_is_read_and_the_message_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> None:
        message = "training a ranker needs LightGBM: pip install 'freshslate[ranker]'"
        raise TrainingError(message)

    monkeypatch.setattr(training, "load_lightgbm", missing)
    assert run(monkeypatch, "train-ranker") == 1
    assert "pip install 'freshslate[ranker]'" in capsys.readouterr().err


def test_without_a_broker_training_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lightgbm_or_skip()
    monkeypatch.setenv("FRESHSLATE_BROKER", NOBODY)
    assert run(monkeypatch, "train-ranker") == 1
    assert f"no Kafka broker answers at {NOBODY}" in capsys.readouterr().err


def test_a_damaged_file_is_refused_before_anything_is_published(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("FRESHSLATE_BROKER", NOBODY)
    (tmp_path / "bad.ranker").write_bytes(made_artefact()[:-9])
    assert run(monkeypatch, "ranker", "--publish", str(tmp_path / "bad.ranker")) == 1
    assert "it is damaged" in capsys.readouterr().err


def test_publishing_and_withdrawing_at_once_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "good.ranker").write_bytes(made_artefact())
    options = ["ranker", "--publish", str(tmp_path / "good.ranker"), "--withdraw"]
    result = CliRunner().invoke(commands.app, options)
    assert result.exit_code == 2
    assert "two answers" in result.output
