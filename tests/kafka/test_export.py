"""The log as Parquet, from a real broker, by a process that is killed in the middle."""

import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from aiokafka import AIOKafkaProducer

from stream.arrow_rows import ExportError
from stream.export import PROGRESS, Window, export, next_offsets
from stream.reading import read_topic
from tests.kafka.harness import Shop, clicks, send, shop
from tests.kafka.test_replay_state import background, command

EVENTS = 3_000


def exported(folder: Path) -> list[dict[str, Any]]:
    """All rows of all files."""
    return [row for path in folder.glob("day=*/*.parquet") for row in pq.read_table(path).to_pylist()]


async def log(it: Shop, topic: str) -> dict[tuple[int, int], bytes]:
    return {(r.partition, r.offset): r.value async for r in read_topic(it.settings.broker, topic) if r.value}


def places(rows: list[dict[str, Any]]) -> Counter[tuple[int, int]]:
    return Counter((row["partition"], row["offset"]) for row in rows)


async def test_an_export_that_is_killed_and_run_again_has_each_record_once(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path) as it:
        await send(it, clicks(EVENTS))
        folder = tmp_path / "warehouse" / "events"
        arguments = ("export", "events", "--to", str(folder.parent), "--rows", "50")
        for files in (3, 15):
            process = background(it, *arguments)
            deadline = time.monotonic() + 60
            while len(list(folder.glob("day=*/*.parquet"))) < files and process.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.001)  # noqa: ASYNC251 - to kill early
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert 0 < sum(next_offsets(folder).values()) < EVENTS
        told = command(it, *arguments)
        assert told.returncode == 0, told.stderr
        rows = exported(folder)
        expected = await log(it, it.settings.input_topics[0])
        assert places(rows) == Counter(list(expected))
        assert {(row["partition"], row["offset"]): row["raw"] for row in rows} == expected
        assert not list(folder.glob("day=*/*.part"))
        again = command(it, *arguments)
        assert "nothing new" in again.stdout
        await send(it, clicks(10, seed=9))
        assert "10 rows" in command(it, *arguments).stdout
        assert len(exported(folder)) == EVENTS + 10


async def test_slates_and_rewards_come_with_a_column_per_field(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path) as it:
        it.start()
        await it.started()
        for seed in (1, 2):  # the second time there is something to recommend, and to click on
            await send(it, clicks(2_000, seed=seed))
            await it.settled(2_000 * seed)
        for what, topic in (("slates", it.settings.slates_topic), ("rewards", it.settings.rewards_topic)):
            await export(it.settings, what, tmp_path / "out")  # type: ignore[arg-type]
            rows = exported(tmp_path / "out" / what)
            expected = await log(it, topic)
            assert len(expected) > 50
            assert places(rows) == Counter(list(expected))
        slates = exported(tmp_path / "out" / "slates")
        full = next(row for row in slates if len(row["items"]) == 10)
        assert full["items"][0]["sources"][0]["name"]
        assert full["trigger"]["topic"] == it.settings.input_topics[0]
        assert full["time_utc"].timestamp() * 1000 == full["time"]
        rewards = exported(tmp_path / "out" / "rewards")
        assert {row["type"] for row in rewards} <= {"view", "click", "add_to_cart", "purchase"}
        assert all(0 < row["propensity"] <= 1 for row in rewards)


async def test_a_window_is_cut_by_record_time_and_days_are_folders(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    day = 86_400_000
    first = 1_763_769_600_000  # 2025-11-22
    async with shop(broker, prefix, tmp_path, events_retention_seconds=-1) as it:
        async with AIOKafkaProducer(bootstrap_servers=broker) as producer:
            for n in range(30):
                at = first + n * day // 10 + 1
                await producer.send_and_wait(
                    it.settings.input_topics[0],
                    b'{"type": "click", "user_id": "u", "item_id": "i"}' if n else b"nonsense",
                    timestamp_ms=at,
                    partition=n % 2,
                )
        folder = tmp_path / "out" / "events"
        await export(it.settings, "events", folder.parent, window=Window(end=first + day))
        rows = exported(folder)
        assert len(rows) == 10
        assert [row["rejected"] for row in rows if row["raw"] == b"nonsense"] == ["not_json"]
        await export(it.settings, "events", folder.parent, rows=3)
        assert len(exported(folder)) == 30
        assert sorted(path.name for path in folder.glob("day=*")) == [
            "day=2025-11-22",
            "day=2025-11-23",
            "day=2025-11-24",
        ]
        with pytest.raises(ExportError, match="leave --from out"):
            await export(it.settings, "events", folder.parent, window=Window(first=first))
        late = tmp_path / "late"
        await export(it.settings, "events", late, window=Window(first=first + 2 * day))
        assert len(exported(late / "events")) == 10
        assert (late / "events" / PROGRESS).exists()
