import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.supervisor import supervise

SCRIPT = Path(__file__).parents[2] / "stream" / "supervisor.py"
Process = subprocess.Popen[bytes]
SLEEPS = ["sleep", "600"]
DEAF = ["sh", "-c", "trap '' TERM; echo ready >&2; while :; do sleep 0.1; done"]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Process]]:
    """Whatever a test starts and puts here is ended after it."""
    processes: list[Process] = []
    yield processes
    for process in processes:
        with process:
            process.kill()


def supervised(started: list[Process], command: list[str], scratch: str = "") -> tuple[Process, int]:
    """The supervisor and the id of the process it runs."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", SCRIPT, scratch, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    started.append(process)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def gone(pid: int) -> bool:
    """Whether the process ends at all; the limit only ends a broken test."""
    for _ in range(400):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def let_go(process: Process) -> int:
    assert process.stdin is not None
    process.stdin.close()
    return process.wait(30)


def test_letting_go_ends_the_command_and_removes_the_scratch_folder(
    started: list[Process], tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process, pid = supervised(started, SLEEPS, str(scratch))
    assert let_go(process) == 0
    assert gone(pid)
    assert not scratch.exists()
    assert tmp_path.exists()


def test_a_command_that_ends_by_itself_gives_its_status_and_keeps_its_log(
    started: list[Process], tmp_path: Path
) -> None:
    process, _ = supervised(started, ["sh", "-c", "echo why >&2; exit 3"], str(tmp_path))
    assert process.wait(30) == 3
    assert process.stderr is not None
    assert process.stderr.read() == b"why\n"
    assert tmp_path.exists()


def test_a_command_deaf_to_sigterm_is_killed(started: list[Process]) -> None:
    process, pid = supervised(started, DEAF)
    assert process.stderr is not None
    assert process.stderr.readline() == b"ready\n"
    assert let_go(process) == 0
    assert gone(pid)


def test_a_killed_supervisor_takes_the_command_with_it(started: list[Process]) -> None:
    process, pid = supervised(started, SLEEPS)
    os.kill(process.pid, signal.SIGKILL)
    assert gone(pid)


def test_a_killed_parent_ends_the_command_although_a_fork_of_it_keeps_the_pipe_open(
    started: list[Process],
) -> None:
    # The parent forks without exec, as multiprocessing does: the fork inherits the pipe and lives on.
    parent = f"""
import os, subprocess, sys, time
command = [sys.executable, "-I", "-S", {str(SCRIPT)!r}, "", "sleep", "600"]
process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
pid = process.stdout.readline().decode().strip()
fork = os.fork()
if fork:
    print(pid, fork, flush=True)
time.sleep(600)
"""
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE)
    started.append(process)
    assert process.stdout is not None
    pid, fork = map(int, process.stdout.readline().split())
    try:
        process.kill()
        assert gone(pid)
        assert Path(f"/proc/{fork}").exists()
    finally:
        os.kill(fork, signal.SIGKILL)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_the_command_lives_while_standard_input_is_open(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as standard_input:
        monkeypatch.setattr(sys, "stdin", standard_input)
        assert supervise(str(scratch), ["sh", "-c", "echo why; exit 3"]) == 3
        assert scratch.exists()
        os.close(write_end)
        assert supervise(str(scratch), SLEEPS) == 0
    printed = capfd.readouterr()
    pids = [int(line) for line in printed.out.split()]
    assert printed.err == "why\n"
    assert all(gone(pid) for pid in pids)
    assert len(pids) == 2
    assert not scratch.exists()
