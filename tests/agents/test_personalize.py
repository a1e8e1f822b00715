"""The agent's wiring, as far as it needs no broker."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import faust
import pytest
from faust.types import TP

from agents.personalize import Process, build_app
from stream.app import App
from stream.config import Settings
from stream.transport import Membership

INPUTS = ("clicks", "purchases")


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    settings = Settings(inputs=INPUTS, topic_prefix="p.", app_id="test-personalize", data_dir=tmp_path)
    app = build_app(settings)
    yield app
    await app.worker.stop()
    if app._consumer is not None:
        app._consumer._thread.thread_loop.close()


async def test_the_app_has_one_agent_on_all_inputs_and_a_worker(app: App, tmp_path: Path) -> None:
    (agent,) = app.agents.values()
    assert set(agent.channel.topics) == {"p.clicks", "p.purchases"}
    assert app.worker.loop.assignment == frozenset()
    assert (tmp_path / "test-personalize" / "worker-0").is_dir()


async def test_the_app_has_these_pages_and_no_other(app: App) -> None:
    pages = ["/metrics", "/healthz", "/readyz", "/debug/partitions", "/debug/users/{user_id}"]
    assert list(app.web.views) == pages


async def test_loop_and_probes_are_told_of_every_assignment(app: App) -> None:
    assert app.vitals.assigned is None
    app.consumer.membership = Membership(1, "m", None)
    await app.on_partitions_assigned.send([TP(f"p.{name}", n) for name in INPUTS for n in (1, 3)])
    assert app.vitals.assigned == app.worker.loop.assignment == {1, 3}
    await app.on_partitions_revoked.send([TP("p.clicks", 1)])
    assert app.vitals.assigned is None
    assert app.worker.loop.assignment == frozenset()


async def test_a_process_that_has_stopped_everything_does_not_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    await faust.Worker._sentinel_task(None)
    assert slept == [1.0]  # what the library does, so that this test fails once it does something else
    await Process._sentinel_task(None)
    assert slept == [1.0]


RUN = """
import sys
from pathlib import Path
from agents.personalize import run_worker
from stream.config import Settings
run_worker(Settings(data_dir=Path(sys.argv[1]), worker_host="192.0.2.1"))
"""


def test_what_kept_a_worker_from_starting_is_the_last_thing_said(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("state.errors.StopWorker: the worker's pages cannot listen on 192.0.2.1")
