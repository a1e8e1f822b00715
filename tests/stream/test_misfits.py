from pathlib import Path

import pytest

from stream.config import ConfigError, load_settings
from stream.entry_points import OWN_POLICIES
from stream.misfits import advice
from tests.stream.distributions import install

OWN = ", ".join(OWN_POLICIES)


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.upper().startswith("FRESHSLATE_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"inputs": ()}, "FRESHSLATE_INPUTS: names no topic"),
        ({"inputs": ("clicks", "clicks")}, "FRESHSLATE_INPUTS: names a topic twice"),
        (
            {"inputs": ("events", "slates")},
            "FRESHSLATE_INPUTS: 'slates' is a topic that Freshslate itself writes or follows",
        ),
        (
            {"inputs": ("events", "web"), "input_formats": ("wep=segment",)},
            "FRESHSLATE_INPUT_FORMATS: 'wep' is none of FRESHSLATE_INPUTS (events, web)",
        ),
        (
            {"inputs": ("events", "web"), "input_formats": ("web=segment", "web=ga4")},
            "FRESHSLATE_INPUT_FORMATS: 'web' is named twice",
        ),
        (
            {"inputs": ("web",), "input_formats": ("web=segment",)},
            "FRESHSLATE_INPUT_FORMATS: 'web' is the first of FRESHSLATE_INPUTS, where Freshslate writes "
            "events of its own (heartbeats, users to forget): put a topic in its own format first, such as "
            "FRESHSLATE_INPUTS=events,web",
        ),
        (
            {"topic_prefix": "shop/"},
            "FRESHSLATE_INPUTS, FRESHSLATE_TOPIC_PREFIX: 'shop/events' cannot be a topic's name; Kafka takes "
            "up to 249 letters, digits, '.', '_' and '-'",
        ),
        (
            {"slate_types": ("click", "buy")},
            "FRESHSLATE_SLATE_TYPES: 'buy' is not one of impression, view, click, add_to_cart, "
            "remove_from_cart, purchase, refund, search, like, skip",
        ),
        (
            {"maturity_seconds": 7200, "learning_bucket_seconds": 1},
            "FRESHSLATE_LEARNING_BUCKET_SECONDS: 1 is too short for FRESHSLATE_MATURITY_SECONDS (7200): at "
            "most 4096 buckets wait at once",
        ),
        (
            {"learning_bucket_seconds": 7},
            "FRESHSLATE_LEARNING_BUCKET_SECONDS: an hour must be a whole number of buckets, not of 7 s",
        ),
        (
            {"heartbeat_seconds": 5},
            "FRESHSLATE_HEARTBEAT_SECONDS: 5 must be at most a third of FRESHSLATE_SESSION_TIMEOUT_SECONDS "
            "(8), so that two lost heartbeats do not cost a worker its partitions",
        ),
        (
            {"slate_size": 20, "candidates": 10},
            "FRESHSLATE_SLATE_SIZE: 20 must be at most FRESHSLATE_CANDIDATES (10)",
        ),
        (
            {"policy_file": "policy.toml", "random_share": 0.5},
            "FRESHSLATE_RANDOM_SHARE: is not looked at with FRESHSLATE_POLICY_FILE; say it in that file, and "
            "unset this",
        ),
        (
            {"min_insync": 2},
            "FRESHSLATE_MIN_INSYNC: 2 must be at most FRESHSLATE_REPLICATION (1), "
            "or nothing could be written",
        ),
        ({"policy": "best"}, "FRESHSLATE_POLICY: 'best' is not one of " + OWN),
        (
            {"sources": (("season", 0.5),)},
            "FRESHSLATE_SOURCES: 'season' is not installed; no source is (docs/plugins.md)",
        ),
    ],
)
def test_settings_that_do_not_fit_each_other_are_told(overrides: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(**overrides)
    assert caught.value.problems == (told,)


def test_the_defaults_need_no_advice() -> None:
    assert advice(load_settings()) == ()


def test_a_transaction_that_outlives_the_session_is_advised_against() -> None:
    (line,) = advice(load_settings(transaction_timeout_seconds=8))
    assert line.startswith("FRESHSLATE_TRANSACTION_TIMEOUT_SECONDS (8) should be below")


@pytest.mark.parametrize(
    ("rewards", "deltas", "is_wise"), [(-1, -1, True), (100, 100, True), (100, 101, False), (100, -1, False)]
)
def test_rewards_that_go_before_their_exposures_are_advised_against(
    rewards: int, deltas: int, is_wise: bool
) -> None:
    lines = advice(load_settings(rewards_retention_seconds=rewards, deltas_retention_seconds=deltas))
    assert any("FRESHSLATE_REWARDS_RETENTION_SECONDS (100)" in line for line in lines) != is_wise


def test_two_replicas_are_advised_against() -> None:
    (line,) = advice(load_settings(replication=2))
    assert line.startswith("FRESHSLATE_REPLICATION 2")


def test_sources_of_plug_ins_are_named_once_with_a_weight_in_range(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = {"freshslate.sources": {"season": "acme:Season"}, "freshslate.policies": {"mine": "acme:Mine"}}
    monkeypatch.syspath_prepend(install(tmp_path, "acme", {}, groups))
    assert load_settings(sources="season=0.5", policy="mine").sources == (("season", 0.5),)
    with pytest.raises(ConfigError) as caught:
        load_settings(sources="season=-1,season=0.5,other", policy="yours")
    assert caught.value.problems == (
        "FRESHSLATE_POLICY: 'yours' is not one of " + OWN + ", mine",
        "FRESHSLATE_SOURCES: weight -1 of season is not in [0, 100]",
        "FRESHSLATE_SOURCES: 'other' is not installed; season is (docs/plugins.md)",
        "FRESHSLATE_SOURCES: 'season' is named twice",
    )
