"""The heartbeat: an event of our own, now and then, that goes the whole way to a slate.

Each worker sends one for each of its partitions. So the freshness of slates is known while shoppers sleep,
and a worker that is stuck has input waiting, which its `/healthz` sees, though no shopper sends any. What is
sent is in `state.parse.heartbeat_fields`; how it is kept out of all that is made of shoppers' events, in
docs/operations.md. Its answers are counted in `stream/measures.py`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection
from typing import Any, Final

import msgspec
from aiokafka.errors import KafkaError, KafkaTimeoutError

from state.event import HEARTBEAT_TENANT, state_key
from state.parse import heartbeat_fields
from stream.config import Settings
from stream.metrics import Metrics
from stream.sender import event_producer
from stream.times import now_ms
from stream.worker_metrics import HEARTBEATS_SENT

log = logging.getLogger(__name__)

SEND_SECONDS: Final = 10.0
"""How long the broker may take to accept a round of heartbeats."""
STOP_SECONDS: Final = 1.0
"""How long a producer may take to stop; what it still holds is then forgotten."""


class Heartbeat:
    """Sends heartbeats for the partitions that a worker has.

    Args:
        settings: of the worker.
        owned: the worker's partitions, whenever it is called.
        metrics: of the worker.
        producer: makes a producer, not yet started.
        now: epoch milliseconds.
    """

    def __init__(
        self,
        settings: Settings,
        owned: Callable[[], Collection[int]],
        metrics: Metrics,
        *,
        producer: Callable[[Settings, str], Any] = event_producer,
        now: Callable[[], int] = now_ms,
    ) -> None:
        self._settings = settings
        self._owned = owned
        self._metrics = metrics
        self._make = producer
        self._now = now
        self._producer: Any = None
        self._is_failing = False

    async def run(self) -> None:
        """Send for ever; a broker that does not take them is asked again the next time."""
        try:
            while True:
                await self.beat()
                await asyncio.sleep(self._settings.canary_seconds)
        finally:
            await self._let_go()

    async def beat(self) -> None:
        """Send one heartbeat for each partition, all at once."""
        partitions = sorted(self._owned())
        if not partitions:
            return
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._send(partitions)
        except (KafkaError, TimeoutError, OSError) as error:
            await self._failed(error)
            return
        self._metrics.add(HEARTBEATS_SENT, len(partitions))
        if self._is_failing:
            log.info("heartbeats are sent again")
            self._is_failing = False

    async def _send(self, partitions: Collection[int]) -> None:
        if self._producer is None:
            self._producer = await self._started()
        topic = self._settings.input_topics[0]
        sent = [
            await self._producer.send(topic, heartbeat(p, self._now()), key=heartbeat_key(p), partition=p)
            for p in partitions
        ]
        await asyncio.gather(*sent)

    async def _started(self) -> Any:
        producer = self._make(self._settings, "heartbeat")
        try:
            await producer.start()
        except BaseException:
            await _stop(producer)
            raise
        return producer

    async def _failed(self, error: Exception) -> None:
        if not self._is_failing:
            log.warning(
                "no heartbeat can be sent to %s (%s); the worker goes on without. If it may not write there, "
                "allow it, or set FRESHSLATE_CANARY_SECONDS=0",
                self._settings.input_topics[0],
                f"{type(error).__name__}: {error}".rstrip(": "),
            )
        self._is_failing = True
        # A producer whose broker is away goes on trying, and gives up records by itself; another error may
        # have ended it.
        if not isinstance(error, TimeoutError | KafkaTimeoutError):
            await self._let_go()

    async def _let_go(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer)


async def _stop(producer: Any) -> None:
    with contextlib.suppress(KafkaError, TimeoutError, OSError):
        # It would first send what it holds, for long where the broker is gone.
        async with asyncio.timeout(STOP_SECONDS):
            await producer.stop()


def heartbeat(partition: int, now: int) -> bytes:
    """A heartbeat as it is sent; `now` is epoch milliseconds."""
    return msgspec.json.encode(heartbeat_fields(partition, now))


def heartbeat_key(partition: int) -> bytes:
    """The key of a partition's heartbeats, and of their slates and profile."""
    return state_key(HEARTBEAT_TENANT, str(partition)).encode()
