"""The demo: a broker, worker processes, a simulated shop, and what became of every one of its events.

Nothing of it stays: the broker, the workers and their folders end with this process, also when it is
interrupted or killed; on a broker that was given, topics of a unique prefix are made and removed.
"""

import asyncio
import contextlib
import json
import math
import random
import tempfile
import time
import uuid
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from msgspec import Struct, to_builtins

from state.errors import FreshslateError
from state.evaluation.confidence import Comparison
from state.evaluation.experiment import ExperimentResult
from state.simulation.config import demo_config
from state.simulation.shop import Shop
from stream.audit import Report, audit
from stream.beside import beside
from stream.broker import broker_for
from stream.closed_loop import ClosedLoop
from stream.config import Settings, load_settings
from stream.connection import connection
from stream.crew import Crew
from stream.demo_console import DemoConsole
from stream.experiment import compare_groups
from stream.interrupt import Interruptible
from stream.presenter import Presenter
from stream.roster import Roster
from stream.scoreboard import ANSWER_SECONDS, Scoreboard
from stream.screens.demo import DemoScreen
from stream.security_settings import OWN_BROKER
from stream.tally import Tally
from stream.times import now_ms
from stream.topics import create_topics, remove_topics, topic_specs
from stream.view import Counts, DemoSummary

ABOUT: Final = (
    "This is a real Kafka and real workers. The shop is simulated: its shoppers have tastes that the "
    "workers cannot see, and half of them get random slates, to compare with."
)
PAST_SECONDS: Final = 40
"""How long the shop has been open when the demo begins; the models learn from that first."""
RANDOM_SHARE: Final = 0.5
"""Share of shoppers with random slates, where none is set: halves tell a difference soonest."""
START_SECONDS: Final = 240.0
"""How long the workers may take to the first slate; compiling takes some 40 s on a slow machine."""
STAGES: Final = (
    ("opened partitions", "the workers read the past"),
    ("models caught up", "the workers join the group"),
    ("", "the workers start and compile their kernels (the first time 10-60 s)"),
)
"""What a worker does, by the latest of these lines in its log."""


class DemoOptions(NamedTuple):
    """What the demo was asked for."""

    seconds: float
    """Length of the live part."""
    workers: int = 1
    """Processes."""
    rate: float = 100.0
    """Events a second that the shop aims at."""
    seed: int = 1
    """Of the shop, and of who is killed."""
    kill_every: float | None = None
    """Seconds between two kills; None: nobody is killed."""
    json: Path | None = None
    """Where the result is written."""
    keep: bool = False
    """Leave everything running at the end, until Ctrl-C."""
    api: bool = True
    """Serve the HTTP API and its console too."""


class Result(Struct, kw_only=True):
    """What the demo found; written as JSON. The log is what all of it is counted from, but the latency."""

    events: int
    past_events: int
    """Those before the live part, whose latency was not measured."""
    slates: int
    event_to_slate_ms: dict[str, float | None]
    ctr: Comparison
    """Slates with a click, per slate shown in the live part."""
    conversion: Comparison
    revenue: Comparison
    """Per session of the live part."""
    oracle: dict[str, float | None]
    """Share of the best possible click probability, by group: one minus the relative regret."""
    lost: int
    duplicates: int
    dead_letters: int
    rewards: int
    workers: int
    kills: int
    seconds: float
    """Length of the live part."""
    start_seconds: float
    """From nothing to the first slate."""
    seed: int
    audit: dict[str, Any]
    version: str

    @property
    def is_good(self) -> bool:
        """Whether every event was answered exactly once."""
        is_complete = not (self.lost or self.duplicates or self.dead_letters) and self.slates > 0
        return is_complete and bool(self.audit["is_clean"])


def run_demo(options: DemoOptions, screen: DemoScreen) -> bool:
    """Run the demo; whether every event was answered exactly once.

    Raises:
        FreshslateError: A worker ended, or none ever answered.
        BrokerError: No broker can be started.
        KeyboardInterrupt: Somebody wants it to end.
    """
    given = load_settings()
    started = time.perf_counter()
    screen.title(ABOUT)
    with Interruptible() as interruptible, _folder() as folder, screen.working():
        screen.doing("starting Kafka")
        broker = broker_for(given.broker if given.is_broker_given else None, on_progress=screen.doing)
        with broker as address:
            screen.done("Kafka", f"answers at {address}")
            settings = demo_settings(address, folder, options)
            demo = _Demo(settings, options, screen, started)
            return interruptible.run(demo.run(folder, removes=given.is_broker_given)).is_good


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="freshslate-demo-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def demo_settings(address: str, folder: Path, options: DemoOptions) -> Settings:
    """The settings of the environment, with a place of our own and a control group."""
    name = f"demo-{uuid.uuid4().hex[:8]}"
    given = load_settings()
    is_own = not given.is_broker_given
    return load_settings(
        broker=address,
        topic_prefix=f"{name}.",
        app_id=name,
        instance_id=None,
        data_dir=folder / "data",
        worker_port=0,
        worker_host="127.0.0.1",
        api_host="127.0.0.1",
        api_port=given.api_port if "api_port" in given.model_fields_set else 0,
        api_keys_file=None,
        log_level="info",
        partitions=given.partitions if options.workers <= given.partitions else options.workers,
        **_control(given),
        **(OWN_BROKER if is_own else {}),
    )


def _control(given: Settings) -> dict[str, float]:
    """The share of random slates, where neither a setting nor a policy file says one."""
    is_said = given.policy_file is not None or "random_share" in given.model_fields_set
    return {} if is_said else {"random_share": RANDOM_SHARE}


class _Demo:
    """One run on a broker that answers."""

    def __init__(self, settings: Settings, options: DemoOptions, screen: DemoScreen, started: float) -> None:
        self._settings = settings
        self._options = options
        self._screen = screen
        self._started = started
        self._tally = Tally(settings.slate_types)
        self._board = Scoreboard(self._tally)
        self._presenter = Presenter(screen, self._board, rate=options.rate, seconds=options.seconds)
        self._draw = random.Random(options.seed)

    async def run(self, folder: Path, *, removes: bool) -> Result:
        """Topics, workers, past, live, audit."""
        settings, options = self._settings, self._options
        try:
            await create_topics(connection(settings), topic_specs(settings))
            membership: Final = "static" if options.kill_every else "dynamic"
            with Crew(settings, folder, options.workers, membership=membership) as crew:
                roster = Roster(crew)
                self._presenter.workers = roster.rows
                with DemoConsole(settings, folder, is_wanted=options.api) as console:
                    async with beside(roster.watch()):
                        result = await self._walk(roster, console)
                        if options.keep:
                            await self._stay()
        finally:
            self._screen.running("cleaning up")
            if removes:
                await remove_topics(settings)
        return result

    async def _walk(self, roster: Roster, console: DemoConsole) -> Result:
        screen, board = self._screen, self._board
        shop = await asyncio.to_thread(_opened, self._options)
        async with ClosedLoop(self._settings, shop, board) as loop, beside(loop.follow()):
            items = await loop.announce()
            screen.done("shop", f"{items:,} items, {shop.config.shoppers:,} shoppers")
            past = await loop.catch_up()
            start_seconds = await self._first_slate(roster)
            if told := await console.told():
                screen.done("console", told)
            await self._answered()
            screen.done("past", f"{past:,} events, learned at full speed")
            past += await loop.catch_up()
            live_from = shop.now + 1
            board.go_live(live_from)
            live_start = time.perf_counter()
            with screen.live():
                await self._live(loop, roster)
            live_seconds = time.perf_counter() - live_start
            screen.doing("waiting for the last slates")
            await self._answered()
        screen.doing("checking the whole log: folding every event once more in this process")
        report = await audit(self._settings)
        found = await compare_groups(self._settings, since=live_from)
        result = self._result(report, found, past, live_seconds, start_seconds)
        self._tell(result, found)
        return result

    async def _first_slate(self, roster: Roster) -> float:
        """Wait for the first slate; returns the seconds since the start."""
        deadline = time.monotonic() + START_SECONDS
        while not self._tally.slates:
            log = roster.slowest_log()
            self._screen.doing(next(text for line, text in STAGES if line in log))
            if time.monotonic() > deadline:
                message = (
                    f"no slate came within {START_SECONDS:.0f} s; a worker's log ends with:\n{log[-2000:]}"
                )
                raise FreshslateError(message)
            await asyncio.sleep(0.1)
        seconds = time.perf_counter() - self._started
        workers = f"{self._options.workers} process{'es' if self._options.workers > 1 else ''}"
        self._screen.done("workers", f"{workers}; the first slate came {seconds:.0f} s after the start")
        return seconds

    async def _answered(self) -> None:
        """Wait for every slate asked for, until none at all has come for `ANSWER_SECONDS`."""
        slates, since = self._tally.slates, time.monotonic()
        while self._tally.waiting and time.monotonic() - since < ANSWER_SECONDS:
            await asyncio.sleep(0.02)
            if self._tally.slates > slates:
                slates, since = self._tally.slates, time.monotonic()

    async def _live(self, loop: ClosedLoop, roster: Roster) -> None:
        """Play, and show it; and kill now and then."""
        async with beside(self._presenter.run()), beside(self._kill(roster)):
            await loop.play(self._options.seconds)

    async def _kill(self, roster: Roster) -> None:
        """Kill a worker now and then, as `kill -9` does, and start it again; none at the very end."""
        start = time.perf_counter()
        for due in kill_times(self._options):
            await asyncio.sleep(max(0.0, start + due - time.perf_counter()))
            member = self._draw.choice(roster.members)
            self._presenter.kills += 1
            self._screen.running(
                f"kill -9 {member.child.pid}: {member.name} has no chance to finish anything"
            )
            await roster.restart(member)
        await asyncio.Event().wait()

    def _result(
        self,
        report: Report,
        found: ExperimentResult,
        past: int,
        live_seconds: float,
        start_seconds: float,
    ) -> Result:
        tally = self._tally
        return Result(
            events=tally.events,
            past_events=past,
            slates=tally.slates,
            event_to_slate_ms=tally.latency()._asdict(),
            ctr=found.ctr,
            conversion=found.conversion,
            revenue=found.revenue_per_session,
            oracle=to_builtins(self._board.oracle()),
            lost=max(tally.waiting, report.lost),
            duplicates=max(tally.duplicates, report.duplicates),
            dead_letters=max(tally.dead_letters, report.dead_letters),
            rewards=report.rewards,
            workers=self._options.workers,
            kills=self._presenter.kills,
            seconds=round(live_seconds, 2),
            start_seconds=round(start_seconds, 2),
            seed=self._options.seed,
            audit={**to_builtins(report), "is_clean": report.is_clean},
            version=version("freshslate"),
        )

    def _tell(self, result: Result, found: ExperimentResult) -> None:
        if self._options.json is not None:
            self._options.json.write_text(json.dumps(to_builtins(result), indent=2) + "\n")
        if self._board.walk is not None:
            self._screen.walked(self._board.walk)
        summary = DemoSummary(
            events=result.events,
            past_events=result.past_events,
            seconds=result.seconds,
            slates=result.slates,
            p50=result.event_to_slate_ms["p50"],
            p99=result.event_to_slate_ms["p99"],
            effect=self._board.effect(found),
            counts=Counts(
                asked=self._tally.asked,
                answered=self._tally.asked - self._tally.waiting,
                lost=result.lost,
                duplicates=result.duplicates,
                dead_letters=result.dead_letters,
                kills=result.kills,
            ),
            workers=result.workers,
            audit=_audited(result.audit),
        )
        self._screen.summary(summary, is_good=result.is_good)

    async def _stay(self) -> None:
        """Wait for Ctrl-C, which then is a good end."""
        settings = self._settings
        self._screen.kept(
            {
                "FRESHSLATE_BROKER": settings.broker,
                "FRESHSLATE_TOPIC_PREFIX": settings.topic_prefix,
                "FRESHSLATE_APP_ID": settings.app_id,
            },
            self._board.walk.shopper if self._board.walk else "shopper-1",
        )
        self._screen.running("running until Ctrl-C")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


def kill_times(options: DemoOptions) -> list[float]:
    """When a worker is killed, seconds after the beginning of the live part."""
    every = options.kill_every
    return [] if every is None else [n * every for n in range(1, math.ceil(options.seconds / every))]


def _opened(options: DemoOptions) -> Shop:
    """The shop, compiled and open for some time."""
    config = demo_config(options.rate)
    shop = Shop(config, seed=options.seed, start=0)
    shop.advance(1000)
    shop.show(np.zeros(1, np.int32), np.zeros((1, 1), np.int32), 1000, ["compiled before it is needed"])
    start = now_ms() - PAST_SECONDS * 1000
    return Shop(config, seed=options.seed, start=start)


def _audited(found: dict[str, Any]) -> str:
    """What the audit compared and found."""
    verdict = "all equal" if found["is_clean"] else f"{found['profiles_different']:,} differ"
    return f"{found['profiles_compared']:,} profiles folded again from the log: {verdict}"
