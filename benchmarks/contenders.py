"""What is measured side by side: how each engine is started, and what it reads and writes."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from benchmarks.echo import READY, EchoTask
from benchmarks.payloads import SLATE_BYTES
from benchmarks.processes import ROOT, BenchmarkError, Measured
from benchmarks.wire import WireTask
from stream.child import environment
from stream.config import Settings
from stream.topics import BATCH_BYTES, TopicSpec, create_topics, topic_specs

PARTITIONS: Final = 8
PEERS_PYTHON: Final = ROOT / ".venv-peers" / "bin" / "python"
START_SECONDS: Final = 120.0


class PeerTask(Struct):
    """What a peer's process is told."""

    broker: str
    group: str
    source: str
    target: str
    folder: str
    partitions: int
    variant: str
    """faust: `stock` or `tuned`. Quix Streams: its guarantee."""


class Topics(NamedTuple):
    """Where a contender reads and writes."""

    source: str
    target: str


class Contender(NamedTuple):
    """One engine."""

    name: str
    topics: Topics
    specs: Sequence[TopicSpec]
    """All topics it needs."""
    command: Sequence[str]
    variables: Mapping[str, str] = {}
    ready: str = ""
    """What it prints once it processes; nothing if it does not tell."""

    async def prepare(self, broker: str) -> None:
        """Create its topics."""
        await create_topics(broker, self.specs)

    def start(self, folder: Path) -> Measured:
        """Start its process."""
        return Measured(self.name, self.command, folder, variables=self.variables)


def worker_settings(broker: str, app_id: str, folder: Path, guarantee: str) -> Settings:
    """Of a worker with topics of its own."""
    return Settings(
        broker=broker,
        app_id=app_id,
        topic_prefix=f"{app_id}.",
        data_dir=folder / app_id,
        partitions=PARTITIONS,
        canary_seconds=0,
        processing_guarantee=guarantee,
    )


def stamped(spec: TopicSpec) -> TopicSpec:
    """The same topic, with the broker's time of the append in every record: one clock for all engines."""
    return spec._replace(config={**spec.config, "message.timestamp.type": "LogAppendTime"})


def worker(name: str, settings: Settings, *, module: str) -> Contender:
    """A worker of this runtime, started as `python -m module`."""
    specs = [stamped(spec) if spec.name == settings.slates_topic else spec for spec in topic_specs(settings)]
    return Contender(
        name,
        Topics(settings.input_topics[0], settings.slates_topic),
        specs,
        [sys.executable, "-m", *module.split()],
        environment(settings),
        "opened partitions",
    )


def plain_specs(topics: Topics) -> list[TopicSpec]:
    """Topics of an engine that says nothing about them."""
    config = {"max.message.bytes": str(BATCH_BYTES)}
    return [
        TopicSpec(topics.source, PARTITIONS, 1, config),
        stamped(TopicSpec(topics.target, PARTITIONS, 1, config)),
    ]


def wire(
    name: str, broker: str, topics: Topics, starts: Mapping[int, int], ends: Mapping[int, int]
) -> Contender:
    """The raw loop over records that are there; it ends by itself."""
    task = WireTask(
        broker=broker,
        source=topics.source,
        target=topics.target,
        group=f"{topics.target}.group",
        starts=dict(starts),
        ends=dict(ends),
        payload_bytes=SLATE_BYTES,
        fetch_bytes=Settings().fetch_bytes,
    )
    command = [sys.executable, "-m", "benchmarks.wire", msgspec.json.encode(task).decode()]
    return Contender(name, topics, plain_specs(topics), command)


def echo(name: str, broker: str, prefix: str, *, transactional_id: str | None) -> Contender:
    """A bare echo, transactional where it has an id for that."""
    topics = Topics(f"{prefix}{name}.events", f"{prefix}{name}.slates")
    task = EchoTask(broker, topics.source, topics.target, PARTITIONS, transactional_id)
    command = [sys.executable, "-m", "benchmarks.echo", msgspec.json.encode(task).decode()]
    return Contender(name, topics, plain_specs(topics), command, ready=READY)


def faust(name: str, broker: str, prefix: str, folder: Path, *, variant: str) -> Contender:
    """A faust agent with a Table on RocksDB, `stock` or `tuned`."""
    task = _task(name, broker, prefix, folder, variant)
    return _peer(task, name, sys.executable, "benchmarks.faust_agent")


def quix(name: str, broker: str, prefix: str, folder: Path, *, guarantee: str) -> Contender:
    """Quix Streams with state, at least once or exactly once.

    Raises:
        BenchmarkError: it is not installed.
    """
    if not PEERS_PYTHON.exists():
        message = f"{PEERS_PYTHON.parents[1].name} is missing: run `make peers`, or leave Quix Streams out"
        raise BenchmarkError(message)
    task = _task(name, broker, prefix, folder, guarantee)
    return _peer(task, name, str(PEERS_PYTHON), "benchmarks.quix_app")


def _task(name: str, broker: str, prefix: str, folder: Path, variant: str) -> PeerTask:
    return PeerTask(
        broker=broker,
        group=f"{prefix}{name}",
        source=f"{prefix}{name}.events",
        target=f"{prefix}{name}.slates",
        folder=str(folder / name),
        partitions=PARTITIONS,
        variant=variant,
    )


def _peer(task: PeerTask, name: str, python: str, module: str) -> Contender:
    topics = Topics(task.source, task.target)
    command = [python, "-m", module, msgspec.json.encode(task).decode()]
    return Contender(name, topics, plain_specs(topics), command)
