"""A simulated shop on the topics: what its shoppers do goes out, the slates that come back are shown.

The shop is one more Kafka client. It produces events and catalogue items, reads slates with
`read_committed`, and knows nothing of workers.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from types import TracebackType
from typing import Any, Final, Protocol, Self

import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from state.errors import FreshslateError
from state.event import Event
from state.simulation.shop import Shop
from state.simulation.wire import user_name
from state.slate import Slate
from stream.codecs import decode_slate, encode_item
from stream.config import Settings
from stream.connection import arguments, connection
from stream.letters import dealt_of
from stream.reading import is_heartbeat
from stream.sender import Router, Sender, event_producer
from stream.times import now_ms
from stream.topics import describe

TICK_SECONDS: Final = 0.02
"""Time between two looks at who acts next: short beside any shopper's thought."""
PAST_STEP_MS: Final = 500
NEWS_SECONDS: Final = 1.0
"""Time between two updates of the catalogue."""
POLL_MS: Final = 500


class SimulationError(FreshslateError):
    """The simulated shop cannot go on; the message says why."""


class Watcher(Protocol):
    """Sees everything that the closed loop sends and reads."""

    def sent(self, events: Sequence[Event], at: float | None) -> None:
        """These events are about to be sent, at this `time.perf_counter()`; None for what is past."""
        ...

    def read(self, slate: Slate, at: float) -> None:
        """This slate was read."""
        ...

    def seen(self, slate: Slate, expected: float, best: float) -> None:
        """A shopper sees this slate; its true click probability, and that of the best possible one."""
        ...

    def dead(self, count: int) -> None:
        """So many dead letters were read."""
        ...


class ClosedLoop:
    """A simulated shop on real topics, for as long as the block lasts.

    Args:
        settings: Say where.
        shop: Its clock is that of this machine, or behind it.
        watcher: Is told of everything.
    """

    def __init__(self, settings: Settings, shop: Shop, watcher: Watcher) -> None:
        self._settings = settings
        self._shop = shop
        self._watcher = watcher
        self._items = {item_id: number for number, item_id in enumerate(shop.item_ids)}
        self._stack = AsyncExitStack()
        self._producer: AIOKafkaProducer = None
        self._consumer: AIOKafkaConsumer = None
        self._sender: Sender = None  # type: ignore[assignment]  # there once the block is entered

    async def __aenter__(self) -> Self:
        settings = self._settings
        outputs = (settings.slates_topic, settings.dlq_topic)
        needed = (*settings.input_topics, settings.items_topic, *outputs)
        topics = await describe(connection(settings), needed)
        if missing := sorted(set(needed) - topics.keys()):
            message = f"no topic {', '.join(missing)}; run `freshslate topics create`"
            raise SimulationError(message)
        async with AsyncExitStack() as stack:
            self._producer = event_producer(settings, "shop")
            await _entered(stack, self._producer)
            self._sender = Sender(self._producer, Router(settings, topics), None)
            stack.callback(self._sender.forget)
            self._consumer = AIOKafkaConsumer(
                **arguments(connection(settings)),
                isolation_level="read_committed",
                enable_auto_commit=False,
                auto_offset_reset="latest",
            )
            await _entered(stack, self._consumer)
            tps = [TopicPartition(name, p) for name in outputs for p in range(topics[name].partitions)]
            self._consumer.assign(tps)
            # Where they end is fixed before anything is sent, so that no answer is missed.
            for tp in tps:
                await self._consumer.position(tp)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def announce(self) -> int:
        """Send what the catalogue says anew, at first every item; returns how many."""
        changes = self._shop.changes(max(self._shop.now, now_ms()))
        for item in changes:
            await self._producer.send(
                self._settings.items_topic, encode_item(item), key=item.item_id.encode()
            )
        return len(changes)

    async def catch_up(self) -> int:
        """Play everything up to now at once, before there is anybody to answer; returns how many events.

        Raises:
            SimulationError: The broker refuses an event.
        """
        count = 0
        with _told():
            while self._shop.now < (now := now_ms()):
                count += await self._send(min(now, self._shop.now + PAST_STEP_MS), at=None)
            await self._sender.finish()
        return count

    async def play(self, seconds: float) -> None:
        """Play in real time.

        Raises:
            SimulationError: The broker refuses an event.
        """
        start = news = tick = time.perf_counter()
        with _told():
            while tick - start < seconds:
                await self._send(max(self._shop.now, now_ms()), at=tick)
                if tick - news >= NEWS_SECONDS:
                    news = tick
                    await self.announce()
                await asyncio.sleep(max(0.0, tick + TICK_SECONDS - time.perf_counter()))
                tick = time.perf_counter()
            await self._sender.finish()

    async def follow(self) -> None:
        """Read slates and dead letters, and show the slates, for ever."""
        while True:
            fetched = await self._consumer.getmany(timeout_ms=POLL_MS)
            at = time.perf_counter()
            slates = []
            for tp, records in fetched.items():
                if tp.topic == self._settings.dlq_topic:
                    self._watcher.dead(sum(dealt_of(record) is None for record in records))
                else:
                    slates += [
                        decode_slate(record.value)
                        for record in records
                        if record.value is not None and not is_heartbeat(record)
                    ]
            for slate in slates:
                self._watcher.read(slate, at)
            self._show(slates)

    async def _send(self, now: int, *, at: float | None) -> int:
        events = self._shop.events(self._shop.advance(now))
        if events:
            self._watcher.sent(events, at)
            for event in events:
                await self._sender.add(event)
            await self._sender.flush()
        return len(events)

    def _show(self, slates: Sequence[Slate]) -> None:
        """Show each shopper the newest of their slates."""
        newest = {slate.user_id: slate for slate in slates if slate.items}
        shop = self._shop
        shown = [(shopper_of(user, shop.config.shoppers), slate) for user, slate in newest.items()]
        known = [(shopper, slate) for shopper, slate in shown if shopper is not None]
        if not known:
            return
        rows = slate_rows([slate for _, slate in known], self._items, shop.config.slots)
        shoppers = np.array([shopper for shopper, _ in known], np.int32)
        shop.show(shoppers, rows, max(shop.now, now_ms()), [slate.slate_id for _, slate in known])
        told = zip(shop.last_seen.tolist(), shop.last_expected.tolist(), shop.last_best.tolist(), strict=True)
        for row, expected, best in told:
            self._watcher.seen(known[row][1], expected, best)


def shopper_of(user_id: str, shoppers: int) -> int | None:
    """The shopper with this user id; None for users of somebody else, which the topics may hold too."""
    number = user_id.rpartition("-")[2]
    is_ours = number.isdecimal() and int(number) < shoppers and user_name(int(number)) == user_id
    return int(number) if is_ours else None


def slate_rows(slates: Sequence[Slate], items: Mapping[str, int], slots: int) -> Any:
    """Slates as the shop takes them: [m, slots] item numbers, -1 where there is none or it is not ours."""
    rows = np.full((len(slates), slots), -1, np.int32)
    for row, slate in enumerate(slates):
        for place, item in enumerate(slate.items[:slots]):
            rows[row, place] = items.get(item.item_id, -1)
    return rows


@contextmanager
def _told() -> Iterator[None]:
    """Say in one line what the broker did not take."""
    try:
        yield
    except KafkaError as error:
        message = f"the broker stopped the shop: {error!r}"
        raise SimulationError(message) from error


async def _entered(stack: AsyncExitStack, client: Any) -> None:
    """Start a client, and stop it with the stack, also where the start fails."""
    stack.push_async_callback(client.stop)
    await client.start()
