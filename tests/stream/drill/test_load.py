"""The events of the drill; sent to a broker in `tests/kafka/test_drill.py`."""

import asyncio
import itertools
from collections import Counter
from typing import Any, NamedTuple

import pytest

from stream.beside import beside
from stream.config import Settings
from stream.drill.load import HOT_USER, ITEMS, Load


def a_load(seed: int = 1) -> Load:
    return Load(Settings(broker="nowhere:1", partitions=4), rate=100, seed=seed)


def events(load: Load, count: int) -> list[dict[str, Any]]:
    return list(itertools.chain.from_iterable(load._next() for _ in range(count)))


def without_time(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in event.items() if name != "time"} for event in found]


def test_the_seed_decides_every_event() -> None:
    assert without_time(events(a_load(), 500)) == without_time(events(a_load(), 500))
    assert without_time(events(a_load(), 500)) != without_time(events(a_load(2), 500))


def test_some_events_are_broken_some_come_twice_and_items_are_few() -> None:
    found = events(a_load(), 3000)
    ids = Counter(event["event_id"] for event in found)
    assert 0 < sum(event["type"] == "nonsense" for event in found) < 60
    assert 0 < sum(count == 2 for count in ids.values()) < 100
    assert max(ids.values()) == 2
    assert len({event["item_id"] for event in found}) <= ITEMS


def test_a_producer_that_tries_again_sends_half_of_its_events_twice() -> None:
    load = a_load()
    load.retries = True
    found = events(load, 1000)
    assert 400 < load.retried < 600
    assert len(found) == 1000 + load.retried
    places = {}
    for place, event in enumerate(found):
        if (first := places.setdefault(event["event_id"], place)) != place:
            # Sooner than the user's next 16 events, beyond which no worker knows the id.
            assert sum(other["user_id"] == event["user_id"] for other in found[first:place]) < 16


def test_a_hot_user_has_half_of_the_traffic() -> None:
    load = a_load()
    assert not any(event["user_id"] == HOT_USER for event in events(load, 100))
    load.is_hot = True
    events(load, 1000)
    assert 400 < load.hot < 600


class Place(NamedTuple):
    partition: int
    offset: int


class Broker:
    """Acknowledges at once, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.log: Counter[int] = Counter()
        self._error = error

    async def send(self, topic: str, value: bytes, *, key: bytes, partition: int) -> "asyncio.Future[Place]":
        future: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        if self._error is not None:
            future.set_exception(self._error)
        else:
            future.set_result(Place(partition, self.log[partition]))
            self.log[partition] += 1
        return future

    async def flush(self) -> None:
        await asyncio.sleep(0)


def sending(broker: Broker) -> Load:
    load = a_load()
    load._producer = broker
    return load


async def test_a_flood_goes_to_every_partition_and_all_of_it_is_counted() -> None:
    broker = Broker()
    load = sending(broker)
    assert await load.flood(30) == 120 == load.garbage
    await load.finish()
    assert load.sent == 120
    assert load.ends == broker.log == dict.fromkeys(range(4), 30)


async def test_events_go_on_for_ever_and_where_they_end_is_known() -> None:
    broker = Broker()
    load = sending(broker)
    async with beside(load.run()):
        while load.sent < 10:
            await asyncio.sleep(0.01)
    await load.finish()
    assert load.ends == broker.log
    assert load.sent == broker.log.total()


async def test_an_event_that_the_broker_refuses_ends_the_load() -> None:
    load = sending(Broker(ConnectionError("gone")))
    with pytest.raises(ConnectionError, match="gone"):
        await load.run()
    with pytest.raises(ConnectionError, match="gone"):
        await load.finish()
