"""The demo's console: the HTTP API in a process of its own, beside the workers."""

import asyncio
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from stream.child import ChildEnded, ChildWorker
from stream.config import Settings

COMMAND: Final = (sys.executable, "-m", "agents.commands", "api")
ADDRESS_TOLD: Final = "API at "
"""What the API says before its address (`stream/api/server.py`, whose libraries need not be there)."""
START_SECONDS: Final = 120.0
"""How long it may take; compiling its kernels takes some time on a slow machine."""
LIBRARIES: Final = ("starlette", "uvicorn")


class DemoConsole:
    """The process, for as long as the block lasts; nothing where it is not wanted or cannot be.

    Args:
        settings: of the workers.
        folder: for its log.
        is_wanted: whether it is to be started.
    """

    def __init__(self, settings: Settings, folder: Path, *, is_wanted: bool) -> None:
        self._settings = settings
        self._folder = folder
        self._is_wanted = is_wanted
        self._child: ChildWorker | None = None

    def __enter__(self) -> Self:
        if self._is_wanted and all(map(find_spec, LIBRARIES)):
            self._child = ChildWorker(self._settings, self._folder, name="api", command=COMMAND)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            self._child.stop()

    async def told(self) -> str:
        """Wait until it serves; where it is, or why it is not there, for people. Empty: nobody wants it."""
        if not self._is_wanted:
            return ""
        if self._child is None:
            return "left out: it needs pip install 'freshslate[api]'"
        deadline = time.monotonic() + START_SECONDS
        while ADDRESS_TOLD not in (log := self._child.log()):
            try:
                self._child.check()
            except ChildEnded as error:
                return f"it ended: {error.log.splitlines()[-1]}"
            if time.monotonic() > deadline:
                return f"it did not start within {START_SECONDS:.0f} s"
            await asyncio.sleep(0.1)
        return f"{log.partition(ADDRESS_TOLD)[2].split()[0]}/console: click, and see the row change"
