"""Settings of the HTTP API."""

import pytest

from stream.api_settings import ApiSettings
from stream.config import ConfigError, Settings, load_settings


def test_they_are_among_all_settings_and_open_nothing_by_default() -> None:
    assert set(ApiSettings.model_fields) <= set(Settings.model_fields)
    settings = load_settings()
    assert (settings.api_host, settings.api_keys_file, settings.api_cors_origins) == ("127.0.0.1", None, ())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api_rate", 0),
        ("api_port", 70_000),
        ("api_body_bytes", 10),
        ("api_ack_seconds", 0),
        ("api_store_bytes", 5),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"FRESHSLATE_{name.upper()}"):
        load_settings(**{name: value})
