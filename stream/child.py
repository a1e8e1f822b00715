"""A worker process of our own: started with our settings, never left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pydantic import SecretStr

from state.errors import FreshslateError
from stream.config import Settings
from stream.environment import env_name

LOG_LINES: Final = 15
"""Shown of a worker that ended by itself."""
WORKER: Final = (sys.executable, "-m", "agents.commands", "worker")
"""What a child runs."""
STOP_SECONDS: Final = 10.0
"""How long the supervisor may take; it gives the worker 5 s to finish its cycle and leave the group."""


class ChildEnded(FreshslateError):
    """The worker ended by itself.

    Args:
        code: its exit code.
        log: the end of what it printed.
    """

    def __init__(self, code: int, log: str) -> None:
        super().__init__(code, log)
        self.code = code
        self.log = log

    def __str__(self) -> str:
        return f"the worker ended with exit code {self.code}; the last it printed:\n{self.log}"


class ChildWorker:
    """One `freshslate worker`, under the supervisor that ends it with us, by whatever death.

    Args:
        settings: what was set in them becomes the worker's environment.
        folder: for its log; removed when the worker is stopped.
        name: of its log.
        command: to run in place of a worker.
    """

    def __init__(
        self, settings: Settings, folder: Path, *, name: str = "worker", command: Sequence[str] = WORKER
    ) -> None:
        self.log_file: Final = folder / f"{name}.log"
        script = str(Path(__file__).with_name("supervisor.py"))
        with self.log_file.open("wb") as log:
            # A session of its own: Ctrl-C in the terminal reaches us, and we decide when the worker ends.
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", script, str(folder), *command],
                env={**_others(settings), **environment(settings)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self._supervisor.stdout is not None
        with self._supervisor.stdout as told:
            self.pid = int(told.readline() or 0)
            """Process id of the worker."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Look whether the worker still runs.

        Raises:
            ChildEnded: it does not.
        """
        code = self._supervisor.poll()
        if code is not None:
            raise ChildEnded(code, "\n".join(self.log().splitlines()[-LOG_LINES:]) or "(nothing)")

    def signal(self, number: signal.Signals) -> None:
        """Send the worker itself a signal; nothing happens if it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, timeout_seconds: float) -> int:
        """Wait for the worker to end by itself or by a signal; its folder stays.

        Returns:
            Its exit code; 256 less the signal's number where one ended it.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        return self._supervisor.wait(timeout_seconds)

    @property
    def has_ended(self) -> bool:
        """Whether the worker runs no more."""
        return self._supervisor.poll() is not None

    def log(self) -> str:
        """What the worker has printed."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def kill(self) -> None:
        """End the worker by SIGKILL: it has no chance to finish anything. Its folder stays."""
        self.signal(signal.SIGKILL)
        self._supervisor.wait(STOP_SECONDS)
        self.let_go()

    def let_go(self) -> None:
        """Tell the worker to finish its cycle and end, without waiting for it."""
        if self._supervisor.stdin is not None:
            self._supervisor.stdin.close()

    def stop(self) -> None:
        """Let the worker finish its cycle and end; a second call does nothing."""
        self.let_go()
        try:
            self._supervisor.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()


def _others(settings: Settings) -> dict[str, str]:
    """Our own variables but for what `settings` say, which may say that something is unset."""
    said = {env_name(name) for name in settings.model_fields_set}
    return {name: value for name, value in os.environ.items() if name.upper() not in said}


def environment(settings: Settings) -> dict[str, str]:
    """The variables that give another process these settings, where they are not the defaults."""
    return {
        env_name(name): _text(value)
        for name, value in settings.model_dump(exclude_unset=True).items()
        if value is not None
    }


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(value) if isinstance(value, tuple) else str(value)


def ended(pid: int, *, poll_seconds: float = 0.2) -> None:
    """Wait until a process that is not our own child has ended."""
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(poll_seconds)
