"""What the comparison does before and after the broker; the reading is in tests/kafka."""

import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from stream.experiment import duration_ms, in_time_order
from tests.stream.records import record


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("90s", 90_000),
        ("30m", 1_800_000),
        ("30 min", 1_800_000),
        ("24h", 86_400_000),
        (" 1.5d ", 129_600_000),
        ("0s", 0),
    ],
)
def test_a_duration_is_a_number_with_its_unit(text: str, milliseconds: int) -> None:
    assert duration_ms(text) == milliseconds


@pytest.mark.parametrize("text", ["", "24", "h", "-1h", "1h30m", "1 year", "1e3s", "24H"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no duration such as 90s, 30m, 24h or 7d"):
        duration_ms(text)


async def reader(topic: str, times: Sequence[int]) -> AsyncIterator[Any]:
    for offset, time in enumerate(times):
        yield record({"n": 1}, offset, topic=topic, time=time)


async def merged(*logs: Sequence[int]) -> list[tuple[int, str, int]]:
    readers = [reader(f"t{number}", times) for number, times in enumerate(logs)]
    return [(each.timestamp, each.topic, each.offset) async for each in in_time_order(readers)]


async def test_records_of_several_topics_come_in_the_order_of_their_timestamps() -> None:
    draw = random.Random(1)
    logs = [sorted(draw.randrange(50) for _ in range(draw.randrange(40))) for _ in range(4)]
    found = await merged(*logs)
    assert [time for time, _, _ in found] == sorted(time for log in logs for time in log)
    assert len(set(found)) == sum(map(len, logs))


async def test_a_topics_own_records_keep_their_order_whatever_their_timestamps() -> None:
    found = await merged([5, 1, 9, 2], [4, 4, 4])
    assert [offset for _, topic, offset in found if topic == "t0"] == [0, 1, 2, 3]
    assert [offset for _, topic, offset in found if topic == "t1"] == [0, 1, 2]


async def test_topics_without_records_are_no_obstacle() -> None:
    assert await merged([], [3], []) == [(3, "t1", 0)]
    assert await merged() == []
    assert await merged([]) == []
