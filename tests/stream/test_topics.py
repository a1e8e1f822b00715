import asyncio

import pytest

from stream.config import DAY, Settings, load_settings
from stream.topics import (
    BrokerUnreachableError,
    TopicMismatch,
    TopicState,
    create_topics,
    mismatches,
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


def as_found(settings: Settings, **changes: TopicState) -> dict[str, TopicState]:
    found = {spec.name: TopicState(spec.partitions, spec.config) for spec in topic_specs(settings)}
    return {**found, **changes}


def problems(settings: Settings, found: dict[str, TopicState]) -> list[str]:
    return list(mismatches(topic_specs(settings), found))


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


def test_topics_as_specified_fit() -> None:
    settings = load_settings()
    assert problems(settings, as_found(settings)) == []


def test_missing_topics_are_one_line() -> None:
    settings = load_settings()
    found = as_found(settings)
    del found["slates"], found["items"]
    assert problems(settings, found) == ["items, slates do not exist: run `freshslate topics create`"]


def test_another_partition_count_everywhere_is_one_line_with_the_setting_to_change() -> None:
    found = as_found(load_settings(partitions=4))
    (line,) = problems(load_settings(), found)
    assert line.startswith("events, slates, rewards, deltas, profiles: 4 partitions")
    assert line.endswith("set FRESHSLATE_PARTITIONS=4")


def test_a_changelog_with_another_partition_count_needs_another_prefix() -> None:
    settings = load_settings()
    config = as_found(settings)["profiles"].config
    (line,) = problems(settings, as_found(settings, profiles=TopicState(4, config)))
    assert line.startswith("profiles: 4 partitions, but FRESHSLATE_PARTITIONS is 8: use a fresh")


@pytest.mark.parametrize("name", ["items", "events.dlq"])
def test_topics_that_are_not_keyed_by_user_may_have_any_partition_count(name: str) -> None:
    settings = load_settings()
    found = as_found(settings)
    found[name] = TopicState(3, found[name].config)
    assert problems(settings, found) == []


def test_inputs_of_different_partition_counts_are_not_co_partitioned() -> None:
    settings = load_settings(inputs="clicks,purchases")
    found = as_found(settings)
    found["purchases"] = TopicState(4, found["purchases"].config)
    lines = problems(settings, found)
    assert lines[0].startswith("the inputs are not co-partitioned (clicks has 8, purchases has 4 partitions)")


def test_another_clean_up_is_told_with_the_command_that_mends_it() -> None:
    settings = load_settings()
    found = as_found(settings)
    found["profiles"] = TopicState(8, {**found["profiles"].config, "cleanup.policy": "compact,delete"})
    found["slates"] = TopicState(8, {**found["slates"].config, "cleanup.policy": "delete"})
    slates, profiles = problems(settings, found)
    assert slates.endswith("--entity-name slates --add-config cleanup.policy=[compact,delete]")
    assert profiles.startswith("profiles has cleanup.policy=compact,delete, not compact: ")


def test_the_order_of_clean_up_policies_does_not_matter() -> None:
    settings = load_settings()
    found = as_found(settings)
    found["slates"] = TopicState(8, {**found["slates"].config, "cleanup.policy": "delete, compact"})
    assert problems(settings, found) == []


def test_a_topic_that_takes_only_small_batches_is_told() -> None:
    settings = load_settings()
    found = as_found(settings)
    found["deltas"] = TopicState(8, {**found["deltas"].config, "max.message.bytes": "1048588"})
    (line,) = problems(settings, found)
    assert line.startswith("deltas has max.message.bytes=1048588, below 8388608: kafka-configs --alter")


def test_a_mismatch_lists_every_problem_in_one_message() -> None:
    error = TopicMismatch(["a is wrong", "b is wrong"])
    assert str(error) == "the topics do not fit the settings:\n  - a is wrong\n  - b is wrong"


@pytest.mark.parametrize(
    ("address", "told"), [("localhost:1", "connection refused"), ("kafka", "'kafka' is not host:port")]
)
def test_a_broker_that_does_not_answer_is_one_clear_error(address: str, told: str) -> None:
    with pytest.raises(BrokerUnreachableError) as caught:
        asyncio.run(create_topics(address, topic_specs(load_settings())))
    assert str(caught.value).startswith(f"no Kafka broker answers at {address}: {told}. ")
    assert "`freshslate kafka`" in str(caught.value)
