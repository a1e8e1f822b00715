from typing import Any

import aiokafka.client
import pytest
from aiokafka.errors import KafkaConnectionError, SaslAuthenticationFailed

import stream.gate
from stream.gate import PAUSE_SECONDS, Gate, guard


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
    guard()
    assert aiokafka.client.create_conn == stream.gate._GATE.connect
