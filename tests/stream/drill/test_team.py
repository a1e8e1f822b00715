"""Places for workers; what runs in them here is a script. Real workers: `tests/kafka/test_drill.py`."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stream.beside import beside
from stream.config import Settings
from stream.drill.team import NotAsPromised, Team, is_frozen, last_line

SCRIPT = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit({code}))
point = os.environ.get("FRESHSLATE_FAULT_POINT")
print("started", os.environ["FRESHSLATE_DATA_DIR"], point, flush=True)
if point == "apply@1":
    sys.exit(3)
time.sleep(600)
"""


@asynccontextmanager
async def a_team(folder: Path, *, code: int = 0) -> AsyncIterator[Team]:
    settings = Settings(broker="nowhere:1", app_id="drill", data_dir=folder)
    team = Team(settings, folder, 2, command=[sys.executable, "-c", SCRIPT.format(code=code)])
    try:
        for member in team.members:
            await team.says(member, "started", 20)
        yield team
    finally:
        await asyncio.to_thread(team.stop)


async def test_every_place_has_a_folder_of_its_own(tmp_path: Path) -> None:
    async with a_team(tmp_path) as team:
        first, second = team.members
        assert team.folder(first) == tmp_path / "worker-1" / "drill" / "worker-0"
        assert f"started {tmp_path / 'worker-2'} None" in second.child.log()
        assert set(team.snapshots()) == {"worker-1", "worker-2"}


async def test_who_was_killed_is_down_until_the_next_one_starts(tmp_path: Path) -> None:
    async with a_team(tmp_path) as team, beside(team.watch()):
        first, second = team.members
        await team.kill(first)
        assert team.running == [second]
        assert [(row.state, row.pid) for row in team.rows()] == [
            ("killed", None),
            ("starting", second.child.pid),
        ]
        await asyncio.sleep(0.5)  # the watch looks three times a second
        await team.start(first, fault_point="apply@7")
        assert team.running == [first, second]
        await team.says(first, "apply@7", 20)
        assert team.crashes == []


async def test_who_ends_without_being_told_to_is_a_crash_and_is_started_again(tmp_path: Path) -> None:
    async with a_team(tmp_path) as team, beside(team.watch()):
        first, _ = team.members
        before = first.child.pid
        os.kill(before, signal.SIGKILL)
        while first.child.pid == before:
            await asyncio.sleep(0.05)
        assert [line.split(":")[0] for line in team.crashes] == ["worker-1 ended with exit code 247"]


async def test_sigterm_must_end_a_worker_with_0(tmp_path: Path) -> None:
    async with a_team(tmp_path) as team:
        await team.terminate(*team.members)
        assert team.running == []
    (tmp_path / "again").mkdir()
    async with a_team(tmp_path / "again", code=5) as team:
        with pytest.raises(NotAsPromised, match="worker-1 ended with exit code 5 after SIGTERM: started"):
            await team.terminate(team.members[0])
        await team.fill(2)
        assert team.running == team.members


async def test_a_worker_that_should_end_and_does_not_breaks_a_promise_and_is_killed(tmp_path: Path) -> None:
    async with a_team(tmp_path) as team:
        first, _ = team.members
        with pytest.raises(NotAsPromised, match=r"worker-1 should have ended and still runs after 0 s"):
            await team.ended(first, 0.2)
        assert first.child.has_ended
        await team.start(first, fault_point="apply@1")
        assert await team.ended(first, 20) == 3


async def test_a_log_that_does_not_say_it_breaks_a_promise(tmp_path: Path) -> None:
    async with a_team(tmp_path) as team:
        with pytest.raises(NotAsPromised, match="says nothing of 'rebuilt'"):
            await team.says(team.members[0], "rebuilt", 0.2)
        assert last_line(team.members[0]).startswith("started")


async def test_a_frozen_process_is_told_from_a_running_one(tmp_path: Path) -> None:
    async with a_team(tmp_path) as team:
        child = team.members[0].child
        assert not is_frozen(child.pid)
        child.signal(signal.SIGSTOP)
        while not is_frozen(child.pid):
            await asyncio.sleep(0.01)
        assert not is_frozen(1 << 30)
