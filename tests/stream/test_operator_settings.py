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


def test_a_token_is_shown_to_nobody_not_even_where_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHSLATE_HTTP_TOKEN", "hush, sixteen letters")
    settings = load_settings()
    assert settings.http_token is not None
    assert settings.http_token.get_secret_value() == "hush, sixteen letters"
    (row,) = (row for row in settings_table(settings) if row.env == "FRESHSLATE_HTTP_TOKEN")
    for shown in (repr(settings), str(settings.model_dump()), str(row)):
        assert "hush" not in shown
    for refused in ("hush", ""):
        monkeypatch.setenv("FRESHSLATE_HTTP_TOKEN", refused)
        with pytest.raises(ConfigError, match=r"HTTP_TOKEN: what was given must have at least 16") as raised:
            load_settings()
        assert "hush" not in str(raised.value)


def test_heartbeats_are_sent_unless_told_otherwise() -> None:
    assert Settings().canary_seconds == 5.0
