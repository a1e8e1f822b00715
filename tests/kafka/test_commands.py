"""The commands on a real broker, as processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stream.broker import cluster_id_at

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "samples" / "otto.jsonl"
START_SECONDS = 60


class Shell:
    """Runs commands with one test's topics."""

    def __init__(self, broker: str, prefix: str, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "FRESHSLATE_BROKER": broker,
            "FRESHSLATE_TOPIC_PREFIX": prefix,
            "FRESHSLATE_APP_ID": prefix.rstrip("."),
            "FRESHSLATE_DATA_DIR": str(folder / "data"),
            "FRESHSLATE_PARTITIONS": "4",
            "COLUMNS": "120",
        }
        self.processes: list[subprocess.Popen[str]] = []

    def run(self, *arguments: str, given: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "agents.commands", *arguments],
            cwd=ROOT,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, *arguments: str, until: str) -> "subprocess.Popen[str]":
        """Start a command and wait until it has printed something."""
        printed = self.folder / f"printed-{len(self.processes)}"
        with printed.open("w") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "agents.commands", *arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=out,
                stderr=out,
                text=True,
            )
        self.processes.append(process)
        deadline = time.monotonic() + START_SECONDS
        while until not in printed.read_text():
            assert process.poll() is None, printed.read_text()
            assert time.monotonic() < deadline, printed.read_text()
            time.sleep(0.1)
        return process

    def known(self, user_id: str) -> dict[str, Any]:
        """What `inspect` knows of a user, as soon as it knows anything."""
        deadline = time.monotonic() + START_SECONDS
        while (told := self.run("inspect", user_id, "--json")).returncode:
            assert time.monotonic() < deadline, told.stderr
        known: dict[str, Any] = json.loads(told.stdout)
        return known

    def printed(self, process: "subprocess.Popen[str]") -> str:
        """What a started command has printed."""
        return (self.folder / f"printed-{self.processes.index(process)}").read_text()


@pytest.fixture
def shell(broker: str, prefix: str, tmp_path: Path) -> Iterator[Shell]:
    it = Shell(broker, prefix, tmp_path)
    try:
        yield it
    finally:
        for process in it.processes:
            process.kill()
            process.wait()


def test_topics_are_created_once_and_then_checked(shell: Shell, prefix: str) -> None:
    missing = shell.run("topics", "check")
    assert missing.returncode == 1
    assert "do not exist: run `freshslate topics create`" in missing.stderr
    created = shell.run("topics", "create")
    assert created.returncode == 0
    assert created.stdout.splitlines()[0] == f"created {prefix}events"
    assert shell.run("topics", "create").stdout == "nothing to create\n"
    assert shell.run("topics", "check").stdout == "8 topics are as they should be\n"


def test_a_replay_ends_with_counts_and_rejects_by_reason(shell: Shell) -> None:
    assert shell.run("topics", "create").returncode == 0
    event = '{"type": "click", "user_id": "u1", "item_id": "i1", "time": 1763831062000}\n'
    lines = 3 * event + "nonsense\n" + event.replace('"click"', '"dance"')
    told = shell.run("replay", "-", "--format", "jsonl", "--times", "keep", given=lines)
    assert told.returncode == 0, told.stderr
    rows = [line.split() for line in told.stdout.splitlines()]
    assert rows[0][:3] == ["sent", "3", "events"]
    assert ["not_json", "1"] in [row[:2] for row in rows]
    assert ["unknown_type", "1"] in [row[:2] for row in rows]
    assert told.stderr == ""


def test_a_replay_without_topics_says_what_to_do(shell: Shell) -> None:
    told = shell.run("replay", str(SAMPLE), "--format", "otto")
    assert told.returncode == 1
    assert "no such topic; run `freshslate topics create`" in told.stderr
    assert len(told.stderr.strip().splitlines()) == 1


def test_a_worker_answers_a_replay_and_inspect_shows_the_user(shell: Shell, prefix: str) -> None:
    assert shell.run("topics", "create").returncode == 0
    assert shell.run("replay", str(SAMPLE), "--format", "otto", "--limit", "200").returncode == 0
    worker = shell.start("worker", until="opened partitions")
    assert shell.known("otto-8")["profile"]["counts"] == {"click": 4}

    item_id = shell.known("otto-8")["profile"]["items"][-1]["item_id"]
    click = {
        "event_id": "c1",
        "type": "click",
        "user_id": "new",
        "item_id": item_id,
        "time": int(time.time() * 1000),
    }
    told = shell.run("replay", "-", "--format", "jsonl", "--times", "keep", given=json.dumps(click))
    assert told.returncode == 0, told.stderr
    found = shell.known("new")
    (slate,) = found["slates"]
    assert slate["trigger"]["event_id"] == "c1"
    assert len(slate["items"]) == 10
    assert 0 < slate["items"][0]["propensity"] <= 1
    assert slate["items"][0]["sources"][0]["name"]
    shown = shell.run("inspect", "new", "--slates", "1")
    assert shown.returncode == 0
    assert "events       1 click" in shown.stdout
    assert slate["slate_id"] in shown.stdout
    assert slate["items"][9]["item_id"] in shown.stdout

    unknown = shell.run("inspect", "nobody")
    assert unknown.returncode == 1
    assert "nothing is known of 'nobody'" in unknown.stderr
    assert f"{prefix}profiles" in unknown.stderr

    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0, shell.printed(worker)


def test_inspect_without_topics_says_so(shell: Shell, prefix: str) -> None:
    told = shell.run("inspect", "u1")
    assert told.returncode == 1
    assert f"there is no topic {prefix}profiles or {prefix}slates" in told.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_kafka_tells_its_address_and_ends_cleanly(shell: Shell, number: signal.Signals) -> None:
    kafka = shell.start("kafka", until="export FRESHSLATE_BROKER=")
    address = shell.printed(kafka).split("FRESHSLATE_BROKER=")[1].split()[0]
    assert f"Kafka answers on {address}; stop it with Ctrl-C" in shell.printed(kafka)
    assert cluster_id_at(address) is not None
    kafka.send_signal(number)
    assert kafka.wait(15) == 0
    assert cluster_id_at(address) is None
