"""What one event costs as the session index grows: the whole step in this process, without a broker.

Sessions are made up in the shape of Diginetica's: 43,097 items, 4.8 interactions a session, skewed starts,
and the next item mostly near the last one. `python -m benchmarks.growth --help`.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from msgspec import Struct

from benchmarks.arguments import Table, deliver, parser, positive, screen
from benchmarks.inputs import LESSONS, SPACING_MS, until_now
from benchmarks.machine import load_average, machine
from benchmarks.stages import Bench, records
from state.event import TYPE_CODES, Event, EventItem
from state.slate import Delta
from stream.config import Settings
from stream.times import now_ms
from stream.worker import warm

ITEMS: Final = 43_097
SESSION_LENGTH: Final = 4.8
NEAR: Final = 12.0
"""How far, in item numbers, the next item of a session lies from the last one; mostly below."""
JUMPS: Final = 0.15
"""Share of steps that go anywhere."""
SESSIONS: Final = (20_000, 200_000, 2_000_000)
"""A tenth of Diginetica, Diginetica, ten times that."""
WARM_UP: Final = 8_000
EVENTS: Final = 20_000
TITLE: Final = "The step in one process, medians, us/event"
HEADER: Final = ("sessions in the index", "interactions", "us/event", "lowest", "highest", "x smallest")


class Size(Struct):
    """One size of the index."""

    sessions: int
    interactions: int
    rounds: list[float]
    """Microseconds per event."""


class Report(Struct):
    """One run."""

    machine: Mapping[str, str]
    load_before: float
    load_after: float
    sizes: list[Size]


def main() -> None:
    options = arguments(sys.argv[1:])
    console = screen(options)
    report = Report(machine(), load_average(), 0.0, [])
    for sessions in options.sessions:
        size = measure(sessions, options.rounds)
        report.sizes.append(size)
        console.print(f"  {sessions:>10,} sessions  {min(size.rounds):7.1f} us/event", highlight=False)
    report.load_after = load_average()
    deliver(report, Table(TITLE, HEADER, lines(report.sizes)), options, console)


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    it = parser("growth", "Cost of an event as the session index grows.")
    it.add_argument(
        "--sessions", nargs="+", type=positive, default=list(SESSIONS), help="sizes (default %(default)s)"
    )
    it.add_argument("--rounds", type=positive, default=3, help="of each size (default %(default)s)")
    return it.parse_args(given)


def measure(sessions: int, rounds: int) -> Size:
    """Teach so many sessions, then time the step on events of others like them."""
    settings = Settings(max_sessions=max(sessions, Settings().max_sessions))
    warm(settings)
    with TemporaryDirectory() as folder:
        bench = Bench(settings, Path(folder))
        interactions = 0
        for delta in lessons(sessions, seed=1):
            bench.models.learn([delta])
            interactions += len(delta.item)
        fed = until_now(list(islice(events(seed=2), WARM_UP + rounds * EVENTS)))
        bench.run(records(fed[:WARM_UP], 0))
        found = []
        for begin in range(WARM_UP, len(fed), EVENTS):
            run = records(fed[begin : begin + EVENTS], begin)
            started = time.perf_counter()
            bench.run(run)
            found.append(1e6 * (time.perf_counter() - started) / EVENTS)
        bench.store.close()
    return Size(sessions, interactions, found)


def session_items(rng: np.random.Generator, sessions: int) -> tuple[Any, Any]:
    """Made-up sessions.

    Returns:
        Session numbers [n] and item numbers [n], one session after the other.
    """
    lengths = 1 + rng.geometric(1.0 / (SESSION_LENGTH - 1.0), sessions)
    session = np.repeat(np.arange(sessions), lengths)
    first = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    anywhere = (ITEMS * rng.random(session.size) ** 2).astype(np.int64)
    step = np.rint(rng.normal(0.0, NEAR, session.size)).astype(np.int64)
    begins = rng.random(session.size) < JUMPS
    begins[first] = True
    # Steps add up since the last item that was drawn from all.
    total = np.cumsum(step)
    last = np.maximum.accumulate(np.where(begins, np.arange(session.size), 0))
    return session, (anywhere[last] + total - total[last]) % ITEMS


def lessons(sessions: int, *, seed: int) -> Iterator[Delta]:
    """What so many sessions teach the models, all in the past."""
    session, item = session_items(np.random.default_rng(seed), sessions)
    end = now_ms()
    view = TYPE_CODES["view"]
    for begin in range(0, session.size, LESSONS):
        items, index = np.unique(item[begin : begin + LESSONS], return_inverse=True)
        times = end - SPACING_MS * (session.size - np.arange(begin, begin + index.size)) // 10
        yield Delta(
            partition=0,
            spans=(),
            events=index.size,
            duplicates=0,
            dead_letters=0,
            slates=0,
            items=tuple([f"i{number}" for number in items.tolist()]),
            item=tuple(index.tolist()),
            session=tuple((1 + session[begin : begin + LESSONS]).tolist()),
            time=tuple(times.tolist()),
            type=(view,) * index.size,
        )


def events(*, seed: int, at_a_time: int = 2_000) -> Iterator[Event]:
    """Views of other shoppers, a session each, so many sessions at a time, for ever."""
    rng = np.random.default_rng(seed)
    number = 0
    for batch in count():
        session, item = session_items(rng, at_a_time)
        # All shoppers take their first step, then those who go on their second.
        place = np.arange(session.size) - np.searchsorted(session, session)
        for at in np.argsort(place, kind="stable").tolist():
            yield Event(
                event_id=f"g{number}",
                type="view",
                user_id=f"g{batch}-{session[at]}",
                time=number * SPACING_MS // 100,
                items=(EventItem(f"i{item[at]}"),),
            )
            number += 1


def lines(sizes: Sequence[Size]) -> list[list[str]]:
    """The table, in the order of `HEADER`."""
    smallest = float(np.median(sizes[0].rounds))
    return [
        [
            f"{size.sessions:,}",
            f"{size.interactions:,}",
            f"{np.median(size.rounds):.1f}",
            f"{min(size.rounds):.1f}",
            f"{max(size.rounds):.1f}",
            f"{np.median(size.rounds) / smallest:.2f}",
        ]
        for size in sizes
    ]


if __name__ == "__main__":
    main()
