"""The store of latest slates."""

import asyncio

import msgspec
import pytest

from state.event import HEARTBEAT_TENANT, state_key
from stream.api.store import ENTRY_BYTES, SUBSCRIBER_SLATES, SlateStore
from tests.stream.api.fakes import slate_of
from tests.stream.records import record


def store_of(*users: str, max_bytes: int = 1 << 20) -> SlateStore:
    store = SlateStore(max_bytes)
    for user in users:
        store.put(user, slate_of(user), 5)
    return store


def test_the_latest_slate_of_each_scenario_is_kept() -> None:
    store = store_of("u1")
    store.put("u1", slate_of(number=2), 7)
    store.put("u1", slate_of(number=3, scenario="cart"), 8)
    feed, cart = store.latest("u1", "feed"), store.latest("u1", "cart")
    assert feed is not None
    assert cart is not None
    assert (feed.head.slate_id, feed.stamped) == ("events-0-2", 7)
    assert cart.head.slate_id == "events-0-3"
    assert [item.item_id for item in feed.shown().items] == ["i1", "i2", "i3"]
    assert store.latest("u1", "search") is None
    assert store.latest("u2", "feed") is None
    assert store.size == len(feed.value) + len(cart.value) + 2 * ENTRY_BYTES


def test_users_without_a_new_slate_for_the_longest_time_go_first() -> None:
    room = 3 * (len(slate_of("u1")) + ENTRY_BYTES)
    store = store_of("u1", "u2", "u3", max_bytes=room)
    store.put("u1", slate_of("u1", number=4), 6)
    store.put("u4", slate_of("u4"), 6)
    assert [user for user in ("u1", "u2", "u3", "u4") if store.latest(user, "feed")] == ["u1", "u3", "u4"]
    assert (len(store), store.evicted) == (3, 1)
    assert store.size <= room


def test_an_answer_is_kept_with_its_slate_counts_as_room_and_goes_with_it() -> None:
    store = store_of("u1")
    before = store.size
    kept = store.latest("u1", "feed")
    assert kept is not None
    store.keep_answer("u1", kept, b"x" * 100)
    store.keep_answer("u1", kept, b"x" * 100)
    assert (store.size, kept.body) == (before + 100, b"x" * 100)
    store.put("u1", slate_of("u1"), 6)
    store.keep_answer("u1", kept, b"y")
    assert store.size == before


def test_a_forgotten_user_takes_no_room() -> None:
    store = store_of("u1")
    store.drop("u1")
    store.drop("u2")
    assert (len(store), store.size, store.latest("u1", "feed")) == (0, 0, None)


def test_what_is_no_slate_is_refused_and_changes_nothing() -> None:
    store = store_of("u1")
    with pytest.raises(msgspec.DecodeError):
        store.put("u1", b"{}", 9)
    assert len(store) == 1


async def test_who_waits_for_an_event_gets_its_slate_and_no_other() -> None:
    store = store_of()
    with store.answer("u1", "e7") as one, store.answer("u1", "e7") as two, store.answer("u2", "e7") as other:
        store.put("u1", slate_of(event_id="e6"), 1)
        assert not one.done()
        store.put("u1", slate_of(event_id="e7", number=9), 1)
        store.put("u1", slate_of(event_id="e7", number=10), 1)
        assert one.result() is two.result()
        assert one.result().head.slate_id == "events-0-9"
        assert not other.done()
    store.put("u1", slate_of(event_id="e7"), 1)


async def test_a_subscriber_gets_every_slate_and_a_slow_one_the_latest() -> None:
    store = store_of()
    with store.subscription("u1") as queue:
        assert store.subscribers == 1
        for number in range(SUBSCRIBER_SLATES + 5):
            store.put("u1", slate_of(number=number), 1)
            store.put("u2", slate_of("u2"), 1)
        assert queue.qsize() == SUBSCRIBER_SLATES
        assert queue.get_nowait().head.slate_id == "events-0-5"
    assert store.subscribers == 0
    await asyncio.sleep(0)


def test_records_are_put_in_and_heartbeats_and_what_is_no_slate_left_out() -> None:
    store = store_of()
    beat = state_key(HEARTBEAT_TENANT, "0").encode()
    rows = [
        (b"u1", slate_of("u1")),
        (beat, slate_of("0")),
        (None, slate_of("u2")),
        (b"u3", b"{}"),
        (b"u4", b"\xff"),
        (b"u5", slate_of("u5")),
        (b"u5", None),
    ]
    store.take([record(value, offset, key=key, topic="slates") for offset, (key, value) in enumerate(rows)])
    assert store.latest("u1", "feed") is not None
    assert len(store) == 1
