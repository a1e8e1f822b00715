"""Keeps clients that a broker refuses from asking it ten times a second, each of them, for ever.

aiokafka has no pause of its own for a refused password: it takes it for a broker that is away, and tries
again after 0.1 s. A worker has some eight clients. Here the first refusal stands for a while, for all clients
of this process, and the broker is not asked again before.
"""

import ssl
import time
from collections.abc import Callable
from typing import Any, Final

import aiokafka.client
from aiokafka.conn import create_conn as connect
from aiokafka.errors import IllegalSaslStateError, SaslAuthenticationFailed, UnsupportedSaslMechanismError

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
            self._refused[place] = (self._clock(), error)
            raise
        self._refused.pop(place, None)
        return connection


_GATE: Final = Gate()


def guard() -> None:
    """Let all of aiokafka's clients of this process connect through one gate; safe to call again."""
    aiokafka.client.create_conn = _GATE.connect
