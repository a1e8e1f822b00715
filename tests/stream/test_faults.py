"""Fault points: in processes of their own, because they end there."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from stream import faults

THREE_VISITS = """
import sys
from stream import faults
faults.arm(faults.parse_fault_point(sys.argv[1]))
for n in range(3):
    faults.reached("apply")
    faults.reached("restore")
    print(n, flush=True)
"""


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    faults.arm(None)


@pytest.mark.parametrize(
    ("spec", "code", "printed"),
    [
        ("apply@2", -signal.SIGKILL, "0\n"),
        ("restore@3", -signal.SIGKILL, "0\n1\n"),
        ("apply@4", 0, "0\n1\n2\n"),
    ],
)
def test_the_process_dies_at_that_visit_and_at_no_other(spec: str, code: int, printed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", THREE_VISITS, spec], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (code, printed)


def test_a_process_frozen_at_a_point_goes_on_from_there() -> None:
    process = subprocess.Popen([sys.executable, "-c", THREE_VISITS, "apply@1:stop"], stdout=subprocess.PIPE)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    process.send_signal(signal.SIGCONT)
    printed, _ = process.communicate(timeout=20)
    assert (process.returncode, printed) == (0, b"0\n1\n2\n")


def test_an_unarmed_point_does_nothing() -> None:
    faults.arm(None)
    faults.reached("apply")


@pytest.mark.parametrize("text", ["apply", "apply@0", "aply@1", "apply@1:burn", "apply@1 ", ""])
def test_a_wrong_fault_point_says_which_there_are(text: str) -> None:
    with pytest.raises(ValueError, match="assigned, restore, snapshot, offsets, apply"):
        faults.parse_fault_point(text)


def test_what_happens_there_is_a_kill_unless_said_otherwise() -> None:
    assert faults.parse_fault_point("apply@3") == ("apply", 3, signal.SIGKILL)
    assert faults.parse_fault_point("apply@3:kill") == ("apply", 3, signal.SIGKILL)
    assert faults.parse_fault_point("offsets@20:stop") == ("offsets", 20, signal.SIGSTOP)
