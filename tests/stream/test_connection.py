import asyncio
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import SaslAuthenticationFailed
from aiokafka.protocol.admin import ApiVersionRequest_v0, SaslAuthenticateRequest_v0

from stream.config import ConfigError, load_settings
from stream.connection import (
    Connection,
    Tokens,
    arguments,
    as_connection,
    compression,
    connection,
    faust_credentials,
    hide_secrets_from_log,
)
from tests.kafka.secured import PASSWORD, Certificates

SCRAM: dict[str, Any] = {
    "kafka_security_protocol": "SASL_PLAINTEXT",
    "kafka_sasl_mechanism": "SCRAM-SHA-512",
    "kafka_sasl_username": "worker",
    "kafka_sasl_password": PASSWORD,
}
STREAM = Path(__file__).parents[2] / "stream"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("keys") / "certificates")


def problem_of(**given: Any) -> str:
    settings = load_settings(**given)
    with pytest.raises(ConfigError) as caught:
        connection(settings)
    return caught.value.problems[0]


def test_an_open_broker_needs_its_address_alone() -> None:
    there = connection(load_settings(broker="b:1"))
    assert arguments(there) == arguments("b:1") == {"bootstrap_servers": "b:1"}
    assert faust_credentials(there) is None
    assert str(as_connection("b:1")) == "b:1"


def test_a_password_goes_into_clients_and_is_seen_nowhere_else(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    there = connection(
        load_settings(**{**SCRAM, "kafka_sasl_password": None}, kafka_sasl_password_file=file, broker="b:1")
    )
    assert arguments(there) == {
        "bootstrap_servers": "b:1",
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "worker",
        "sasl_plain_password": PASSWORD,
    }
    credentials = faust_credentials(there)
    assert (credentials.password, str(credentials.protocol.value)) == (PASSWORD, "SASL_PLAINTEXT")
    for text in (repr(there), str(there), there.who, repr(credentials), str(vars(Connection))):
        assert PASSWORD not in text


def test_faust_gets_the_same_context_certificate_and_mechanism(certificates: Certificates) -> None:
    tls = {"kafka_ca_file": certificates.authority, "kafka_cert_file": certificates.client}
    there = connection(load_settings(kafka_security_protocol="SSL", **tls))
    assert faust_credentials(there).context is there.security["ssl_context"]
    assert there.security["ssl_context"].check_hostname
    both = connection(load_settings(**{**SCRAM, "kafka_security_protocol": "SASL_SSL"}, **tls))
    credentials = faust_credentials(both)
    assert (credentials.protocol.value, credentials.mechanism.value) == ("SASL_SSL", "SCRAM-SHA-512")
    lax = load_settings(kafka_security_protocol="SSL", kafka_check_hostname=False, **tls)
    assert not connection(lax).security["ssl_context"].check_hostname


def test_a_key_with_a_password_is_opened_with_it_and_nobody_is_asked(
    certificates: Certificates, tmp_path: Path
) -> None:
    key = certificates.encrypted("hush-hush")
    tls = {"kafka_security_protocol": "SSL", "kafka_cert_file": key}
    assert connection(load_settings(**tls, kafka_key_password="hush-hush")).protocol == "SSL"
    without = problem_of(**tls)
    assert "is encrypted: give its password by FRESHSLATE_KAFKA_KEY_PASSWORD or " in without
    wrong = problem_of(**tls, kafka_key_password="hush")
    assert wrong.startswith("FRESHSLATE_KAFKA_KEY_PASSWORD: does not open the key in ")
    assert "hush" not in wrong


def test_files_that_are_missing_empty_or_something_else_are_told_by_their_variables(
    certificates: Certificates, tmp_path: Path
) -> None:
    absent, text = tmp_path / "absent.pem", tmp_path / "text.pem"
    text.write_text("hello")
    empty = tmp_path / "empty"
    empty.touch()
    ssl = {"kafka_security_protocol": "SSL"}
    assert problem_of(**ssl, kafka_ca_file=absent) == (
        f"FRESHSLATE_KAFKA_CA_FILE: {absent} cannot be read: no such file or directory"
    )
    assert "holds no certificate in PEM form" in problem_of(**ssl, kafka_ca_file=text)
    assert "KAFKA_CERT_FILE: " in problem_of(**ssl, kafka_cert_file=absent)
    assert "hold no certificate with its private key" in problem_of(**ssl, kafka_cert_file=text)
    assert "KAFKA_KEY_FILE: " in problem_of(**ssl, kafka_cert_file=certificates.client, kafka_key_file=absent)
    assert "is not that of the certificate" in problem_of(
        **ssl, kafka_cert_file=certificates.client, kafka_key_file=certificates.server
    )
    scram = {**SCRAM, "kafka_sasl_password": None}
    assert "is empty" in problem_of(**scram, kafka_sasl_password_file=empty)
    assert "cannot be read" in problem_of(**scram, kafka_sasl_password_file=absent)


def test_a_hook_gives_tokens_and_what_it_fails_with_is_not_repeated() -> None:
    assert asyncio.run(Tokens("tests.kafka.secured:token").token()).count(".") == 2
    assert asyncio.run(Tokens("tests.kafka.secured:expired_token").token()).count(".") == 2
    with pytest.raises(SaslAuthenticationFailed, match="no_token gave no token: RuntimeError") as caught:
        asyncio.run(Tokens("tests.kafka.secured:no_token").token())
    assert PASSWORD not in str(caught.value)
    with pytest.raises(SaslAuthenticationFailed, match="not a token as text"):
        asyncio.run(Tokens("time:time").token())
    there = connection(
        load_settings(
            kafka_security_protocol="SASL_SSL",
            kafka_sasl_mechanism="OAUTHBEARER",
            kafka_oauth_provider="tests.kafka.secured:token",
        )
    )
    assert faust_credentials(there).oauth_cb is there.security["sasl_oauth_token_provider"]


@pytest.mark.parametrize("name", ["no.such.module:token", "tests.kafka.secured:nothing", "word", ":"])
def test_a_hook_that_is_not_there_is_told(name: str) -> None:
    with pytest.raises(ConfigError, match=r"must be package\.module:callable"):
        Tokens(name)
    with pytest.raises(ConfigError, match="cannot be called"):
        Tokens("tests.kafka.secured:PASSWORD")


def test_the_clients_debug_log_says_no_password(caplog: pytest.LogCaptureFixture) -> None:
    hide_secrets_from_log()
    caplog.set_level(logging.DEBUG, "aiokafka.conn")
    log = logging.getLogger("aiokafka.conn")
    secret = SaslAuthenticateRequest_v0(PASSWORD.encode())
    log.debug("Request to %s:%d %d: %s", "b", 1, 1, secret)
    log.debug("Request to %s:%d %d: %s", "b", 1, 2, ApiVersionRequest_v0())
    assert len(caplog.records) == 1
    assert PASSWORD not in caplog.text


def test_packing_is_a_matter_of_the_settings() -> None:
    assert compression(load_settings()) == {"compression_type": None}
    assert compression(load_settings(kafka_compression="zstd")) == {"compression_type": "zstd"}


def test_no_client_is_opened_past_this_module() -> None:
    for path in [*STREAM.rglob("*.py"), *(STREAM.parent / "agents").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        for client in ("AIOKafkaConsumer(", "AIOKafkaProducer(", "AIOKafkaAdminClient("):
            assert f"{client}bootstrap" not in text, path
        if path.name != "connection.py":
            # As an argument the address alone is an open broker, whatever the settings say.
            assert not re.search(r"(\(|, |\n\s+)(self\._)?(settings|loaded|target)\.broker[,)]", text), path
            assert "bootstrap_servers=" not in text, path
            assert '"bootstrap_servers"' not in text, path
