"""The command that has a user forgotten, without Kafka; with it: `tests/kafka/test_forget.py`."""

import pytest

from tests.agents.test_commands import NOBODY, run


@pytest.mark.parametrize("arguments", [[], ["--dry-run"], ["--yes", "--json"]], ids=" ".join)
def test_without_a_broker_it_is_one_line(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRESHSLATE_BROKER", NOBODY)
    assert run(monkeypatch, "forget", "ann", *arguments) == 1
    assert f"no Kafka broker answers at {NOBODY}" in capsys.readouterr().err
