"""The events of the drill; sent to a broker in `tests/kafka/test_drill.py`."""

import itertools
from collections import Counter
from typing import Any

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
