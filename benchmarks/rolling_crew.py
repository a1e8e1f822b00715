"""The workers of a rolling restart: names and data folders that stay, versions that change."""

import asyncio
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.old_code import Code
from benchmarks.processes import BenchmarkError
from stream.child import ChildWorker

OPENED: Final = "opened partitions"
START_SECONDS: Final = 180.0
"""Until a worker holds partitions; the first of a version compiles its kernels."""
END_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.2
TROUBLE: Final = re.compile(
    r"\b(?:WARN(?:ING)?|ERROR|CRITICAL)\b\W*(?P<said>.*)|^(?P<raised>\w[\w.]*Error: .*)"
)
CHANGING: Final = re.compile(r"\d+(?:\.\d+)?")


class Place:
    """One worker's name and data folder, whichever version's code has it."""

    def __init__(self, name: str, settings: Mapping[str, Any], folder: Path) -> None:
        self._settings = {**settings, "instance_id": name}
        self._folder = folder / name
        self._child: ChildWorker | None = None
        self.logs: list[tuple[str, Path]] = []
        """Version and log of every process so far."""

    def start(self, code: Code) -> None:
        """Start a worker of this code."""
        folder = self._folder / str(len(self.logs))
        folder.mkdir(parents=True)
        self._child = ChildWorker(code.settings(self._settings), folder, command=code.worker)
        self.logs.append((code.name, self._child.log_file))

    async def end(self) -> int:
        """SIGTERM, and the exit code; 256 less the signal's number where it had to be killed."""
        assert self._child is not None
        self._child.check()
        self._child.signal(signal.SIGTERM)
        try:
            code = await asyncio.to_thread(self._child.wait, END_SECONDS)
        except subprocess.TimeoutExpired:
            await asyncio.to_thread(self._child.kill)
            return 256 - signal.SIGKILL
        self._child.let_go()
        return code

    def has_opened(self) -> bool:
        """Whether it holds partitions.

        Raises:
            ChildEnded: it ended by itself.
        """
        self.check()
        return self._child is not None and OPENED in self._child.log()

    def check(self) -> None:
        """Raise if it ended by itself."""
        if self._child is not None:
            self._child.check()

    def stop(self) -> None:
        """End it, whatever it does."""
        if self._child is not None:
            self._child.stop()


class Crew:
    """All places."""

    def __init__(self, settings: Mapping[str, Any], folder: Path, workers: int) -> None:
        self.places = [Place(f"worker-{number}", settings, folder) for number in range(workers)]

    async def opened(self) -> None:
        """Wait until all hold partitions.

        Raises:
            BenchmarkError: it takes too long.
            ChildEnded: one ended by itself.
        """
        deadline = time.monotonic() + START_SECONDS
        # Of all, and not of the first that has none yet: whoever ends meanwhile is seen.
        while not all([place.has_opened() for place in self.places]):
            if time.monotonic() > deadline:
                message = f"a worker holds no partitions after {START_SECONDS:.0f} s"
                raise BenchmarkError(message)
            await asyncio.sleep(POLL_SECONDS)

    def check(self) -> None:
        """Raise if one ended by itself."""
        for place in self.places:
            place.check()

    def trouble(self) -> dict[str, dict[str, int]]:
        """Warnings and errors so far, by version."""
        counts: dict[str, Counter[str]] = {}
        for name, path in (log for place in self.places for log in place.logs):
            counts.setdefault(name, Counter()).update(troubles(path.read_text(errors="replace")))
        return {name: dict(count) for name, count in counts.items()}

    def stop(self) -> None:
        """End all."""
        for place in self.places:
            place.stop()


def troubles(log: str) -> list[str]:
    r"""What a log warns of; digits are `#`, so that the same line counts as the same.

    >>> troubles("[2026-11-30 10:00:00] [7] [WARNING] 3 late\n[2026-11-30 10:00:01] [7] [INFO] fine")
    ['# late']
    """
    matches = (TROUBLE.search(text) for text in log.splitlines())
    return [CHANGING.sub("#", (m["said"] or m["raised"] or "").strip()) for m in matches if m]
