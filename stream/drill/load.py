"""The drill's load: seeded events at a steady rate, of a shop small enough that slates get clicked."""

import asyncio
import contextlib
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from stream.config import Settings
from stream.connection import arguments, connection
from stream.times import now_ms

USERS: Final = 1500
"""Enough for a table of RocksDB, which holds each once, to be larger than what a full disk has left."""
ITEMS: Final = 150
"""Fewer than the rules that an item keeps, so that none is forgotten and the models can be compared."""
HOT_USER: Final = "hot"
TICK_SECONDS: Final = 0.02
STOP_SECONDS: Final = 5.0
PATIENCE_MS: Final = 180_000
"""How long a record may take to be acknowledged: longer than any fault keeps the broker away."""
_TYPES: Final = ("view", "click", "add_to_cart", "purchase", "impression")
_TYPE_WEIGHTS: Final = (5, 5, 2, 1, 1)
_GARBAGE: Final = (b"garbage", b'{"type": "click"', b"[]", b'{"type": "teleport", "user_id": "u1"}')


class Load:
    """Sends until it is told to stop.

    Args:
        settings: where to; not through the proxy, whose cuts are for workers.
        rate: events a second.
        seed: of everything that is drawn.
    """

    def __init__(self, settings: Settings, *, rate: float, seed: int) -> None:
        self._settings = settings
        self._rate = rate
        self._draw = random.Random(seed)
        self._partitions = list(range(settings.partitions))
        self._choose = DefaultPartitioner()
        self._producer: Any = None
        self._failed: BaseException | None = None
        self._waiting = 0
        self._numbers: Iterator[int] = iter(range(1 << 62))
        self._again: list[dict[str, Any]] = []
        self.sent = 0
        """Records acknowledged by the broker."""
        self.retried = 0
        """Events sent once more with the same id."""
        self.garbage = 0
        """Records that are no events, of `flood`."""
        self.hot = 0
        """Events of the hot user."""
        self.ends: Counter[int] = Counter()
        """Offset after the last acknowledged record, by partition."""
        self.is_hot = False
        """Whether one user has half of the traffic."""
        self.retries = False
        """Whether every second event is sent again soon, as by a producer that missed the answer."""

    async def run(self) -> None:
        """Send at the rate, for ever; what a dead broker held up is sent once it is back."""
        start, count = time.monotonic(), 0
        while True:
            due = int((time.monotonic() - start) * self._rate)
            for _ in range(count, due):
                for event in self._next():
                    await self._send(event["user_id"].encode(), json.dumps(event).encode())
            count = due
            if self._failed is not None:
                raise self._failed
            await asyncio.sleep(TICK_SECONDS)

    async def flood(self, per_partition: int) -> int:
        """Send so many records that are no events to every partition; how many these are together."""
        for _ in range(per_partition):
            for partition in self._partitions:
                await self._send(b"flood", self._draw.choice(_GARBAGE), partition)
        self.garbage += per_partition * len(self._partitions)
        return per_partition * len(self._partitions)

    async def __aenter__(self) -> Self:
        self._producer = AIOKafkaProducer(
            **arguments(connection(self._settings)),
            client_id=f"{self._settings.app_id}-load",
            enable_idempotence=True,
            linger_ms=5,
            request_timeout_ms=PATIENCE_MS,
            # A broker that was frozen or killed is asked again soon.
            retry_backoff_ms=50,
            metadata_max_age_ms=10_000,
        )
        await self._producer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(TimeoutError):
            # Stopping sends what waits, which a broker that is gone never takes.
            async with asyncio.timeout(STOP_SECONDS):
                await self._producer.stop()

    async def finish(self) -> None:
        """Wait until the broker has everything."""
        await self._producer.flush()
        if self._failed is not None:
            raise self._failed

    def _next(self) -> Iterator[dict[str, Any]]:
        """The next event, and those whose time to be sent again has come."""
        draw, number = self._draw, next(self._numbers)
        is_hot = self.is_hot and draw.random() < 0.5
        user = HOT_USER if is_hot else f"u{int(USERS * draw.random() ** 2)}"
        event = {
            "event_id": f"e{number}",
            "type": draw.choices(_TYPES, _TYPE_WEIGHTS)[0] if draw.random() > 0.003 else "nonsense",
            "user_id": user,
            "item_id": f"i{int(ITEMS * draw.random() ** 2)}",
            "time": now_ms() - (draw.randrange(60_000) if draw.random() < 0.05 else 0),
        }
        self.hot += is_hot
        yield event
        if draw.random() < (0.5 if self.retries else 0.01):
            self._again.append(event)
        # Only a user's latest events are known by id: soon is before that user's next sixteen.
        while self._again and draw.random() < 0.5:
            self.retried += 1
            yield self._again.pop(0)

    async def _send(self, key: bytes, value: bytes, partition: int | None = None) -> None:
        if partition is None:
            partition = self._choose(key, self._partitions, self._partitions)
        topic = self._settings.input_topics[0]
        future = await self._producer.send(topic, value, key=key, partition=partition)
        future.add_done_callback(self._acknowledged)

    def _acknowledged(self, future: "asyncio.Future[Any]") -> None:
        if future.cancelled():
            return
        if (error := future.exception()) is not None:
            self._failed = error
            return
        place = future.result()
        self.sent += 1
        self.ends[place.partition] = max(self.ends[place.partition], place.offset + 1)
