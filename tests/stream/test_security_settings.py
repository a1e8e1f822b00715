from pathlib import Path

import pytest

from stream.config import ConfigError, Settings, load_settings
from stream.misfits import advice
from stream.security_settings import OWN_BROKER, SecuritySettings
from stream.settings_table import settings_table

SCRAM = {
    "kafka_security_protocol": "SASL_SSL",
    "kafka_sasl_mechanism": "SCRAM-SHA-512",
    "kafka_sasl_username": "worker",
    "kafka_sasl_password": "sesame",
}


def problems_of(**given: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(**given)
    return "\n".join(caught.value.problems)


def test_a_broker_is_open_unless_told() -> None:
    assert Settings().kafka_security_protocol == "PLAINTEXT"
    assert load_settings(**SCRAM).kafka_sasl_mechanism == "SCRAM-SHA-512"
    assert load_settings(kafka_security_protocol="ssl").kafka_security_protocol == "SSL"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"kafka_ca_file": "ca.pem"},
            "KAFKA_CA_FILE: is not looked at with FRESHSLATE_KAFKA_SECURITY_PROTOCOL=P",
        ),
        ({"kafka_sasl_username": "me"}, "KAFKA_SASL_USERNAME: is not looked at"),
        ({**SCRAM, "kafka_sasl_mechanism": None}, "KAFKA_SASL_MECHANISM: is needed with"),
        ({**SCRAM, "kafka_sasl_username": None}, "KAFKA_SASL_USERNAME: is needed with SCRAM-SHA-512"),
        ({**SCRAM, "kafka_sasl_password": None}, "KAFKA_SASL_PASSWORD_FILE: is needed with SCRAM-SHA-512"),
        (
            {**SCRAM, "kafka_sasl_password_file": "p"},
            "KAFKA_SASL_PASSWORD: is given, and FRESHSLATE_KAFKA_SASL_PA",
        ),
        ({**SCRAM, "kafka_sasl_mechanism": "OAUTHBEARER"}, "KAFKA_OAUTH_PROVIDER: is needed"),
        ({**SCRAM, "kafka_key_file": "k"}, "KAFKA_KEY_FILE: needs FRESHSLATE_KAFKA_CERT_FILE"),
        ({**SCRAM, "kafka_key_password": "hush"}, "KAFKA_KEY_PASSWORD: needs FRESHSLATE_KAFKA_CERT_FILE"),
        ({**SCRAM, "kafka_security_protocol": "TLS"}, "KAFKA_SECURITY_PROTOCOL: 'TLS' is not one of"),
    ],
)
def test_settings_that_do_not_fit_each_other_are_told_by_their_variables(
    given: dict[str, object], told: str
) -> None:
    said = problems_of(**given)
    assert told in said
    assert "sesame" not in said
    assert "hush" not in said


def test_secrets_are_in_no_table_text_or_error(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(**SCRAM)
    row = next(row for row in settings_table(settings) if row.env == "FRESHSLATE_KAFKA_SASL_PASSWORD")
    assert row.value == "**********"
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        assert "sesame" not in text
    assert "sesame" not in problems_of(**{**SCRAM, "partitions": 0})
    assert "b'odd'" not in problems_of(**{**SCRAM, "kafka_sasl_password": [b"odd"]})
    monkeypatch.setenv("FRESHSLATE_KAFKA_SASL_PASWORD", "sesame")
    said = problems_of()
    assert "did you mean FRESHSLATE_KAFKA_SASL_PASSWORD?" in said
    assert "sesame" not in said


def test_what_is_not_safe_is_advised_against() -> None:
    open_line = {**SCRAM, "kafka_security_protocol": "SASL_PLAINTEXT"}
    assert any("use SASL_SSL" in line for line in advice(load_settings(**open_line)))
    lax = load_settings(**SCRAM, kafka_check_hostname=False)
    assert any("FRESHSLATE_KAFKA_CHECK_HOSTNAME is off" in line for line in advice(lax))
    assert not any("KAFKA" in line for line in advice(load_settings(**SCRAM)))


def test_a_broker_of_our_own_is_reached_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in SCRAM.items():
        monkeypatch.setenv(f"FRESHSLATE_{name.upper()}", value)
    monkeypatch.setenv("FRESHSLATE_KAFKA_CA_FILE", "ca.pem")
    assert load_settings().kafka_ca_file == Path("ca.pem")
    own = load_settings(**OWN_BROKER)
    assert own.kafka_security_protocol == "PLAINTEXT"
    assert own.kafka_ca_file is None


def test_settings_of_security_stand_together_before_those_of_operators() -> None:
    names = [row.env.removeprefix("FRESHSLATE_").lower() for row in settings_table(Settings())]
    first = names.index("kafka_security_protocol")
    fields = list(SecuritySettings.model_fields)
    assert names[first : first + len(fields)] == fields
    assert names[first + len(fields)] == "worker_port"
