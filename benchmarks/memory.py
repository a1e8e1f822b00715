"""What a worker holds: bytes per profile, memory with a million of them, disk, and the changelog's size.

`python -m benchmarks.memory --help`; what the numbers mean: docs/benchmarks.md.
"""

import argparse
import asyncio
import sys
import time
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks.arguments import RESULTS, measured, write
from benchmarks.fleet import Fleet, broker, console, fleet, load, quantile, slates
from benchmarks.inputs import DATA, Input, deltas_of, inputs
from benchmarks.machine import machine
from benchmarks.profiles import write_profiles
from state.event import Event
from stream.broker import Broker
from stream.codecs import decode_profile, encode_delta
from stream.config import Settings
from stream.event_file import EventFile, EventList
from stream.java import KAFKA_VERSION
from stream.reading import read_topic
from stream.replay import replay
from stream.topics import admin_client, create_topics, topic_specs

PARTITIONS: Final = 8
HISTORIES: Final = "taobao/users_8day.csv.gz"
ACTIVE_EVENTS: Final = 30
INDEX_INTERACTIONS: Final = 1_200_000
"""At most so many of the Diginetica stream are learned: all that it has."""
VERSIONS: Final = 3
"""How often each profile is in the changelog before it is compacted."""
CLEANER: Final = {
    "segment.bytes": str(8 << 20),
    "segment.ms": "1000",
    "min.cleanable.dirty.ratio": "0.01",
    "min.compaction.lag.ms": "0",
}
"""Of the changelog in this run: the broker's own cleaner, but soon."""
CLEAN_SECONDS: Final = 120.0
STILL_SECONDS: Final = 20.0
"""The cleaner looks every 15 s; without a change for longer it is done."""
REST_SECONDS: Final = 5.0
"""After the restore, before memory is looked at."""


class Sizes(Struct):
    """Encoded profiles after a stream of events, bytes of the value."""

    who: str
    users: int
    mean: float
    median: float
    p99: float
    largest: float


class Memory(Struct):
    """One worker, bytes."""

    when: str
    resident: int
    """Its own and shared pages in memory."""
    anonymous: int
    """Of that, what no file backs."""


class Disk(Struct):
    """Bytes on disk."""

    rocksdb: int
    snapshot: int
    changelog: int | None
    """As written, each profile `VERSIONS` times; None where the broker is not ours to look into."""
    changelog_compacted: int | None


class Report(Struct):
    """One run."""

    machine: dict[str, str]
    profiles: int
    profile_bytes: float
    """Mean of key and value, as made for the run."""
    versions: int
    interactions: int
    """That the shared models learned."""
    sizes: list[Sizes]
    memory: list[Memory]
    disk: Disk


def main() -> None:
    options = arguments(sys.argv[1:])
    screen = console()
    report = measured(run(options, screen))
    show(report, screen)
    write(report, options.json)
    screen.print(f"all numbers: {options.json}")


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory",
        description="Bytes per profile, a worker's memory, RocksDB and changelog on disk.",
        epilog="Examples: python -m benchmarks.memory; "
        "python -m benchmarks.memory --profiles 100000 --interactions 100000 --events 5000",
    )
    parser.add_argument("--profiles", type=int, default=1_000_000, help="users (default %(default)s)")
    parser.add_argument(
        "--interactions", type=int, default=INDEX_INTERACTIONS, help="in the models (default %(default)s)"
    )
    parser.add_argument(
        "--events", type=int, default=75_000, help="for the sizes of profiles (default %(default)s)"
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the streams (default %(default)s)")
    parser.add_argument("--json", type=Path, default=RESULTS / "memory.json", help="where numbers go")
    return parser.parse_args(given)


async def run(options: argparse.Namespace, screen: Console) -> Report:
    """Measure on one broker."""
    with broker() as (address, node), TemporaryDirectory(prefix="freshslate-bench-") as folder:
        with screen.status("profiles of a real stream"):
            sizes = await profile_sizes(
                await _settings(address, Path(folder) / "sizes"), Path(folder) / "sizes", options
            )
        settings = await _settings(address, Path(folder) / "large")
        await _clean_soon(settings)
        with screen.status("changelog") as status:
            for version in range(VERSIONS):
                size = await write_profiles(
                    settings,
                    options.profiles,
                    lambda done, version=version: status.update(  # type: ignore[misc]
                        f"changelog: version {version + 1} of {VERSIONS}, {done:,} profiles written"
                    ),
                )
            before = changelog_bytes(node, settings)
        given = _index(options)
        learned = await _teach(settings, given)
        with fleet(settings, Path(folder) / "large") as workers:
            memory = await _memory(workers, screen)
            rocksdb = disk_bytes(settings.data_dir.rglob("p[0-9]*/*"))
            snapshot = disk_bytes(settings.data_dir.rglob("models-*.npz"))
        with screen.status("waiting for the broker's cleaner"):
            after = await compacted(node, settings)
    return Report(
        {**machine(), "kafka": KAFKA_VERSION},
        options.profiles,
        size / max(1, options.profiles),
        VERSIONS,
        learned,
        sizes,
        memory,
        Disk(rocksdb, snapshot, before, after),
    )


async def _settings(address: str, folder: Path) -> Settings:
    prefix = f"bench-{uuid.uuid4().hex[:8]}."
    settings = Settings(
        broker=address,
        topic_prefix=prefix,
        app_id=f"{prefix}memory",
        data_dir=folder / "data",
        partitions=PARTITIONS,
        canary_seconds=0,
        snapshot_seconds=5.0,
    )
    await create_topics(address, topic_specs(settings))
    return settings


async def profile_sizes(settings: Settings, folder: Path, options: argparse.Namespace) -> list[Sizes]:
    """Profiles that a real worker makes of a real stream: everybody's, and those of active users."""
    source, events = histories(options.data, options.events)
    with fleet(settings, folder) as workers:
        workers.start("one")
        await workers.opened("one")
        async with slates(settings) as reader:
            await replay(settings, EventList(events), times="shift")
            await _quiet(reader.answers)
        latest: dict[bytes, bytes] = {}
        async for record in read_topic(settings.broker, settings.profiles_topic):
            if record.key and record.value and not record.key.startswith(b"\x00"):
                latest[record.key] = record.value
    values = list(latest.values())
    active = [value for value in values if sum(decode_profile(value).counts) >= ACTIVE_EVENTS]
    named = ((f"all users, {source}", values), (f"users of {ACTIVE_EVENTS} events and more", active))
    return [sizes_of(who, [len(value) for value in some]) for who, some in named if some]


def histories(data: Path, events: int) -> tuple[str, list[Event]]:
    """Users' whole histories, or whatever stream there is; where they are from."""
    if (data / HISTORIES).is_file():
        return "Taobao, 8 days", list(EventFile(data / HISTORIES, "taobao", limit=events))
    (given,) = inputs(data, ["taobao"], events=events, warm_up=0, rounds=1)
    return given.source, [event for part in given.rounds for event in part]


def sizes_of(who: str, sizes: Sequence[int]) -> Sizes:
    """The distribution of these sizes."""
    values = [float(size) for size in sizes]
    middle, high = quantile(values, 0.5), quantile(values, 0.99)
    return Sizes(who, len(values), sum(values) / len(values), middle, high, max(values))


async def _quiet(answers: Sequence[object]) -> None:
    """Wait until no further slate comes."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < 3.0:
        if len(answers) != seen:
            seen, since = len(answers), time.monotonic()
        await asyncio.sleep(0.1)


def _index(options: argparse.Namespace) -> Input:
    (given,) = inputs(options.data, ["sessions"], events=options.interactions, warm_up=0, rounds=1)
    return given


async def _teach(settings: Settings, given: Input) -> int:
    """Put the stream's interactions into the deltas topic; how many."""
    count = 0
    async with AIOKafkaProducer(
        bootstrap_servers=settings.broker, linger_ms=20, max_request_size=4 << 20
    ) as producer:
        for part in (given.history, *given.rounds):
            for delta in deltas_of(part):
                await producer.send(settings.deltas_topic, encode_delta(delta), partition=0)
                count += delta.events
    return count


async def _memory(workers: Fleet, screen: Console) -> list[Memory]:
    """Start a worker, and look at its memory when it has restored, and after some work."""
    found = []
    child = workers.start("one")
    with screen.status("restoring"):
        await workers.opened("one")
        await asyncio.sleep(REST_SECONDS)
    found.append(memory_of(child.pid, "restored"))
    async with slates(workers.settings) as reader, load(workers.settings, 500):
        with screen.status("500 events/s for 20 s"):
            await reader.first(after=time.time())
            await asyncio.sleep(20)
    found.append(memory_of(child.pid, "after 20 s of 500 events/s"))
    return found


def memory_of(pid: int, when: str) -> Memory:
    """What a process holds now."""
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )
    resident, anonymous = (int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "RssAnon"))
    return Memory(when, resident, anonymous)


async def _clean_soon(settings: Settings) -> None:
    """Let the broker's cleaner begin at once."""
    (spec,) = (spec for spec in topic_specs(settings) if spec.name == settings.profiles_topic)
    async with admin_client(settings.broker) as admin:
        # This request replaces the whole configuration.
        configs = {**spec.config, **CLEANER}
        resource = ConfigResource(ConfigResourceType.TOPIC, settings.profiles_topic, configs=configs)
        await admin.alter_configs([resource])


def changelog_bytes(node: Broker | None, settings: Settings) -> int | None:
    """The changelog's segments on the broker's disk."""
    if node is None:
        return None
    return disk_bytes((node.data_dir / "data").glob(f"{settings.profiles_topic}-*/*.log"))


async def compacted(node: Broker | None, settings: Settings) -> int | None:
    """The changelog's size when the cleaner has done what it can.

    It leaves the active segment alone, so each partition gets a record that begins a new one.
    """
    if node is None:
        return None
    async with load(settings, 0):
        deadline, smallest, since = time.monotonic() + CLEAN_SECONDS, None, time.monotonic()
        while time.monotonic() < deadline and time.monotonic() - since < STILL_SECONDS:
            now = changelog_bytes(node, settings)
            if smallest is None or (now is not None and now < smallest):
                smallest, since = now, time.monotonic()
            await asyncio.sleep(1.0)
    return smallest


def disk_bytes(files: Iterable[Path]) -> int:
    """Sizes of the regular files among these."""
    return sum(file.stat().st_size for file in files if file.is_file())


def show(report: Report, screen: Console) -> None:
    """A table."""
    table = Table(title="Memory and disk", title_justify="left")
    table.add_column("what")
    table.add_column("size", justify="right")
    for what, value in rows(report):
        table.add_row(what, value)
    screen.print(table)


def rows(report: Report) -> list[tuple[str, str]]:
    """What was measured, for people."""
    disk = report.disk
    found = [
        (f"profile, {each.users:,} {each.who}: {name}", f"{value:,.0f} B")
        for each in report.sizes
        for name, value in (("mean", each.mean), ("median", each.median), ("p99", each.p99))
    ]
    found += [(f"worker, {each.when}", megabytes(each.resident)) for each in report.memory]
    found += [
        (f"RocksDB, {report.profiles:,} profiles of {report.profile_bytes:,.0f} B", megabytes(disk.rocksdb)),
        (f"snapshot of {report.interactions:,} interactions", megabytes(disk.snapshot)),
        (f"changelog, {report.versions} versions of each profile", megabytes(disk.changelog)),
        ("changelog, compacted", megabytes(disk.changelog_compacted)),
    ]
    return found


def megabytes(size: int | None) -> str:
    """A size for people; `-` for one that is not known.

    >>> megabytes(1_500_000)
    '1.5 MB'
    """
    return "-" if size is None else f"{size / 1e6:,.1f} MB"


if __name__ == "__main__":
    main()
