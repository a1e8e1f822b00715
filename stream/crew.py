"""Several worker processes of our own: started together, ended together, and now and then one is killed."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from stream.child import WORKER, ChildWorker
from stream.config import Settings

PAGES: Final = "pages at "
"""What a worker says before the address of its pages."""


class Member:
    """One place in the crew: a worker, and after its death the next one of the same name.

    Args:
        name: of its log.
        settings: of the worker.
        folder: for its logs.
        command: to run in place of a worker.
    """

    def __init__(
        self, name: str, settings: Settings, folder: Path, *, command: Sequence[str] = WORKER
    ) -> None:
        self.name = name
        self.restarts = 0
        self.settings: Final = settings
        self._folder = folder
        self._command = command
        self._address: str | None = None
        self.child = self._started(settings)

    def restart(self) -> None:
        """Kill the worker, as `kill -9` does, and start the next."""
        self.child.kill()
        self.start()

    def start(self, **changes: object) -> None:
        """Start the next worker, once the former has ended.

        Args:
            changes: settings that are other for this one alone.
        """
        self.child.let_go()
        self.restarts += 1
        self._address = None
        self.child = self._started(self.settings.model_copy(update=changes))

    @property
    def address(self) -> str | None:
        """Where its pages are; None until it says so."""
        if self._address is None:
            _, _, rest = self.child.log().partition(PAGES)
            self._address = rest.split()[0] if rest.strip() else None
        return self._address

    def _started(self, settings: Settings) -> ChildWorker:
        name = f"{self.name}.{self.restarts}"
        return ChildWorker(settings, self._folder, name=name, command=self._command)


class Crew:
    """So many workers, for as long as the block lasts.

    Args:
        settings: of every worker.
        folder: for their logs.
        count: how many, from 1.
        membership: `static`: a worker's name is its `FRESHSLATE_INSTANCE_ID`, so that the one after a kill
            gets the partitions and the local state of the one before without a rebalance. The group then
            forgets them only a session timeout after their end.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        count: int,
        *,
        membership: Literal["static", "dynamic"] = "dynamic",
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._count = count
        self._membership = membership
        self._members: list[Member] = []

    def __enter__(self) -> Self:
        try:
            for number in range(1, self._count + 1):
                name = f"worker-{number}"
                static = {"instance_id": name} if self._membership == "static" else {}
                settings = self._settings.model_copy(update=static)
                self._members.append(Member(name, settings, self._folder))
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def members(self) -> Sequence[Member]:
        """Every place, in order."""
        return self._members

    def _stop(self) -> None:
        for member in self._members:
            member.child.let_go()
        for member in self._members:
            member.child.stop()
