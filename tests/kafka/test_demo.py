"""The demo as a user starts it: a process of its own, and nothing left of it."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from stream.topics import admin_client

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "agents.commands", "demo"]
WORKER = f"{sys.executable} -m agents.commands worker"


@pytest.fixture
def environment(broker: str, tmp_path: Path) -> Mapping[str, str]:
    """The session's broker, and a folder for all temporary files."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    return {**os.environ, "FRESHSLATE_BROKER": broker, "TMPDIR": str(folder), "COLUMNS": "110"}


@pytest.fixture
def running(environment: Mapping[str, str], tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A demo that is in its live part."""
    printed = tmp_path / "printed"
    with printed.open("w") as out:
        demo = subprocess.Popen(
            [*COMMAND, "--seconds", "60", "--rate", "50"],
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=out,
            text=True,
        )
    try:
        deadline = time.monotonic() + 90
        while " events/s " not in printed.read_text():
            assert demo.poll() is None, printed.read_text()
            assert time.monotonic() < deadline, printed.read_text()
            time.sleep(0.1)
        yield demo
    finally:
        demo.kill()
        demo.wait()


def finished(command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def processes(folder: str) -> dict[int, str]:
    """Command lines of the processes whose environment or arguments name this folder, by process id."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command, variables = (place / "cmdline").read_bytes(), (place / "environ").read_bytes()
        except OSError:
            continue
        if folder.encode() in command + variables and int(place.name) != os.getpid():
            found[int(place.name)] = command.decode(errors="replace").replace("\0", " ").strip()
    return found


def is_gone(environment: Mapping[str, str], *, seconds: float = 0.0) -> bool:
    """Whether neither a process nor a file is left, at the latest after so many seconds."""
    folder = environment["TMPDIR"]
    deadline = time.monotonic() + seconds
    while processes(folder) or os.listdir(folder):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.1)
    return True


async def demonstrated(
    environment: Mapping[str, str], tmp_path: Path, *options: str
) -> tuple[dict[str, Any], "subprocess.CompletedProcess[str]"]:
    """Run a demo to its end: its result, what it printed, and that it left nothing."""
    written = tmp_path / "demo.json"
    async with admin_client(environment["FRESHSLATE_BROKER"]) as admin:
        before = set(await admin.list_topics()), set(await admin.list_consumer_groups())
        demo = await asyncio.to_thread(finished, [*COMMAND, *options, "--json", str(written)], environment)
        after = set(await admin.list_topics()), set(await admin.list_consumer_groups())
    assert demo.returncode == 0, demo.stdout + demo.stderr
    # Other tests may use the same broker at the same time.
    assert {topic for topic in after[0] - before[0] if topic.startswith("demo-")} == set()
    assert {group for group, _ in after[1] - before[1] if group.startswith("demo-")} == set()
    assert is_gone(environment)
    return json.loads(written.read_text()), demo


async def test_a_short_demo_answers_every_event_once_and_leaves_nothing(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    result, demo = await demonstrated(environment, tmp_path, "--seconds", "12")
    assert result["events"] > result["slates"] > 1000  # impressions ask for none
    assert (result["lost"], result["duplicates"], result["dead_letters"]) == (0, 0, 0)
    assert 0 < result["event_to_slate_ms"]["p50"] <= result["event_to_slate_ms"]["p99"]
    assert 12 <= result["seconds"] < 20
    assert result["audit"]["is_clean"]
    for measure in ("ctr", "revenue"):
        assert {"learned", "random", "lift_ci95"} <= result[measure].keys()
    assert 0 < result["ctr"]["random"] < 1
    # By the shop's true probabilities, so without the noise of clicks.
    assert result["oracle"]["random"] < result["oracle"]["learned"] < 1
    assert demo.stderr == ""
    seconds = [line for line in demo.stdout.splitlines() if " events/s " in line]
    assert 10 <= len(seconds) <= 13
    assert all("lost 0 duplicates 0" in line for line in seconds)
    assert "Nothing lost, nothing twice." in demo.stdout
    assert re.search(r"console +http://127\.0\.0\.1:\d+/console", demo.stdout)


async def test_killed_workers_lose_nothing_and_repeat_nothing(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    options = ("--seconds", "18", "--workers", "2", "--kill-every", "5", "--rate", "60")
    result, demo = await demonstrated(environment, tmp_path, *options)
    assert result["kills"] == 3
    assert result["workers"] == 2
    assert (result["lost"], result["duplicates"], result["dead_letters"]) == (0, 0, 0)
    assert result["audit"]["is_clean"]
    assert "3 kills" in demo.stdout


@pytest.mark.parametrize(
    ("signals", "code"),
    [([signal.SIGINT], 130), ([signal.SIGINT] * 3, 130), ([signal.SIGTERM, signal.SIGINT], 143)],
    ids=["once", "three times", "sigterm"],
)
def test_an_interrupted_demo_leaves_nothing(
    running: "subprocess.Popen[str]",
    environment: Mapping[str, str],
    signals: list[signal.Signals],
    code: int,
) -> None:
    for number in signals:
        running.send_signal(number)
        time.sleep(0.05)
    assert running.wait(20) == code
    assert is_gone(environment)


def test_a_killed_demo_leaves_nothing_either(
    running: "subprocess.Popen[str]", environment: Mapping[str, str]
) -> None:
    running.kill()
    running.wait(10)
    # The worker has 5 s to leave; its folder goes with it. Topics stay: nobody is left to remove them.
    assert is_gone(environment, seconds=15)


def test_a_worker_that_dies_ends_the_demo_with_the_end_of_its_log(
    running: "subprocess.Popen[str]", environment: Mapping[str, str], tmp_path: Path
) -> None:
    (worker,) = (pid for pid, command in processes(environment["TMPDIR"]).items() if command == WORKER)
    os.kill(worker, signal.SIGKILL)
    assert running.wait(30) == 1
    printed = (tmp_path / "printed").read_text()
    assert "freshslate: the worker ended with exit code" in printed
    assert "opened partitions" in printed.split("the last it printed:")[1]
    assert "Traceback" not in printed
    assert is_gone(environment)


def test_temporary_files_are_where_these_tests_look_for_them(environment: Mapping[str, str]) -> None:
    code = "import tempfile; print(tempfile.gettempdir())"
    told = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == environment["TMPDIR"]
    assert tempfile.gettempdir() != environment["TMPDIR"]
