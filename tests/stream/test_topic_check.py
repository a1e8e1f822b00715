import pytest

from stream.config import DAY, Settings, load_settings
from stream.topic_check import TopicMismatch, mismatches
from stream.topics import TopicState, topic_specs


def as_found(settings: Settings, **changes: TopicState) -> dict[str, TopicState]:
    found = {spec.name: TopicState(spec.partitions, spec.config) for spec in topic_specs(settings)}
    return {**found, **changes}


def problems(settings: Settings, found: dict[str, TopicState], *, stops: bool = True) -> list[str]:
    """The lines, all of which stop a worker or none of which does."""
    told = list(mismatches(topic_specs(settings), found))
    assert {problem.stops for problem in told} <= {stops}
    return [problem.text for problem in told]


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
    assert line.endswith("set FRESHSLATE_PARTITIONS=4, or run `freshslate topics move` for another count")


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
    assert line.startswith(
        "deltas has max.message.bytes=1048588, below 8388608: kafka-configs --bootstrap-server"
    )


def test_a_mismatch_lists_every_problem_in_one_message() -> None:
    error = TopicMismatch(["a is wrong", "b is wrong"])
    assert str(error) == "the topics do not fit the settings:\n  - a is wrong\n  - b is wrong"


def changed(settings: Settings, name: str, **traits: object) -> dict[str, TopicState]:
    found = as_found(settings)
    return {**found, name: found[name]._replace(**traits)}


def configured(settings: Settings, name: str, key: str, value: str) -> dict[str, TopicState]:
    return changed(settings, name, config={**as_found(settings)[name].config, key: value})


@pytest.mark.parametrize(
    ("name", "key", "value", "wanted"),
    [
        ("events", "retention.ms", "3600000", str(30 * DAY * 1000)),
        ("deltas", "retention.ms", "0", str(30 * DAY * 1000)),
        ("slates", "min.compaction.lag.ms", "0", str(7 * DAY * 1000)),
        ("profiles", "delete.retention.ms", "1000", str(7 * DAY * 1000)),
        ("profiles", "segment.bytes", "1073741824", str(64 << 20)),
        ("rewards", "min.insync.replicas", "1", "2"),
    ],
)
def test_configuration_that_keeps_less_or_restores_slower_is_a_risk_with_its_command(
    name: str, key: str, value: str, wanted: str
) -> None:
    settings = load_settings(replication=3)
    (line,) = problems(settings, configured(settings, name, key, value), stops=False)
    assert line.startswith(f"{name} has {key}={value}, ")
    assert line.endswith(f"--entity-name {name} --add-config {key}={wanted}")


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("events", "retention.ms", "-1"),
        ("deltas", "retention.ms", str(31 * DAY * 1000)),
        ("profiles", "segment.bytes", "1048576"),
        ("rewards", "min.insync.replicas", "3"),
    ],
)
def test_more_than_was_asked_for_is_no_problem(name: str, key: str, value: str) -> None:
    settings = load_settings(replication=3)
    assert problems(settings, configured(settings, name, key, value)) == []


def test_a_limit_by_size_may_cut_a_log_that_is_kept_by_time() -> None:
    settings = load_settings()
    (line,) = problems(settings, configured(settings, "deltas", "retention.bytes", "1000"), stops=False)
    assert line.startswith("deltas has retention.bytes=1000, so records may go too early: kafka-configs ")
    assert problems(settings, configured(settings, "profiles", "retention.bytes", "1000")) == []


def test_fewer_copies_than_the_setting_are_a_risk() -> None:
    settings = load_settings(replication=3, min_insync=1)
    (line,) = problems(settings, changed(settings, "profiles", replicas=1), stops=False)
    assert line.startswith("profiles has 1 copy of a partition, but FRESHSLATE_REPLICATION is 3: ")


def test_more_copies_in_sync_than_there_are_stop_a_worker() -> None:
    settings = load_settings(replication=3)
    (line,) = problems(settings, changed(settings, "profiles", replicas=1))
    assert line.startswith("profiles has min.insync.replicas=2 and 1 copy of a partition, so nothing can be")
