"""The demo's parts that need no broker; the whole of it is in `tests/kafka/test_demo.py`."""

from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from state.evaluation.confidence import Comparison
from stream.demo import RANDOM_SHARE, STAGES, DemoOptions, Result, demo_settings, kill_times

RESULT = Result(
    events=10,
    past_events=5,
    slates=10,
    event_to_slate_ms={"p50": 10.0, "p99": 20.0},
    ctr=Comparison(),
    conversion=Comparison(),
    revenue=Comparison(),
    oracle={"learned": None, "random": None},
    lost=0,
    duplicates=0,
    dead_letters=0,
    rewards=3,
    workers=1,
    kills=0,
    seconds=5.0,
    start_seconds=8.0,
    seed=1,
    audit={"is_clean": True},
    version="0",
)


def test_a_demo_is_good_when_every_event_was_answered_once() -> None:
    assert RESULT.is_good


@pytest.mark.parametrize(
    "wrong",
    [{"lost": 1}, {"duplicates": 1}, {"dead_letters": 1}, {"slates": 0}, {"audit": {"is_clean": False}}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_anything_wrong_makes_it_a_failure(wrong: dict[str, Any]) -> None:
    assert not structs.replace(RESULT, **wrong).is_good


def test_there_is_a_stage_for_any_log_of_a_worker() -> None:
    told = [next(text for line, text in STAGES if line in log) for log in ("", "models caught up: 0 items")]
    assert told == [
        "the workers start and compile their kernels (the first time 10-60 s)",
        "the workers join the group",
    ]


def test_half_of_the_shoppers_are_the_control_group_where_nothing_else_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FRESHSLATE_RANDOM_SHARE", raising=False)
    settings = demo_settings("h:1", tmp_path, DemoOptions(5.0))
    assert settings.random_share == RANDOM_SHARE == 0.5
    monkeypatch.setenv("FRESHSLATE_RANDOM_SHARE", "0.1")
    assert demo_settings("h:1", tmp_path, DemoOptions(5.0)).random_share == 0.1


def test_two_demos_on_one_broker_do_not_meet(tmp_path: Path) -> None:
    one, other = (demo_settings("h:1", tmp_path, DemoOptions(5.0)) for _ in range(2))
    assert one.topic_prefix != other.topic_prefix
    assert one.app_id != other.app_id


def test_every_worker_has_a_partition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHSLATE_PARTITIONS", "2")
    assert demo_settings("h:1", tmp_path, DemoOptions(5.0, workers=3)).partitions == 3
    assert demo_settings("h:1", tmp_path, DemoOptions(5.0, workers=2)).partitions == 2


@pytest.mark.parametrize(
    ("seconds", "every", "times"),
    [
        (60.0, None, []),
        (60.0, 10.0, [10.0, 20.0, 30.0, 40.0, 50.0]),
        (17.0, 5.0, [5.0, 10.0, 15.0]),
        (3.0, 5.0, []),
    ],
)
def test_workers_are_killed_at_fixed_times_and_none_at_the_end(
    seconds: float, every: float | None, times: list[float]
) -> None:
    assert kill_times(DemoOptions(seconds, kill_every=every)) == times
