"""What the run of alarms plays on: broker, workers, monitor, simulated shop, Prometheus; and its faults."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Struct

from benchmarks.processes import BenchmarkError
from deploy.prometheus.server import Prometheus
from stream.beside import beside
from stream.broker import Broker
from stream.config import Settings
from stream.crew import Member
from stream.drill.load import Load

COMMAND: Final = (sys.executable, "-m", "agents.commands")
POLL_SECONDS: Final = 0.5
RESTART_SECONDS: Final = 5.0
"""Between two starts of what ends by itself."""
OPEN_SECONDS: Final = 120.0
"""How long workers may take until they hold partitions; compiling takes some 40 s on a slow machine."""
OPENED: Final = "opened partitions"
EVENTS_OF_A_CYCLE: Final = 50
CYCLE_SECONDS: Final = 0.1
"""With both a worker does 500 events/s at most, so that a load beyond it leaves the machine CPU to spare."""
GARBAGE: Final = 0.2
"""Records that are no events, for each one of the shop's; a worker stops where half of a partition's are."""
OVERLOAD: Final = 2.0
"""Events a second, of what the workers can do together."""


class Change(Struct):
    """An alert began to fire, or ceased to."""

    seconds: float
    """Since the run began."""
    alert: str
    fires: bool


class Stage:
    """Everything that runs.

    Args:
        settings: of workers and monitor.
        broker: of our own.
        prometheus: that scrapes all of them.
        folder: for logs.
        workers: how many.
        rate: events a second of the shop.
    """

    def __init__(
        self,
        settings: Settings,
        broker: Broker,
        prometheus: Prometheus,
        folder: Path,
        *,
        workers: int,
        rate: float,
    ) -> None:
        self.settings, self.broker, self.rate = settings, broker, rate
        self.workers = [Member(f"worker-{n}", settings, folder) for n in range(1, workers + 1)]
        self._helpers: list[Member] = []
        self._folder = folder
        self.away: set[str] = set()
        """Names of workers that a fault has taken away."""
        self.ended: list[str] = []
        """Who ended by themselves, with their last words."""
        self._killed: set[str] = set()
        self.changes: list[Change] = []
        self._prometheus = prometheus
        self._addresses: dict[str, str] = {}
        self._firing: frozenset[str] = frozenset()
        self._started: dict[str, float] = {}
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self._began

    @property
    def firing(self) -> frozenset[str]:
        """Alerts that fire, as of the latest look."""
        return self._firing

    def comes_back(self, member: Member) -> None:
        """Let a worker that was taken away be started again."""
        self.away.discard(member.name)
        self._killed.add(member.name)

    async def opened(self) -> None:
        """Wait until every worker holds partitions; then the shop opens, and the monitor looks on.

        Raises:
            BenchmarkError: one does not.
        """
        for member in self.workers:
            deadline = time.monotonic() + OPEN_SECONDS
            while OPENED not in member.child.log():
                if time.monotonic() > deadline:
                    message = f"{member.name} did not open partitions:\n{member.child.log()[-3000:]}"
                    raise BenchmarkError(message)
                await asyncio.sleep(POLL_SECONDS)
        # Events that came before would wait for the workers, and be late at once.
        for name, command in (
            ("monitor", ("monitor", "--since", "1m")),
            ("shop", ("simulate", "--hasty", "--seconds", "100000", "--rate", f"{self.rate:g}")),
        ):
            self._helpers.append(Member(name, self.settings, self._folder, command=(*COMMAND, *command)))

    async def watch(self) -> None:
        """Look for ever which alerts fire, start again what has ended, and tell Prometheus where all are."""
        while True:
            self._keep()
            now = frozenset(await asyncio.to_thread(self._prometheus.firing))
            self.changes += [Change(self.seconds, alert, True) for alert in sorted(now - self._firing)]
            self.changes += [Change(self.seconds, alert, False) for alert in sorted(self._firing - now)]
            self._firing = now
            await asyncio.sleep(POLL_SECONDS)

    async def until(self, condition: Callable[[], bool], limit: float) -> float | None:
        """Seconds until it holds; None: not within the limit."""
        started = time.monotonic()
        while not condition():
            if time.monotonic() - started > limit:
                return None
            await asyncio.sleep(POLL_SECONDS / 5)
        return time.monotonic() - started

    def stop(self) -> None:
        """End everybody."""
        everybody = [*self.workers, *self._helpers]
        for member in everybody:
            member.child.let_go()
        for member in everybody:
            member.child.stop()

    def _keep(self) -> None:
        """What an orchestrator does."""
        for member in [*self.workers, *self._helpers]:
            if member.child.has_ended and member.name not in self.away:
                self._restart(member)
            if member.address is not None:
                self._addresses[member.name] = member.address.removeprefix("http://")
        names = {member.name for member in self.workers}
        found = self._addresses.items()
        self._prometheus.targets(
            {
                "freshslate-worker": [at for name, at in found if name in names],
                "freshslate-monitor": [at for name, at in found if name == "monitor"],
            }
        )

    def _restart(self, member: Member) -> None:
        if self.seconds - self._started.get(member.name, -RESTART_SECONDS) < RESTART_SECONDS:
            return
        if member.name not in self._killed:
            last = member.child.log().strip().splitlines()[-1:]
            self.ended.append(f"{self.seconds:.0f} s: {member.name}: {' '.join(last)[:300]}")
        self._killed.discard(member.name)
        self._started[member.name] = self.seconds
        member.start()


Fault = Callable[[Stage], AbstractAsyncContextManager[None]]


class Act(NamedTuple):
    """A fault, and the alerts of which one has to fire."""

    about: str
    expected: tuple[str, ...]
    fault: Fault


@asynccontextmanager
async def worker_killed(stage: Stage) -> AsyncIterator[None]:
    """A worker is killed, and nobody starts it again."""
    member = stage.workers[0]
    stage.away.add(member.name)
    await asyncio.to_thread(member.child.kill)
    yield
    stage.comes_back(member)


@asynccontextmanager
async def garbage(stage: Stage) -> AsyncIterator[None]:
    """Records that are no events come beside those of the shop."""
    async with Load(stage.settings, rate=0.001, seed=1) as load, beside(_littered(load, stage)):
        yield


async def _littered(load: Load, stage: Stage) -> None:
    pause = stage.settings.partitions / (GARBAGE * stage.rate)
    while True:
        await load.flood(1)
        await asyncio.sleep(pause)


@asynccontextmanager
async def broker_frozen(stage: Stage) -> AsyncIterator[None]:
    """The broker's process is stopped, as by a suspended machine."""
    os.kill(stage.broker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(stage.broker.pid, signal.SIGCONT)


@asynccontextmanager
async def slow_consumer(stage: Stage) -> AsyncIterator[None]:
    """More events come than the workers can take."""
    capacity = len(stage.workers) * EVENTS_OF_A_CYCLE / CYCLE_SECONDS
    async with Load(stage.settings, rate=OVERLOAD * capacity, seed=2) as load, beside(load.run()):
        yield


ACTS: Final[Mapping[str, Act]] = {
    "worker killed": Act("kill -9, and kept away", ("FreshslateWorkerDown",), worker_killed),
    "garbage flood": Act(
        f"{GARBAGE:.0%} as many broken records as events", ("FreshslateDeadLetterShare",), garbage
    ),
    "broker frozen": Act(
        "SIGSTOP", ("FreshslateCommitsStalled", "FreshslateHeartbeatMissing"), broker_frozen
    ),
    "slow consumer": Act(
        f"{OVERLOAD:g} times the events that the workers can take", ("FreshslateLagGrowing",), slow_consumer
    ),
}
