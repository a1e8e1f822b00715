"""Records of `slates` into the store; how they come is in `tests/kafka/test_api.py`."""

from aiokafka import TopicPartition

from state.event import HEARTBEAT_TENANT, state_key
from stream.api.follower import SlateFollower
from stream.api.store import SlateStore
from stream.config import load_settings
from tests.stream.api.fakes import slate_of
from tests.stream.records import record


def follow(*pairs: tuple[bytes | None, bytes | None]) -> tuple[SlateFollower, SlateStore]:
    store = SlateStore(1 << 20)
    follower = SlateFollower(load_settings(), store)
    records = [record(value, offset, key=key, topic="slates") for offset, (key, value) in enumerate(pairs)]
    follower.take({TopicPartition("slates", 0): records})
    return follower, store


def test_slates_are_kept_and_heartbeats_and_what_is_no_slate_left_out() -> None:
    beat = state_key(HEARTBEAT_TENANT, "0").encode()
    follower, store = follow(
        (b"u1", slate_of("u1")),
        (beat, slate_of("0")),
        (None, slate_of("u2")),
        (b"u3", b"{}"),
        (b"u4", b"\xff"),
    )
    assert store.latest("u1", "feed") is not None
    assert len(store) == 1
    assert follower.read == 5
    assert follower.lag() == 0


def test_a_tombstone_takes_the_user_away() -> None:
    _, store = follow((b"u1", slate_of("u1")), (b"u1", None))
    assert len(store) == 0
