"""The latest slate of each user and scenario, in memory, bounded; and who waits for one."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
from msgspec import Struct

from state.slate import SlateItem, Trigger
from stream.api.follower import Records
from stream.reading import is_heartbeat

log = logging.getLogger(__name__)

ENTRY_BYTES: Final = 1200
"""What a kept slate takes beside its bytes: the user's key, the objects, the tables."""
SUBSCRIBER_SLATES: Final = 100
"""Slates that may wait for a slow reader of a stream; then the oldest go."""


class Head(Struct, gc=False):
    """What is read of a slate at once."""

    slate_id: str
    user_id: str
    tenant: str
    scenario: str
    time: int
    trigger: Trigger


class ShownSlate(Struct, gc=False, kw_only=True):
    """A slate as the API shows it: without its pool, and without what only learning needs."""

    slate_id: str
    user_id: str
    tenant: str
    scenario: str
    time: int
    """Epoch milliseconds: Kafka timestamp of the event that asked for it."""
    trigger: Trigger
    policy: str
    policy_version: str
    items: tuple[SlateItem, ...]


HEAD: Final = msgspec.json.Decoder(Head)
SHOWN: Final = msgspec.json.Decoder(ShownSlate)


class Kept(Struct, gc=False):
    """One slate in the store."""

    head: Head
    value: bytes
    """As on the topic."""
    stamped: int
    """Kafka timestamp of its record, epoch milliseconds."""
    body: bytes = b""
    """The whole answer, once somebody has asked for it."""

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return len(self.value) + len(self.body) + ENTRY_BYTES

    def shown(self) -> ShownSlate:
        """Read it whole."""
        return SHOWN.decode(self.value)


class SlateStore:
    """Latest slates by user's key and scenario.

    Args:
        max_bytes: beyond which users go, those first who have had no new slate for the longest time.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._users: OrderedDict[str, dict[str, Kept]] = OrderedDict()
        self._waiting: dict[tuple[str, str], list[asyncio.Future[Kept]]] = {}
        self._subscribers: dict[str, set[asyncio.Queue[Kept]]] = {}
        self.size = 0
        """Bytes that all of it takes, about."""
        self.evicted = 0
        """Users that had to go, since the start."""

    def __len__(self) -> int:
        """Users."""
        return len(self._users)

    @property
    def subscribers(self) -> int:
        """Streams that are read."""
        return sum(map(len, self._subscribers.values()))

    def put(self, key: str, value: bytes, stamped: int) -> None:
        """Keep a slate in place of the one before it, and tell those who wait.

        Raises:
            msgspec.DecodeError: it is no slate.
        """
        kept = Kept(HEAD.decode(value), value, stamped)
        slates = self._users.setdefault(key, {})
        before = slates.get(kept.head.scenario)
        slates[kept.head.scenario] = kept
        self.size += kept.size - (before.size if before else 0)
        self._users.move_to_end(key)
        while self.size > self._max_bytes and len(self._users) > 1:
            self._drop(next(iter(self._users)))
            self.evicted += 1
        if self._waiting or self._subscribers:
            self._tell(key, kept)

    def take(self, records: Records) -> None:
        """Put records of the topic in, heartbeats left out; what is no slate is left out with a warning."""
        for record in records:
            if is_heartbeat(record) or record.key is None:
                continue
            key = record.key.decode(errors="replace")
            if record.value is None:
                self.drop(key)
                continue
            try:
                self.put(key, record.value, record.timestamp)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                log.warning("%s at %d is no slate: %s", record.topic, record.offset, error)

    def drop(self, key: str) -> None:
        """Forget a user."""
        if key in self._users:
            self._drop(key)

    def latest(self, key: str, scenario: str) -> Kept | None:
        """The user's latest slate of a scenario."""
        return self._users.get(key, {}).get(scenario)

    def keep_answer(self, key: str, kept: Kept, body: bytes) -> None:
        """Keep a slate's whole answer with it, as long as it is the latest."""
        if self.latest(key, kept.head.scenario) is kept and not kept.body:
            kept.body = body
            self.size += len(body)

    @contextmanager
    def answer(self, key: str, event_id: str) -> Iterator["asyncio.Future[Kept]"]:
        """Wait for the slate that answers an event; ask before the event is sent."""
        future: asyncio.Future[Kept] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault((key, event_id), [])
        waiting.append(future)
        try:
            yield future
        finally:
            waiting.remove(future)
            if not waiting:
                self._waiting.pop((key, event_id), None)

    @contextmanager
    def subscription(self, key: str) -> Iterator["asyncio.Queue[Kept]"]:
        """Every slate of a user from now on."""
        queue: asyncio.Queue[Kept] = asyncio.Queue(SUBSCRIBER_SLATES)
        readers = self._subscribers.setdefault(key, set())
        readers.add(queue)
        try:
            yield queue
        finally:
            readers.discard(queue)
            if not readers:
                self._subscribers.pop(key, None)

    def _drop(self, key: str) -> None:
        self.size -= sum(kept.size for kept in self._users.pop(key).values())

    def _tell(self, key: str, kept: Kept) -> None:
        for future in self._waiting.get((key, kept.head.trigger.event_id), ()):
            if not future.done():
                future.set_result(kept)
        for queue in self._subscribers.get(key, ()):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(kept)
