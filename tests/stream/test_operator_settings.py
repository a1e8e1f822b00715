import pytest

from stream.config import ConfigError, Settings, load_settings
from stream.operator_settings import OperatorSettings
from stream.settings_table import settings_table


def test_operators_settings_are_settings_and_stand_at_the_end_of_the_table() -> None:
    names = [row.env.removeprefix("FRESHSLATE_").lower() for row in settings_table(Settings())]
    assert names[0] == "broker"
    assert names[-len(OperatorSettings.model_fields) :] == list(OperatorSettings.model_fields)


def test_a_port_that_is_none_is_told_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHSLATE_MONITOR_PORT", "65536")
    with pytest.raises(ConfigError, match=r"FRESHSLATE_MONITOR_PORT.*65535"):
        load_settings()


def test_workers_listen_on_this_machine_alone_unless_told() -> None:
    assert Settings().worker_host == "127.0.0.1"
