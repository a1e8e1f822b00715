"""A process between us and java, so that no java outlives the process that wanted it.

A script, run as `python -I supervisor.py SCRATCH COMMAND...` with the standard library alone: it prints the
process id of the command and ends it when its own parent is gone, by whatever death.

A parent-death signal on java itself would not do: Linux sends it when the *thread* that started java ends.
"""

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
from contextlib import suppress

STOP_SECONDS = 5.0
"""How long the command may take to end after SIGTERM, before SIGKILL."""


def supervise(scratch: str, command: list[str]) -> int:
    """Run `command` until it ends, or until our parent is gone or lets go; then remove `scratch`, if named.

    When the command ends by itself, `scratch` stays: it holds the log that says why.
    """
    parent = os.getppid()
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        preexec_fn=_die_with_parent,  # noqa: PLW1509  (one thread runs here)
    )
    print(child.pid, flush=True)
    while not _is_alone(parent):
        if child.poll() is not None:
            return child.returncode
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if scratch:
        shutil.rmtree(scratch, ignore_errors=True)
    return 0


def _is_alone(parent: int) -> bool:
    """Look, for 0.2 s, whether the parent died or closed its end of our standard input.

    That end closes with the parent, but a child that the parent forked without exec keeps it open: so the
    parent's id is watched as well.
    """
    readable, _, _ = select.select([sys.stdin], [], [], 0.2)
    return bool(readable) or os.getppid() != parent


def _die_with_parent() -> None:
    """Ask Linux for SIGKILL when the supervisor dies; it has one thread, whose end this is about."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


if __name__ == "__main__":
    sys.exit(supervise(sys.argv[1], sys.argv[2:]))
