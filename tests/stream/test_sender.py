"""Where events go; that they arrive is in `tests/kafka/test_replay.py`."""

import pytest

from state.event import EVENT_TYPES
from stream.config import load_settings
from stream.sender import Router, event_producer
from stream.topics import TopicState


def router(inputs: str, *, partitions: int = 8, prefix: str = "", formats: str = "") -> Router:
    settings = load_settings(inputs=inputs, topic_prefix=prefix, input_formats=formats)
    return Router(settings, {name: TopicState(partitions, {}) for name in settings.input_topics})


@pytest.mark.parametrize("inputs", ["events", "clicks"])
def test_one_input_takes_every_event(inputs: str) -> None:
    route = router(inputs)
    assert {route(kind, b"u")[0] for kind in EVENT_TYPES} == {inputs}


def test_of_several_inputs_each_takes_its_type_and_the_first_takes_the_rest() -> None:
    route = router("clicks,purchases,impressions", prefix="shop.")
    topics = {kind: route(kind, b"u")[0] for kind in EVENT_TYPES}
    assert topics["click"] == "shop.clicks"
    assert topics["purchase"] == "shop.purchases"
    assert topics["impression"] == "shop.impressions"
    assert {topics[kind] for kind in ("view", "search", "refund")} == {"shop.clicks"}


def test_of_two_inputs_of_one_type_the_first_takes_it() -> None:
    assert router("views,orders,purchases")("purchase", b"u")[0] == "orders"


def test_an_input_in_another_format_gets_no_events_of_ours() -> None:
    route = router("events,clicks,purchases", prefix="shop.", formats="clicks=segment,purchases=freshslate")
    assert (route("click", b"u")[0], route("purchase", b"u")[0]) == ("shop.events", "shop.purchases")


@pytest.mark.parametrize(
    ("key", "murmur2"),
    # org.apache.kafka.common.utils.UtilsTest#testMurmur2
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_a_key_goes_to_the_partition_that_the_java_client_takes(key: bytes, murmur2: int) -> None:
    assert router("events", partitions=12)("click", key) == ("events", (murmur2 & 0x7FFFFFFF) % 12)


def test_a_users_events_share_the_partition_number_in_every_input() -> None:
    route = router("clicks,purchases")
    for n in range(50):
        key = str(n).encode()
        assert route("click", key)[1] == route("purchase", key)[1]


async def test_a_producer_says_who_it_is_and_writes_each_record_once() -> None:
    producer = event_producer(load_settings(app_id="shop"), "replay")
    try:
        assert producer.client._client_id == "shop-replay"
        assert producer._txn_manager is not None
    finally:
        await producer.stop()
