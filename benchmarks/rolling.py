"""A rolling restart from REAL older code to today's and back, under load: what is lost, repeated, different.

Older commits are checked out beside this tree and run with the same interpreter. What the audit (today's)
then finds different is shown to the old version. What it does not see is in fields that it
does not know, as docs/upgrade.md announces; what it sees as well is for a person to look at.
`python -m benchmarks.rolling --help`.
"""

import argparse
import asyncio
import sys
import time
import uuid
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from msgspec import Struct, field
from rich.console import Console

from benchmarks.arguments import Table, deliver, measured, parser, positive, screen
from benchmarks.fleet import broker
from benchmarks.machine import machine
from benchmarks.old_code import Code, checked_out, today
from benchmarks.rolling_crew import Crew
from stream.audit import Differences, audit
from stream.audit import Report as Audit
from stream.beside import beside
from stream.child import ChildEnded
from stream.cluster import cluster_problems
from stream.codecs import decode_delta
from stream.config import Settings
from stream.connection import arguments as arguments_of
from stream.connection import connection
from stream.drill.load import Load
from stream.heartbeat import heartbeat, heartbeat_key
from stream.reading import read_topic
from stream.times import now_ms

CATCH_UP_SECONDS: Final = 120.0
HEADER: Final = (
    "old",
    "way",
    "both serve, s",
    "records",
    "lost",
    "duplicates",
    "profiles",
    "differ",
    "seen by old",
    "rewards",
    "differ",
    "seen by old",
    "exit codes",
)


class Way(Struct):
    """Workers of one version replaced by those of another; the audit is of all records up to its end."""

    name: str
    """`forward`: the old version's by today's. `back`: the reverse."""
    exit_codes: list[int] = []
    """Of the workers that were told to end, in that order."""
    beside_seconds: float = 0.0
    """How long both versions had partitions."""
    refused: str = ""
    """The last words of a worker that ended by itself."""
    audit: Audit | None = None
    seen_by_old: dict[str, dict[str, int]] = {}
    """Of `profiles` and `rewards` that differ: in which fields the old version sees it; `""`: in none."""
    trouble: dict[str, dict[str, int]] = {}
    """Warnings and errors in logs, by version; digits are `#`."""


class Roll(Struct):
    """One older commit."""

    commit: str
    date: str
    withheld: list[str]
    """Settings of this run that the old version does not know."""
    topics_check: list[str]
    """What today's `freshslate topics check` said of the topics as the old version made them."""
    topics_created: list[str]
    """What today's `freshslate topics create` then added."""
    ways: list[Way] = field(default_factory=list)


class Report(Struct):
    """One run."""

    machine: dict[str, str]
    rate: float
    workers: int
    canary_seconds: float
    rolls: list[Roll]


def main() -> None:
    options = arguments(sys.argv[1:])
    console = screen(options)
    report = measured(run(options, console))
    lines = [line(roll, way) for roll in report.rolls for way in roll.ways]
    deliver(report, Table("rolling restarts", HEADER, lines), options, console)
    for roll in report.rolls:
        for text in remarks(roll):
            console.print(text, highlight=False, markup=False)


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    made = parser(
        "rolling", "Older commits of this repository beside today's code: a roll forward, and back."
    )
    made.epilog = (
        "Example: python -m benchmarks.rolling --old f7e5190 --old ff8d34b --rate 150. "
        "A FRESHSLATE_* variable that an old version does not know stops its workers: unset it."
    )
    made.add_argument(
        "--old", action="append", required=True, metavar="COMMIT", help="may be given repeatedly"
    )
    made.add_argument("--workers", type=positive, default=2, help="of each version (default %(default)s)")
    made.add_argument("--partitions", type=positive, default=6, help="of the inputs (default %(default)s)")
    made.add_argument("--rate", type=positive, default=150, help="events a second (default %(default)s)")
    made.add_argument(
        "--seconds", type=positive, default=5, help="of load between two restarts (default %(default)s)"
    )
    made.add_argument(
        "--canary", type=float, default=1.0, help="seconds between heartbeats; 0: none (default %(default)s)"
    )
    made.add_argument(
        "--stray",
        type=float,
        default=0.0,
        help="seconds between heartbeats that are sent to old workers too, which in earnest get only those "
        "that a worker of today left unanswered; 0: none (default %(default)s)",
    )
    return made.parse_args(given)


async def run(options: argparse.Namespace, console: Console) -> Report:
    """Roll over each commit, on one broker."""
    report = Report(machine(), options.rate, options.workers, options.canary, [])
    with TemporaryDirectory(prefix="freshslate-rolling-") as scratch, broker() as (address, _):
        for number, commit in enumerate(options.old):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            with checked_out(commit, folder) as old:
                console.print(f"{old.name} of {old.date}", highlight=False)
                report.rolls.append(await roll(old, wanted(address, folder, options), folder, options))
    return report


def wanted(address: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Settings of this run, by name; a version gets those that it knows."""
    name = f"rolling-{uuid.uuid4().hex[:8]}"
    return {
        "broker": address,
        "topic_prefix": f"{name}.",
        "app_id": name,
        "data_dir": folder / "data",
        "partitions": options.partitions,
        "session_timeout_seconds": 6.0,
        "worker_port": 0,
        "canary_seconds": options.canary,
    }


async def roll(old: Code, settings: Mapping[str, Any], folder: Path, options: argparse.Namespace) -> Roll:
    """One older commit: topics as it makes them, forward, and back."""
    new = today()
    ours = new.settings(settings)
    await asyncio.to_thread(old.create_topics, old.settings(settings))
    problems = [problem.text for problem in await cluster_problems(ours)]
    created = await asyncio.to_thread(new.create_topics, ours)
    done = Roll(old.name, old.date, sorted(settings.keys() - old.knows), problems, created)
    crew = Crew(settings, folder, options.workers)
    try:
        async with Load(ours, rate=options.rate, seed=1) as load:
            for place in crew.places:
                place.start(old)
            await crew.opened()
            for name, code in (("forward", new), ("back", old)):
                async with beside(stray_heartbeats(ours, options.stray)):
                    way = await replaced(crew, load, Way(name), code, options.seconds)
                done.ways.append(way)
                if not way.refused:
                    await judge(way, ours, old, load)
                way.trouble = crew.trouble()
                if way.refused:
                    break
    finally:
        crew.stop()
    return done


async def replaced(crew: Crew, load: Load, way: Way, code: Code, seconds: float) -> Way:
    """Replace every worker by one of `code`, one by one, under load."""
    async with beside(load.run()):
        try:
            await asyncio.sleep(seconds)
            began = time.monotonic()
            for number, place in enumerate(crew.places):
                way.exit_codes.append(await place.end())
                if number and number == len(crew.places) - 1:
                    way.beside_seconds = time.monotonic() - began
                place.start(code)
                await crew.opened()
                began = began if number else time.monotonic()
                await asyncio.sleep(seconds)
            crew.check()
        except ChildEnded as ended:
            way.refused = str(ended)
    await load.finish()
    return way


async def stray_heartbeats(settings: Settings, seconds: float) -> None:
    """Send heartbeats for every partition for ever, whichever version has it; none where `seconds` is 0."""
    if not seconds:
        return
    async with AIOKafkaProducer(**arguments_of(connection(settings))) as producer:
        while True:
            for n in range(settings.partitions):
                beat = heartbeat(n, now_ms())
                await producer.send(settings.input_topics[0], beat, key=heartbeat_key(n), partition=n)
            await asyncio.sleep(seconds)


async def judge(way: Way, settings: Settings, old: Code, load: Load) -> None:
    """Wait until everything sent is answered, and audit."""
    await caught_up(settings, load.ends)
    found = Differences()
    way.audit = await audit(settings, differences=found)
    way.seen_by_old = await asyncio.to_thread(old.sees, found)


async def caught_up(settings: Settings, ends: Mapping[int, int]) -> None:
    """Wait until the deltas cover every record sent; the audit says what is missing after that."""
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while time.monotonic() < deadline:
        covered: Counter[int] = Counter()
        async for record in read_topic(connection(settings), settings.deltas_topic):
            for span in decode_delta(record.value or b"").spans:
                covered[record.partition] = max(covered[record.partition], span.last_offset + 1)
        if all(covered[partition] >= end for partition, end in ends.items()):
            return
        await asyncio.sleep(1.0)


def seen(counts: Mapping[str, int]) -> int:
    """How many differences the old version sees as well."""
    return sum(count for fields, count in counts.items() if fields)


def line(done: Roll, way: Way) -> list[str]:
    """One row of the table; what was not audited is `-`."""
    codes = " ".join(map(str, way.exit_codes))
    both = f"{way.beside_seconds:.0f}"
    if way.audit is None:
        return [done.commit, way.name, both, *["-"] * (len(HEADER) - 4), f"{codes} refused".strip()]
    it = way.audit
    profiles, rewards = (seen(way.seen_by_old.get(what, {})) for what in ("profiles", "rewards"))
    numbers = [it.records, it.lost, it.duplicates, it.profiles_compared, it.profiles_different, profiles]
    numbers += [it.rewards, it.rewards_different, rewards]
    return [f"{done.commit} {done.date[:10]}", way.name, both, *map(str, numbers), codes]


def remarks(done: Roll) -> list[str]:
    """What the table has no room for."""
    said = [f"{done.commit}: {what}: {', '.join(names)}" for what, names in _lists(done) if names]
    for way in done.ways:
        about = f"{done.commit} {way.name}"
        for what, counts in way.seen_by_old.items():
            said += [
                f"{about}: {n} {what} differ to it in {fields}" for fields, n in counts.items() if fields
            ]
        said += [f"{done.commit} {way.name}: refused: {way.refused}"] if way.refused else []
    last: Mapping[str, Mapping[str, int]] = done.ways[-1].trouble if done.ways else {}
    for side, lines in last.items():
        said += [f"{done.commit}: {side} logged {n} times: {text[:300]}" for text, n in lines.items()]
    return said


def _lists(done: Roll) -> Sequence[tuple[str, Collection[str]]]:
    return (
        ("settings kept from the old version", done.withheld),
        ("topics check said", done.topics_check),
        ("topics create added", done.topics_created),
    )


if __name__ == "__main__":
    main()
