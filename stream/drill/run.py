"""The drill from its broker to its verdict."""

import asyncio
import json
import random
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal, NamedTuple

from msgspec import to_builtins

from state.errors import FreshslateError
from stream.audit import audit
from stream.beside import beside
from stream.child import WORKER
from stream.config import Settings, load_settings
from stream.connection import connection
from stream.drill.acts import FAULTS, Stage
from stream.drill.flow import Flow
from stream.drill.kafka import Kafka
from stream.drill.load import Load
from stream.drill.report import Done, DrillResult, wrongs
from stream.drill.team import NotAsPromised, Team
from stream.interrupt import Interruptible
from stream.model_audit import audit_models
from stream.proxy import Proxy
from stream.screens.drill import DrillScreen, DrillView
from stream.security_settings import OWN_BROKER
from stream.topics import create_topics, topic_specs

START_SECONDS: Final = 240.0
"""How long the first slates may take; compiling takes some 40 s on a slow machine."""
FLOW_SECONDS: Final = 90.0
"""How long slates may take to flow again after a fault."""
VIEW_SECONDS: Final = 0.5
LOG_LINES: Final = 60
"""Of a worker's log, shown where it got stuck."""


class DrillOptions(NamedTuple):
    """What the drill was asked for."""

    seconds: float = 360.0
    """Least length of the part with faults; every fault comes once, however long that takes."""
    rate: float = 500.0
    """Events a second."""
    workers: int = 2
    seed: int = 1
    """Of the load, the order of the faults, and whom they hit."""
    guarantee: Literal["exactly_once", "at_least_once"] = "exactly_once"
    faults: tuple[str, ...] = ()
    """Names; empty: all that the guarantee promises anything for."""
    pause: float = 2.0
    """Seconds of peace between two faults."""
    json: Path | None = None
    """Where the result is written."""
    command: Sequence[str] = WORKER
    """What is run as a worker."""


def run_drill(options: DrillOptions, screen: DrillScreen) -> bool:
    """Run the drill; whether nothing at all is wrong.

    Raises:
        FreshslateError: no worker ever answered, or a fault's name is wrong.
        BrokerError: no broker can be started.
        KeyboardInterrupt: somebody wants it to end.
    """
    names = chosen(options)
    screen.title(names, options.seed)
    with (
        Interruptible() as interruptible,
        tempfile.TemporaryDirectory(prefix="freshslate-drill-", ignore_cleanup_errors=True) as folder,
        screen.live(),
    ):
        result = interruptible.run(_Drill(options, names, screen).run(Path(folder)))
    if options.json is not None:
        options.json.write_text(json.dumps(to_builtins(result), indent=2) + "\n")
    screen.summary(result)
    return result.is_good


def chosen(options: DrillOptions) -> list[str]:
    """The faults in the order in which they come first.

    Raises:
        FreshslateError: there is no fault of a name.
    """
    unknown = [name for name in options.faults if name not in FAULTS]
    if unknown:
        message = f"there is no fault {', '.join(unknown)}; there are {', '.join(FAULTS)}"
        raise FreshslateError(message)
    is_fenced = options.guarantee == "exactly_once"
    names = list(options.faults) or [n for n, fault in FAULTS.items() if is_fenced or not fault.needs_fencing]
    random.Random(options.seed).shuffle(names)
    return names


def drill_settings(kafka: Kafka, folder: Path, options: DrillOptions) -> Settings:
    """The workers' settings: those of the environment, but for what makes a drill short."""
    return load_settings(
        broker=kafka.proxied_address,
        inputs=("events",),
        topic_prefix="drill.",
        app_id="drill",
        instance_id=None,
        data_dir=folder,
        processing_guarantee=options.guarantee,
        worker_port=0,
        worker_host="127.0.0.1",
        log_level="info",
        **OWN_BROKER,
        session_timeout_seconds=6.0,
        heartbeat_seconds=1.0,
        transaction_timeout_seconds=4.0,
        snapshot_seconds=2.0,
        # Small ones, so that the little state of a drill gets to the disk at all; a file of theirs is still
        # larger than what a full disk has left (`stream/drill/disk.py`).
        rocksdb_write_buffer_bytes=1 << 18,
        dead_letter_window=200,
        dead_letter_share=0.5,
    )


class _Drill:
    def __init__(self, options: DrillOptions, names: Sequence[str], screen: DrillScreen) -> None:
        self._options = options
        self._names = names
        self._screen = screen
        self._done: list[Done] = []
        self._started = time.monotonic()

    async def run(self, folder: Path) -> DrillResult:
        """Broker, proxy, topics, load, workers, faults, audit."""
        options, kafka = self._options, Kafka(folder / "kafka")
        self._screen.doing("starting Kafka")
        try:
            await kafka.start()
            settings = drill_settings(kafka, folder / "workers", options)
            settings.data_dir.mkdir()
            direct = settings.model_copy(update={"broker": kafka.address})
            await create_topics(connection(direct), topic_specs(direct))
            async with Proxy(kafka.proxied.advertised, kafka.proxied.port) as proxy:
                team = Team(
                    settings, folder / "workers", self._options.workers, command=self._options.command
                )
                try:
                    return await self._play(kafka, proxy, team, direct)
                finally:
                    await asyncio.to_thread(team.stop)
        finally:
            await asyncio.to_thread(kafka.stop)

    async def _play(self, kafka: Kafka, proxy: Proxy, team: Team, direct: Settings) -> DrillResult:
        options = self._options
        load = Load(direct, rate=options.rate, seed=options.seed)
        flow = Flow(direct)
        stage = Stage(
            settings=direct,
            team=team,
            kafka=kafka,
            proxy=proxy,
            load=load,
            flow=flow,
            draw=random.Random(options.seed),
        )
        async with load, beside(flow.run()), beside(self._show(stage)):
            async with beside(load.run()):
                self._screen.doing("waiting for the first slates")
                await self._flowing(stage)
                async with beside(team.watch()):
                    await self._faults(stage)
            await load.finish()
            self._screen.doing("waiting for the last slates")
            if await flow.reaches(load.ends, FLOW_SECONDS) is None:
                self._stuck(stage)
        return await self._judge(stage)

    async def _flowing(self, stage: Stage) -> None:
        everywhere = dict.fromkeys(range(stage.settings.partitions), 0)
        if await stage.flow.flows(everywhere, START_SECONDS) is None:
            logs = "\n".join(member.child.log()[-2000:] for member in stage.team.members)
            message = f"no slates for all partitions within {START_SECONDS:.0f} s:\n{logs}"
            raise FreshslateError(message)

    async def _faults(self, stage: Stage) -> None:
        """Every fault once, in the drawn order; then further ones until the time is over."""
        self._started = time.monotonic()
        order = list(self._names)
        while order or time.monotonic() - self._started < self._options.seconds:
            name = order.pop(0) if order else stage.draw.choice(self._names)
            await asyncio.sleep(self._options.pause)
            self._done.append(await self._fault(stage, name))
            self._screen.fault(self._done[-1])

    async def _fault(self, stage: Stage, name: str) -> Done:
        start = time.monotonic()
        self._screen.running(f"{name}: {FAULTS[name].about}")
        what, broken = FAULTS[name].about, []
        try:
            what = await FAULTS[name].act(stage)
        except NotAsPromised as error:
            broken.append(str(error))
        await stage.team.fill(self._options.workers)
        took = time.monotonic() - start
        flowed = await stage.flow.flows(dict(stage.load.ends), FLOW_SECONDS)
        try:
            # The others may have done the work meanwhile: the next fault is to hit a worker that serves.
            await stage.team.ready()
        except NotAsPromised as error:
            broken.append(str(error))
        return Done(
            fault=name,
            what=what,
            at_seconds=round(start - self._started, 2),
            took_seconds=round(took, 2),
            flowed_after_seconds=None if flowed is None else round(flowed, 2),
            broken_promise="; ".join(broken) or None,
        )

    async def _show(self, stage: Stage) -> None:
        while True:
            self._screen.show(
                DrillView(
                    seconds=time.monotonic() - self._started,
                    sent=stage.load.sent,
                    waiting=sum(max(0, end - stage.flow.reached[p]) for p, end in stage.load.ends.items()),
                    slates=stage.flow.slates,
                    faults=len(self._done),
                    workers=stage.team.rows(),
                )
            )
            await asyncio.sleep(VIEW_SECONDS)

    def _stuck(self, stage: Stage) -> None:
        """Say where the workers stand, and what they said last: the folder with their logs is about to go."""
        waits = ", ".join(
            f"partition {partition} at {stage.flow.reached[partition]} of {end}"
            for partition, end in sorted(stage.load.ends.items())
            if stage.flow.reached[partition] < end
        )
        self._screen.wrong(f"the workers never got to the end of their input: {waits}")
        for member in stage.team.members:
            lines = member.child.log().strip().splitlines()[-LOG_LINES:]
            self._screen.doing("\n    ".join([f"the last that {member.name} said:", *lines]))

    async def _judge(self, stage: Stage) -> DrillResult:
        options, team = self._options, stage.team
        seconds = time.monotonic() - self._started
        self._screen.doing("stopping the workers")
        await _saved(team, stage.settings.snapshot_seconds)
        crashes = list(team.crashes)
        try:
            await team.terminate(*team.running)
        except NotAsPromised as error:
            crashes.append(str(error))
        self._screen.doing("checking the whole log: folding every event once more in this process")
        report = await audit(stage.settings)
        self._screen.doing("folding the models once more")
        models = await audit_models(stage.settings, team.snapshots())
        wrong = wrongs(self._done, crashes, stage.load.sent, report, models)
        for line in wrong:
            self._screen.wrong(line)
        return DrillResult(
            is_good=not wrong,
            faults=len(self._done),
            events=stage.load.sent,
            lost=report.lost,
            duplicated=report.duplicates,
            profiles_compared=report.profiles_compared,
            profiles_different=report.profiles_different,
            models_compared=models.models_compared,
            models_different=models.models_different,
            longest_gap_seconds=report.longest_gap_seconds,
            crashes=crashes,
            done=self._done,
            workers=options.workers,
            rate=options.rate,
            seconds=round(seconds, 2),
            seed=options.seed,
            processing_guarantee=options.guarantee,
            audit={**to_builtins(report), "is_clean": report.is_clean},
            models=to_builtins(models),
            version=version("freshslate"),
        )


async def _saved(team: Team, every: float) -> None:
    """Wait until every worker has a snapshot of what it knows now, at most for some rounds of them."""
    paths = [team.snapshots()[member.name] for member in team.running]
    since = time.time()
    for _ in range(int(10 * every / 0.1)):
        # Not the first after now: that may have been taken before.
        if all(path.exists() and path.stat().st_mtime > since + every for path in paths):
            return
        await asyncio.sleep(0.1)
