"""The drill's workers: started, stopped and hurt on purpose; whoever ends without that is told of."""

import asyncio
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from state.errors import FreshslateError
from stream.child import WORKER
from stream.config import Settings
from stream.crew import Member
from stream.view import WorkerRow, WorkerState
from stream.worker import SNAPSHOT

WATCH_SECONDS: Final = 0.3
END_SECONDS: Final = 30.0
"""How long a worker may take to end after SIGTERM."""
JOIN_SECONDS: Final = 60.0
"""How long one may take from its start until it holds partitions."""
POLL_SECONDS: Final = 0.1
OPENED: Final = "opened partitions"
"""What a worker says when it begins to serve."""


class NotAsPromised(FreshslateError):
    """A worker did something else than docs/operations.md says of this fault."""


class Team:
    """So many places for workers, each with a data folder of its own.

    Args:
        settings: of every worker.
        folder: for logs and data.
        count: of places that are filled in the beginning.
        command: to run in place of a worker.
    """

    def __init__(
        self, settings: Settings, folder: Path, count: int, *, command: Sequence[str] = WORKER
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._command = command
        self._down: set[str] = set()
        self.members: list[Member] = []
        self.crashes: list[str] = []
        """What is known of workers that ended and should not have."""
        for _ in range(count):
            self.add()

    def add(self) -> Member:
        """Fill one more place."""
        name = f"worker-{len(self.members) + 1}"
        settings = self._settings.model_copy(update={"data_dir": self._folder / name})
        member = Member(name, settings, self._folder, command=self._command)
        self.members.append(member)
        return member

    @property
    def running(self) -> list[Member]:
        """Whoever should be running now."""
        return [member for member in self.members if member.name not in self._down]

    def rows(self) -> list[WorkerRow]:
        """Every place, for the screen."""
        return [
            WorkerRow(
                name=member.name,
                state=self._state(member),
                pid=None if member.name in self._down else member.child.pid,
                restarts=member.restarts,
            )
            for member in self.members
        ]

    def _state(self, member: Member) -> WorkerState:
        if member.name in self._down:
            return "killed"
        if OPENED in member.child.log():
            return "serving"
        return "restarting" if member.restarts else "starting"

    def folder(self, member: Member) -> Path:
        """Where a worker keeps its state: a folder for each partition, and the snapshot."""
        return member.settings.data_dir / member.settings.app_id / "worker-0"

    def snapshots(self) -> dict[str, Path]:
        """Snapshot of the models, by worker."""
        return {member.name: self.folder(member) / SNAPSHOT for member in self.members}

    async def watch(self) -> None:
        """Start again whoever ended without being told to, and keep what it said."""
        while True:
            for member in self.running:
                if member.child.has_ended:
                    code = member.child.wait(0)
                    self.crashes.append(f"{member.name} ended with exit code {code}: {last_line(member)}")
                    await self.start(member)
            await asyncio.sleep(WATCH_SECONDS)

    async def start(self, member: Member, **changes: object) -> None:
        """Start the next worker in this place; `changes` are settings for this one alone."""
        await asyncio.to_thread(member.start, **changes)
        self._down.discard(member.name)

    async def fill(self, count: int) -> None:
        """Have so many of the first places filled again, whatever became of their workers."""
        for member in self.members[:count]:
            if member.name in self._down:
                await self.kill(member)
                await self.start(member)

    async def kill(self, *members: Member) -> None:
        """SIGKILL, all at once."""
        self._down.update(member.name for member in members)
        for member in members:
            member.child.signal(signal.SIGKILL)
        for member in members:
            await asyncio.to_thread(member.child.kill)

    async def terminate(self, *members: Member) -> None:
        """SIGTERM, and wait for the end.

        Raises:
            NotAsPromised: the exit code was not 0, or the worker did not end.
        """
        self._down.update(member.name for member in members)
        for member in members:
            member.child.signal(signal.SIGTERM)
        for member in members:
            if code := await self.ended(member):
                message = f"{member.name} ended with exit code {code} after SIGTERM: {last_line(member)}"
                raise NotAsPromised(message)

    async def ended(self, member: Member, timeout_seconds: float = END_SECONDS) -> int:
        """Wait until a worker ends; its exit code.

        Raises:
            NotAsPromised: it does not.
        """
        self._down.add(member.name)
        try:
            return await asyncio.to_thread(member.child.wait, timeout_seconds)
        except subprocess.TimeoutExpired:
            message = f"{member.name} should have ended and still runs after {timeout_seconds:.0f} s"
            await self.kill(member)
            raise NotAsPromised(message) from None

    async def says(self, member: Member, text: str, timeout_seconds: float = END_SECONDS) -> None:
        """Wait until a worker's log has this text.

        Raises:
            NotAsPromised: it has not.
        """
        if not await self.any_says([member], text, timeout_seconds):
            message = f"the log of {member.name} says nothing of {text!r}: {last_line(member)}"
            raise NotAsPromised(message)

    async def ready(self) -> None:
        """Wait until everybody who should be running has joined and holds partitions.

        Raises:
            NotAsPromised: somebody does not.
        """
        for member in self.running:
            await self.says(member, OPENED, JOIN_SECONDS)

    async def any_says(self, members: Sequence[Member], text: str, timeout_seconds: float) -> bool:
        """Wait until some worker's log has this text; whether it came."""
        for _ in range(int(timeout_seconds / POLL_SECONDS)):
            if any(text in member.child.log() for member in members):
                return True
            await asyncio.sleep(POLL_SECONDS)
        return False

    def stop(self) -> None:
        """End everybody, whatever state they are in."""
        for member in self.members:
            member.child.signal(signal.SIGCONT)
            member.child.let_go()
        for member in self.members:
            member.child.stop()


def last_line(member: Member) -> str:
    """The last that a worker printed."""
    lines = member.child.log().strip().splitlines()
    return lines[-1][:300] if lines else "(it printed nothing)"


def is_frozen(pid: int) -> bool:
    """Whether a process is stopped by SIGSTOP."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False
