"""What is known of a crew's workers, asked of their own pages: who serves which partitions."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import aiohttp
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from stream.crew import Crew, Member
from stream.view import WorkerRow, WorkerState

ASK_SECONDS: Final = 1.0
"""Time between two rounds."""
TIMEOUT_SECONDS: Final = 1.0
EVENTS: Final = "freshslate_events_total"


class _Known(Struct):
    """The latest that a worker told."""

    partitions: tuple[int, ...] | None = None
    events: int = 0
    events_before: int = 0
    """Of the processes before this one."""
    is_down: bool = False
    """Killed, and the next one has not been started yet."""


class Roster:
    """Asks every worker once a second, and restarts who was killed.

    Args:
        crew: Running.
    """

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._known = {member.name: _Known() for member in crew.members}

    @property
    def members(self) -> Sequence[Member]:
        """Every place, in order."""
        return self._crew.members

    async def watch(self) -> None:
        """Ask all workers, again and again.

        Raises:
            ChildEnded: One ended by itself.
        """
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                for member in self.members:
                    await self._ask(session, member)
                await asyncio.sleep(ASK_SECONDS)

    async def restart(self, member: Member) -> None:
        """Kill a worker and start the next of its name."""
        known = self._known[member.name]
        known.is_down = True
        try:
            # Killing waits for the supervisor, which looks five times a second.
            await asyncio.to_thread(member.restart)
        finally:
            known.is_down = False
            known.partitions = None
            known.events_before += known.events
            known.events = 0

    def rows(self) -> tuple[WorkerRow, ...]:
        """One row per worker."""
        return tuple(self._row(member) for member in self.members)

    def slowest_log(self) -> str:
        """What the worker that is furthest behind with its start has printed."""
        return min((member.child.log() for member in self.members), key=len)

    async def _ask(self, session: aiohttp.ClientSession, member: Member) -> None:
        known = self._known[member.name]
        if known.is_down:
            return
        member.child.check()
        address = member.address
        if address is None:
            return
        try:
            async with session.get(f"{address}/readyz") as answer:
                ready: dict[str, Any] = await answer.json()
            async with session.get(f"{address}/metrics") as answer:
                known.events = _events(await answer.text())
        except (aiohttp.ClientError, TimeoutError):
            return  # starting, or killed this moment
        known.partitions = tuple(ready["restored"])

    def _row(self, member: Member) -> WorkerRow:
        known = self._known[member.name]
        return WorkerRow(
            name=member.name,
            state=_state(member, known),
            pid=None if known.is_down else member.child.pid,
            partitions=known.partitions,
            restarts=member.restarts,
            events=known.events_before + known.events,
        )


def _state(member: Member, known: _Known) -> WorkerState:
    if known.is_down:
        return "killed"
    if known.partitions:
        return "serving"
    return "restarting" if member.restarts else "starting"


def _events(exposition: str) -> int:
    """Events in, of all topics and types.

    Only their own lines are parsed: all of it would hold up the loop that measures latency for 5 ms.
    """
    lines = "".join(line for line in exposition.splitlines(keepends=True) if line.startswith(EVENTS))
    families = text_string_to_metric_families(lines)
    return int(sum(s.value for family in families for s in family.samples if s.name == EVENTS))
