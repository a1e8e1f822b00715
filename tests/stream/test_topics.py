import asyncio

import pytest

from stream.config import DAY, load_settings
from stream.topics import (
    BrokerUnreachableError,
    create_topics,
    topic_specs,
)

POLICIES = {
    "events": "delete",
    "items": "compact",
    "slates": "compact,delete",
    "rewards": "delete",
    "deltas": "delete",
    "profiles": "compact",
    "rankers": "compact",
    "events.dlq": "delete",
}


def test_every_topic_has_the_clean_up_of_its_kind() -> None:
    specs = topic_specs(load_settings())
    assert {spec.name: spec.config["cleanup.policy"] for spec in specs} == POLICIES
    assert {spec.partitions for spec in specs} == {8}


def test_every_input_is_a_topic_with_the_prefix() -> None:
    specs = topic_specs(load_settings(inputs="clicks,purchases", topic_prefix="shop."))
    assert [spec.name for spec in specs if spec.is_input] == ["shop.clicks", "shop.purchases"]
    assert all(spec.name.startswith("shop.") for spec in specs)


def test_profiles_never_expire() -> None:
    (profiles,) = (spec for spec in topic_specs(load_settings()) if spec.name == "profiles")
    assert "retention.ms" not in profiles.config
    assert "retention.bytes" not in profiles.config


def test_topics_written_by_batch_take_large_batches() -> None:
    large = {spec.name for spec in topic_specs(load_settings()) if "max.message.bytes" in spec.config}
    assert large == {"slates", "rewards", "deltas", "profiles", "rankers", "events.dlq"}


def test_retentions_are_milliseconds_and_for_ever_stays_for_ever() -> None:
    specs = topic_specs(load_settings(events_retention_seconds=-1, rewards_retention_seconds=DAY))
    configs = {spec.name: spec.config for spec in specs}
    assert configs["events"]["retention.ms"] == "-1"
    assert configs["rewards"]["retention.ms"] == "86400000"
    assert configs["slates"]["min.compaction.lag.ms"] == str(7 * DAY * 1000)


@pytest.mark.parametrize(
    ("replication", "min_insync", "expected"), [(1, None, "1"), (2, None, "1"), (3, None, "2"), (3, 1, "1")]
)
def test_three_replicas_need_two_in_sync(replication: int, min_insync: int | None, expected: str) -> None:
    specs = topic_specs(load_settings(replication=replication, min_insync=min_insync))
    assert {spec.config["min.insync.replicas"] for spec in specs} == {expected}
    assert {spec.replication for spec in specs} == {replication}


@pytest.mark.parametrize(
    ("address", "told"), [("localhost:1", "connection refused"), ("kafka", "'kafka' is not host:port")]
)
def test_a_broker_that_does_not_answer_is_one_clear_error(address: str, told: str) -> None:
    with pytest.raises(BrokerUnreachableError) as caught:
        asyncio.run(create_topics(address, topic_specs(load_settings())))
    assert str(caught.value).startswith(f"no Kafka broker answers at {address}: {told}. ")
    assert "`freshslate kafka`" in str(caught.value)
