"""Every fault on workers that are a script; on real ones in `tests/kafka/test_drill.py`."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from stream import faults
from stream.config import Settings
from stream.drill import acts
from stream.drill.acts import FAULTS, Stage
from stream.drill.flow import Flow
from stream.drill.load import Load
from stream.drill.team import NotAsPromised, Team
from stream.proxy import Proxy

SETTINGS = Settings(broker="nowhere:1", app_id="drill", session_timeout_seconds=6, heartbeat_seconds=1)
A_WORKER = """
import os, signal, sys, time
from pathlib import Path

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
folder = Path(os.environ["FRESHSLATE_DATA_DIR"], "drill", "worker-0", "p0")
folder.mkdir(parents=True, exist_ok=True)
if (folder / "CURRENT").exists() and (folder / "CURRENT").read_bytes() != b"whole":
    print("the copy is damaged and rebuilt from the changelog", flush=True)
(folder / "CURRENT").write_bytes(b"whole")
print("opened partitions [0]", flush=True)
point, _, rest = os.environ.get("FRESHSLATE_FAULT_POINT", "").partition("@")
if point:
    os.kill(os.getpid(), signal.SIGSTOP if rest.endswith(":stop") else signal.SIGKILL)
    print("assignment ended: Refused", flush=True)
try:
    with (folder / "table").open("wb", buffering=0) as table:
        while True:
            table.write(b"x" * 10_000)
            time.sleep(0.05)
except OSError as error:
    print(f"freshslate: the disk does not keep it: {error}", flush=True)
    sys.exit(1)
"""
"""Says and does what a right worker would, without a broker."""
A_DEAF_WORKER = A_WORKER.replace("is damaged and rebuilt", "is fine").replace("freshslate: ", "well: ")


def a_stage(**parts: Any) -> Stage:
    unused: Any = None
    return Stage(
        **{
            "settings": SETTINGS,
            "team": unused,
            "kafka": unused,
            "proxy": Proxy(1, 2),
            "load": Load(SETTINGS, rate=1, seed=1),
            "flow": Flow(SETTINGS),
            "draw": random.Random(1),
            **parts,
        }
    )


def test_every_fault_point_has_its_fault() -> None:
    visited = set(faults.POINTS)
    named = {"assigned": "die_assigned", "restore": "die_restoring", "snapshot": "die_snapshot"}
    named |= {"offsets": "die_committing", "apply": "die_applying"}
    assert named.keys() == visited
    assert set(named.values()) <= FAULTS.keys()


def test_every_fault_says_in_a_line_what_it_is() -> None:
    assert len({fault.about for fault in FAULTS.values()}) == len(FAULTS)
    assert all(0 < len(fault.about) < 80 for fault in FAULTS.values())


async def test_a_cut_refuses_for_a_while_and_a_slow_line_is_fast_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = a_stage()
    seen = []

    async def passing(seconds: float) -> None:
        seen.append((seconds, stage.proxy.is_refusing, stage.proxy.delay_seconds))

    monkeypatch.setattr(asyncio, "sleep", passing)
    assert "cut all 0 connections" in await FAULTS["cut"].act(stage)
    assert "150 ms each way" in await FAULTS["slow"].act(stage)
    assert seen == [(acts.REFUSED_SECONDS, True, 0.0), (acts.PHASE_SECONDS, False, acts.SLOW_SECONDS)]
    assert (stage.proxy.is_refusing, stage.proxy.delay_seconds) == (False, 0.0)


async def test_input_faults_end_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = a_stage()
    seen = []

    async def passing(seconds: float) -> None:
        seen.append((stage.load.is_hot, stage.load.retries))

    monkeypatch.setattr(asyncio, "sleep", passing)
    await FAULTS["hot_user"].act(stage)
    await FAULTS["retries"].act(stage)
    assert seen == [(True, False), (False, True)]
    assert (stage.load.is_hot, stage.load.retries) == (False, False)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Phases that last no time."""
    for name in ("PHASE_SECONDS", "ZOMBIE_SECONDS"):
        monkeypatch.setattr(acts, name, 0.1)
    monkeypatch.setattr(acts, "START_SECONDS", 15.0)


@pytest.fixture
async def stage(tmp_path: Path, hurried: None) -> AsyncIterator[Stage]:
    async for each in staged(tmp_path, A_WORKER):
        yield each


async def staged(folder: Path, script: str) -> AsyncIterator[Stage]:
    team = Team(
        SETTINGS.model_copy(update={"data_dir": folder}), folder, 2, command=[sys.executable, "-c", script]
    )
    try:
        await team.ready()
        quick = SETTINGS.model_copy(update={"session_timeout_seconds": 0.2})
        yield a_stage(team=team, settings=quick)
    finally:
        await asyncio.to_thread(team.stop)


@pytest.mark.parametrize(
    "name",
    [
        *("kill", "kill_all", "terminate", "zombie", "wipe", "older_copy", "corrupt", "disk_full"),
        *(
            "die_assigned",
            "die_restoring",
            "die_snapshot",
            "die_committing",
            "die_applying",
            "freeze_committing",
        ),
    ],
)
async def test_a_fault_is_done_and_everybody_serves_again(stage: Stage, name: str) -> None:
    what = await FAULTS[name].act(stage)
    assert "worker" in what
    assert len(stage.team.running) == 2
    await stage.team.ready()
    assert stage.team.crashes == []
    restarted = sum(member.restarts for member in stage.team.members)
    assert (restarted == 0) == (name == "zombie")


@pytest.mark.parametrize(("name", "said"), [("corrupt", "no worker says"), ("disk_full", "on a full disk")])
async def test_a_worker_that_does_not_say_what_it_should_breaks_a_promise(
    tmp_path: Path, hurried: None, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.setattr(acts, "START_SECONDS", 3.0)
    async for stage in staged(tmp_path, A_DEAF_WORKER):
        with pytest.raises(NotAsPromised, match=said):
            await FAULTS[name].act(stage)
        assert len(stage.team.running) == 2


async def test_a_wiped_disk_is_empty_and_an_older_copy_is_older(stage: Stage) -> None:
    for member in stage.team.members:
        (stage.team.folder(member) / "now").touch()
    await FAULTS["wipe"].act(stage)
    assert sum((stage.team.folder(member) / "now").exists() for member in stage.team.members) == 1
