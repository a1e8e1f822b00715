"""The processes that are measured: how they are started and stopped, and what CPU time they take."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.machine import cpu_seconds
from stream.broker import Broker

ROOT: Final = Path(__file__).parents[1]
SUPERVISOR: Final = ROOT / "stream" / "supervisor.py"
STOP_SECONDS: Final = 10.0
"""How long the supervisor may take; it gives the process 5 s itself."""
LOG_END: Final = 4000
"""Characters of a log that an error shows."""


class BenchmarkError(Exception):
    """What was to be measured did not happen."""


class Measured:
    """One process, under the supervisor that ends it with us, by whatever death.

    Args:
        name: of its log.
        command: and its arguments.
        folder: for its log.
        variables: added to the environment.
    """

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, *, variables: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        folder.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", str(SUPERVISOR), "", *command],
                cwd=ROOT,
                env={**os.environ, **(variables or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self._supervisor.stdout is not None
        with self._supervisor.stdout as told:
            self.pid = int(told.readline() or 0)

    def cpu(self) -> float:
        """CPU seconds so far; 0 where nobody tells, or the process is gone."""
        return cpu_seconds([self.pid]) or 0.0

    def ended(self) -> bool:
        """Whether it has come to its end."""
        return self._supervisor.poll() is not None

    def log(self) -> str:
        """What it has printed."""
        return self._log.read_text(errors="replace")

    async def until(self, text: str, seconds: float) -> None:
        """Wait until it prints this.

        Raises:
            BenchmarkError: it did not in this time, or ended.
        """
        deadline = time.monotonic() + seconds
        while text not in self.log():
            if self.ended() or time.monotonic() > deadline:
                message = f"{self.name} did not say {text!r}\n{self.log()[-LOG_END:]}"
                raise BenchmarkError(message)
            await asyncio.sleep(0.05)

    async def finished(self, seconds: float) -> None:
        """Wait until it has come to its end by itself.

        Raises:
            BenchmarkError: it did not in this time, or failed.
        """
        try:
            code = await asyncio.to_thread(self._supervisor.wait, seconds)
        except subprocess.TimeoutExpired:
            code = None
        if code != 0:
            message = f"{self.name} ended with {code}\n{self.log()[-LOG_END:]}"
            raise BenchmarkError(message)

    async def stop(self) -> None:
        """End it: asked first, killed if that does not help."""
        assert self._supervisor.stdin is not None
        self._supervisor.stdin.close()
        try:
            await asyncio.to_thread(self._supervisor.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()


class Node:
    """The broker of a run."""

    def __init__(self, address: str, pid: int | None) -> None:
        self.address = address
        self.pid = pid
        """None where it is not ours."""

    def cpu(self) -> float | None:
        """CPU seconds so far; None where the broker is not ours."""
        return None if self.pid is None else cpu_seconds([self.pid])


@contextmanager
def node() -> Iterator[Node]:
    """A broker of our own, whose CPU time can be told, or the one that `FRESHSLATE_BROKER` names."""
    given = os.environ.get("FRESHSLATE_BROKER")
    if given:
        yield Node(given, None)
        return
    with Broker.start() as broker:
        yield Node(broker.address, broker.pid)
