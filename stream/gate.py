"""Keeps clients that a broker refuses from asking it ten times a second, each of them, for ever.

aiokafka has no pause of its own for a refused password: it takes it for a broker that is away, and tries
again after 0.1 s. A worker has some eight clients. Here the first refusal stands for a while, for all clients
of this process, and the broker is not asked again before.
"""

import logging
import ssl
import time
from collections.abc import Callable
from typing import Any, Final

import aiokafka.client
import aiokafka.conn
from aiokafka.conn import OAuthAuthenticator
from aiokafka.conn import create_conn as connect
from aiokafka.errors import IllegalSaslStateError, SaslAuthenticationFailed, UnsupportedSaslMechanismError

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 5.0
"""How long a refusal stands."""
REFUSALS: Final = (
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
    IllegalSaslStateError,
    ssl.SSLCertVerificationError,
)
"""What asking again at once does not help."""


class Gate:
    """Remembers who refused us, and when.

    Args:
        clock: seconds, never backwards.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._refused: dict[tuple[Any, ...], tuple[float, Exception]] = {}

    async def connect(self, host: str, port: int, **arguments: Any) -> Any:
        """Connect as `aiokafka.conn.create_conn` does, or repeat the refusal that still stands.

        Raises:
            Exception: whatever that function raises.
        """
        place = (host, port, arguments.get("sasl_plain_username"))
        since, refusal = self._refused.get(place, (0.0, None))
        if refusal is not None and self._clock() - since < PAUSE_SECONDS:
            raise refusal.with_traceback(None)
        try:
            connection = await connect(host, port, **arguments)
        except REFUSALS as error:
            if refusal is None:
                log.warning(
                    "the Kafka broker at %s:%d refuses us: %s; asking again every %g s (docs/security.md)",
                    host,
                    port,
                    error,
                    PAUSE_SECONDS,
                )
            self._refused[place] = (self._clock(), error)
            raise
        self._refused.pop(place, None)
        return connection


class CheckedToken(OAuthAuthenticator):  # type: ignore[misc]  # untyped base
    """Reads what the broker says of a token, which aiokafka takes for a yes whatever it is.

    A broker that refuses one answers without an error code, and with the reason (RFC 7628, section 3.2.2);
    aiokafka then believes to be let in, finds its next request unanswered, and tries again after 0.1 s.
    """

    async def step(self, payload: bytes | None) -> Any:
        """Send the token, and then look at the answer.

        Raises:
            SaslAuthenticationFailed: The token is not taken.
        """
        if self._token_sent and payload:
            message = "the broker does not take the token"
            raise SaslAuthenticationFailed(message)
        return await super().step(payload)


_GATE: Final = Gate()


def guard() -> None:
    """Let all of aiokafka's clients of this process connect through one gate; safe to call again."""
    aiokafka.client.create_conn = _GATE.connect
    aiokafka.conn.OAuthAuthenticator = CheckedToken
