"""The commands of the HTTP API, without Kafka; with it: `tests/kafka/test_api.py`."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from agents import api, commands
from stream.api.keys import Access, read_keys
from tests.agents.test_commands import NOBODY, run


def test_without_a_broker_it_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("FRESHSLATE_BROKER", NOBODY)
    monkeypatch.setenv("FRESHSLATE_DATA_DIR", str(tmp_path))
    assert run(monkeypatch, "api") == 1
    assert f"no Kafka broker answers at {NOBODY}" in capsys.readouterr().err


def test_without_its_libraries_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(api, "find_spec", lambda name: None)
    assert run(monkeypatch, "api") == 1
    assert "pip install 'freshslate[api]'" in capsys.readouterr().err


def test_it_does_not_listen_to_the_network_without_keys(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("FRESHSLATE_API_HOST", "0.0.0.0")
    monkeypatch.setenv("FRESHSLATE_DATA_DIR", str(tmp_path))
    assert run(monkeypatch, "api") == 1
    assert "FRESHSLATE_API_KEYS_FILE" in capsys.readouterr().err


def test_a_key_goes_to_the_file_and_its_secret_to_the_screen() -> None:
    told = CliRunner().invoke(
        commands.app, ["api-key", "shop", "--right", "events", "--right", "slates", "--tenant", "north"]
    )
    assert told.exit_code == 0
    secret = told.stderr.strip().rpartition(" ")[2]
    assert read_keys(told.stdout.encode()).find(secret) == Access(
        "shop", "north", frozenset({"events", "slates"})
    )
    assert secret not in told.stdout


def test_a_wrong_right_says_which_there_are() -> None:
    told = CliRunner().invoke(commands.app, ["api-key", "shop", "--right", "all"])
    assert told.exit_code == 2
    assert "events, slates, admin" in " ".join(told.output.split())
