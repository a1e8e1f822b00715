from typing import Any

import aiokafka.client
import aiokafka.conn
import pytest
from aiokafka.errors import KafkaConnectionError, SaslAuthenticationFailed

import stream.gate
from stream.gate import PAUSE_SECONDS, CheckedToken, Gate, guard


class Broker:
    """Answers each attempt with what the test says."""

    def __init__(self) -> None:
        self.now = 100.0
        self.attempts = 0
        self.error: Exception | None = SaslAuthenticationFailed("wrong password")

    async def connect(self, host: str, port: int, **arguments: Any) -> str:
        self.attempts += 1
        if self.error is not None:
            raise self.error
        return f"{host}:{port}"


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    it = Broker()
    monkeypatch.setattr(stream.gate, "connect", it.connect)
    return it


async def test_a_refusal_is_told_once_as_long_as_it_lasts(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate(lambda: broker.now)
    for _ in range(3):
        broker.now += PAUSE_SECONDS
        with pytest.raises(SaslAuthenticationFailed):
            await gate.connect("b", 1)
    assert [each.getMessage().partition(";")[0] for each in caplog.records] == [
        f"the Kafka broker at b:1 refuses us: {broker.error}"
    ]
    broker.error, broker.now = None, broker.now + PAUSE_SECONDS
    await gate.connect("b", 1)
    broker.error = SaslAuthenticationFailed("again")
    with pytest.raises(SaslAuthenticationFailed):
        await gate.connect("b", 1)
    assert len(caplog.records) == 2


async def test_a_refusal_stands_for_a_while_and_then_is_asked_for_again(broker: Broker) -> None:
    gate = Gate(lambda: broker.now)
    for _ in range(50):
        with pytest.raises(SaslAuthenticationFailed, match="wrong password"):
            await gate.connect("b", 1, sasl_plain_username="me")
    assert broker.attempts == 1
    broker.now += PAUSE_SECONDS
    broker.error = None
    assert await gate.connect("b", 1, sasl_plain_username="me") == "b:1"
    broker.error = SaslAuthenticationFailed("again")
    with pytest.raises(SaslAuthenticationFailed, match="again"):
        await gate.connect("b", 1, sasl_plain_username="me")


async def test_another_broker_or_user_is_asked_all_the_same(broker: Broker) -> None:
    gate = Gate(lambda: broker.now)
    for host, user in (("b", "me"), ("c", "me"), ("b", "you")):
        with pytest.raises(SaslAuthenticationFailed):
            await gate.connect(host, 1, sasl_plain_username=user)
    assert broker.attempts == 3


async def test_a_broker_that_is_away_is_tried_again_at_once(broker: Broker) -> None:
    gate = Gate(lambda: broker.now)
    broker.error = KafkaConnectionError("away")
    for _ in range(3):
        with pytest.raises(KafkaConnectionError):
            await gate.connect("b", 1)
    assert broker.attempts == 3


def test_all_clients_connect_through_the_gate_once_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiokafka.client, "create_conn", aiokafka.client.create_conn)
    monkeypatch.setattr(aiokafka.conn, "OAuthAuthenticator", aiokafka.conn.OAuthAuthenticator)
    guard()
    assert aiokafka.conn.OAuthAuthenticator is CheckedToken
    assert aiokafka.client.create_conn == stream.gate._GATE.connect


async def test_a_token_is_refused_by_a_reason_and_taken_by_none() -> None:
    class Provider:
        async def token(self) -> str:
            return "a.b."

    for answer in (b"", None):
        taken = CheckedToken(sasl_oauth_token_provider=Provider())
        assert (await taken.step(None))[0] == b"n,,\x01auth=Bearer a.b.\x01\x01"
        assert await taken.step(answer) is None
    refused = CheckedToken(sasl_oauth_token_provider=Provider())
    await refused.step(None)
    with pytest.raises(SaslAuthenticationFailed, match="does not take the token"):
        await refused.step(b'{"status":"invalid_token"}')
