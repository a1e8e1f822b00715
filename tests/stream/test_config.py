from pathlib import Path
from typing import Any

import pytest

from state.event import EventRules
from state.policy.registry import make_policy
from state.step import DEFAULT_SLATE_TYPES
from stream.config import DAY, ConfigError, Settings, load_settings
from stream.environment import env_name


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.upper().startswith("FRESHSLATE_"):
            monkeypatch.delenv(name)


def problems_of(**overrides: object) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load_settings(**overrides)
    return caught.value.problems


def test_nothing_set_gives_the_defaults() -> None:
    settings = load_settings()
    assert settings.broker == "localhost:9092"
    assert settings.inputs == ("events",)
    assert settings.partitions == 8
    assert settings.data_dir == Path(".freshslate")


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHSLATE_PARTITIONS", "12")
    monkeypatch.setenv("FRESHSLATE_INPUTS", "clicks, purchases,")
    monkeypatch.setenv("FRESHSLATE_DATA_DIR", "/var/lib/freshslate")
    monkeypatch.setenv("FRESHSLATE_MIN_INSYNC", "1")
    settings = load_settings()
    assert settings.partitions == 12
    assert settings.inputs == ("clicks", "purchases")
    assert settings.data_dir == Path("/var/lib/freshslate")
    assert settings.min_insync == 1


def test_an_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHSLATE_PARTITIONS", "12")
    assert load_settings(partitions=4).partitions == 4


def test_a_broker_that_somebody_chose_is_told_from_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not load_settings().is_broker_given
    assert load_settings(broker="localhost:9092").is_broker_given
    monkeypatch.setenv("FRESHSLATE_BROKER", "localhost:9092")
    assert load_settings().is_broker_given


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().partitions = 3


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("queue_chunks", "1.5", "FRESHSLATE_QUEUE_CHUNKS: '1.5' is not a whole number"),
        ("partitions", "x", "FRESHSLATE_PARTITIONS: 'x' is not a whole number"),
        ("partitions", "0", "FRESHSLATE_PARTITIONS: '0' must be at least 1"),
        ("partitions", "99999", "FRESHSLATE_PARTITIONS: '99999' must be at most 4096"),
        ("snapshot_seconds", "soon", "FRESHSLATE_SNAPSHOT_SECONDS: 'soon' is not a number"),
        ("snapshot_seconds", "0", "FRESHSLATE_SNAPSHOT_SECONDS: '0' must be above 0"),
        (
            "processing_guarantee",
            "exactly-once",
            "FRESHSLATE_PROCESSING_GUARANTEE: 'exactly-once' is not one of 'exactly_once' or 'at_least_once'",
        ),
        (
            "events_retention_seconds",
            "-2",
            "FRESHSLATE_EVENTS_RETENTION_SECONDS: '-2' must be above 0, or -1 for ever",
        ),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, field: str, value: str, told: str
) -> None:
    monkeypatch.setenv(env_name(field), value)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert caught.value.problems == (told,)
    assert str(caught.value) == f"{told}\n`freshslate settings` lists every setting."
    assert "pydantic" not in str(caught.value)


def test_a_wrong_model_file_is_told_with_its_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "model.toml"
    path.write_text("[model]\nneighbours = 0\n")
    monkeypatch.setenv("FRESHSLATE_MODEL_FILE", str(path))
    (problem,) = problems_of()
    assert problem == (f"FRESHSLATE_MODEL_FILE: {str(path)!r} line 2: neighbours must be at least 1, got 0")


def test_every_wrong_value_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHSLATE_PARTITIONS", "x")
    monkeypatch.setenv("FRESHSLATE_EPSILON", "2")
    assert [line.split(":")[0] for line in problems_of()] == ["FRESHSLATE_PARTITIONS", "FRESHSLATE_EPSILON"]


def test_a_misspelt_name_is_an_error_with_the_closest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHSLATE_PARTITION", "4")
    told = "FRESHSLATE_PARTITION: there is no such setting; did you mean FRESHSLATE_PARTITIONS?"
    assert problems_of() == (told,)


def test_variables_of_kubernetes_services_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHSLATE_WORKER_SERVICE_HOST", "10.0.0.7")
    monkeypatch.setenv("FRESHSLATE_WORKER_SERVICE_PORT", "8080")
    monkeypatch.setenv("FRESHSLATE_WORKER_PORT", "tcp://10.0.0.7:8080")
    assert load_settings().worker_port == 6066
    monkeypatch.setenv("FRESHSLATE_WORKER_PORT", "7000")
    assert load_settings().worker_port == 7000


def test_a_weight_of_a_source_that_there_is_not_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHSLATE_SOURCE_WEIGHTS", "category=0.3,hours=0.1")
    (told,) = problems_of()
    assert told.startswith("FRESHSLATE_SOURCE_WEIGHTS: ")
    assert "'hours=0.1' is not one of session_knn, " in told


def test_defaults_agree_with_the_engines_own() -> None:
    settings, rules = load_settings(), EventRules()
    assert settings.max_event_bytes == rules.max_bytes
    assert settings.max_items_per_event == rules.max_items
    assert settings.max_event_age_seconds * 1000 == rules.max_age_ms == 30 * DAY * 1000
    assert settings.max_event_ahead_seconds * 1000 == rules.max_ahead_ms
    assert set(settings.slate_types) == DEFAULT_SLATE_TYPES


@pytest.mark.parametrize("name", ["softmax", "epsilon_greedy"])
@pytest.mark.parametrize("edge", [{}, {"temperature": 0.0125, "epsilon": 1e-6}, {"epsilon": 1.0}])
def test_every_allowed_policy_can_be_built(name: str, edge: dict[str, float]) -> None:
    settings = load_settings(policy=name, **edge)
    policy = make_policy(settings.policy, epsilon=settings.epsilon, temperature=settings.temperature)
    assert policy.name == name


@pytest.mark.parametrize(
    ("given", "most"),
    [
        ({}, 6000),
        ({"processing_guarantee": "at_least_once"}, 2000),
        ({"processing_guarantee": "at_least_once", "cycle_max_events": 7}, 7),
        ({"cycle_max_events": 7}, 7),
    ],
)
def test_a_cycle_may_have_as_many_events_as_its_guarantee_bears(given: dict[str, Any], most: int) -> None:
    assert Settings(**given).most_cycle_events == most
