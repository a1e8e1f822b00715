"""The demo's parts that need no broker."""

import asyncio
from typing import Any

import pytest
from msgspec import structs

from stream.demo import STAGES, DemoResult, first_error

RESULT = DemoResult(
    events=10,
    live_events=5,
    slates=10,
    event_to_slate_ms={"p50": 10.0, "p99": 20.0},
    dead_letters=0,
    duplicates=0,
    lost=0,
    rewards=3,
    seconds=5.0,
    start_seconds=8.0,
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
        "the worker starts and compiles its kernels (the first time 10-40 s)",
        "the worker joins the group",
    ]


async def test_the_end_of_the_walk_ends_its_helpers() -> None:
    ended = []

    async def helper() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    async def main() -> DemoResult:
        await asyncio.sleep(0)
        return RESULT

    assert await first_error(main(), helper(), helper()) is RESULT
    assert ended == [True, True]


async def test_a_helper_that_fails_ends_the_walk_with_its_error() -> None:
    ended = []

    async def helper() -> None:
        await asyncio.sleep(0)
        message = "the worker ended"
        raise ValueError(message)

    async def main() -> DemoResult:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)
        return RESULT

    with pytest.raises(ValueError, match="the worker ended"):
        await first_error(main(), helper())
    assert ended == [True]
