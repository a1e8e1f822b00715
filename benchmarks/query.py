"""What one slate costs in process, and one event that the models learn, at the size of Diginetica.

Real sessions where they are at hand, else made-up ones of the same shape; the catalogue is made up in any
case, so that the sources that read it have work to do. `python -m benchmarks.query --help`.
"""

import argparse
import gzip
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

import state.models
from benchmarks.arguments import Table, deliver, parser, positive, screen
from benchmarks.growth import session_items
from benchmarks.inputs import DATA, LESSONS, SESSIONS
from benchmarks.machine import load_average, machine
from benchmarks.stages import Stopwatch
from state.catalogue import CatalogueItem
from state.event import TYPE_CODES
from state.models import Models
from state.policy.base import Policy
from state.retrieval.arrays import DAY_MS
from state.retrieval.blend import Query, retrieve_all
from state.retrieval.config import SOURCE_WEIGHTS, ModelConfig
from state.slate import Delta
from stream.config import Settings
from stream.worker import model_config, policy

WEEKS: Final = 17
MADE_UP_SESSIONS: Final = 200_000
CATEGORIES: Final = 1_000
WORDS: Final = 3_000
TOGETHER: Final = 64
"""Slates per call, as in a cycle under load."""
TITLE: Final = "A slate in process: retrieve, blend, rank and draw; an event learned"
HEADER: Final = ("sources", "p50 us", "p99 us", f"us/slate, {TOGETHER} at once", "candidates")

Rows = Sequence[tuple[int, str]]
"""Session and item, in order."""


class Cost(Struct):
    """One choice of sources."""

    sources: str
    p50: float
    """Microseconds of a slate, each asked for alone, like p99."""
    p99: float
    together: float
    """Microseconds of a slate of many that one call decides."""
    candidates: float
    """Mean candidates of a slate."""


class Update(Struct):
    """Learning."""

    events: int
    rate: float
    """Events per second of the whole `learn`, deltas as they are decoded."""
    kernel_rate: float
    """The same of the compiled fold alone."""


class Report(Struct):
    """One run."""

    machine: Mapping[str, str]
    load_before: float
    load_after: float
    source: str
    items: int
    sessions: int
    update: Update
    costs: list[Cost]


def main() -> None:
    options = arguments(sys.argv[1:])
    console = screen(options)
    load, (source, rows) = load_average(), interactions(DATA)
    models, update = taught(model_config(Settings()), rows)
    stock(models)
    asked = queries(rows, options.queries)
    costs = [measure(name, weighed(models, config), asked) for name, config in choices(models.config)]
    report = Report(machine(), load, load_average(), source, models.n_items, models.n_sessions, update, costs)
    console.print(
        f"{source}; {update.events:,} events learned at {update.rate:,.0f}/s, the fold alone"
        f" {update.kernel_rate:,.0f}/s",
        highlight=False,
    )
    deliver(report, Table(TITLE, HEADER, lines(costs)), options, console)


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    it = parser("query", "Cost of a slate and of an event in process, on one core.")
    it.add_argument("--queries", type=positive, default=5_000, help="of each kind (default %(default)s)")
    return it.parse_args(given)


def interactions(data: Path) -> tuple[str, Rows]:
    """Where they come from, and session and item of each in order of time."""
    folder = data / SESSIONS
    if folder.is_dir():
        return "Diginetica", list(_diginetica(folder))
    session, item = session_items(np.random.default_rng(1), MADE_UP_SESSIONS)
    rows = [(1 + s, f"i{i}") for s, i in zip(session.tolist(), item.tolist(), strict=True)]
    return f"made-up sessions, since there is no {folder}", rows


def _diginetica(folder: Path) -> Iterator[tuple[int, str]]:
    for week in range(WEEKS):
        with gzip.open(folder / f"period_{week}.txt.gz", "rt") as lines:
            for line in lines:
                session, item = line.split()
                yield 1 + int(session), item


def taught(config: ModelConfig, rows: Rows) -> tuple[Models, Update]:
    """Models that learned all of it, and how fast."""
    models, deltas = Models(config), list(lessons(rows))
    models.warm()
    watch = Stopwatch()
    started = time.perf_counter()
    with patch.object(state.models, "fold", watch.timed("fold", state.models.fold)):
        for delta in deltas:
            models.learn([delta])
    passed = time.perf_counter() - started
    return models, Update(len(rows), len(rows) / passed, len(rows) / watch.seconds["fold"])


def lessons(rows: Rows) -> Iterator[Delta]:
    """The interactions as deltas, spread evenly over the weeks."""
    spacing, view = WEEKS * 7 * DAY_MS / len(rows), TYPE_CODES["view"]
    for begin in range(0, len(rows), LESSONS):
        batch = rows[begin : begin + LESSONS]
        place = {item: n for n, item in enumerate(dict.fromkeys(item for _, item in batch))}
        yield Delta(
            partition=0,
            spans=(),
            events=len(batch),
            duplicates=0,
            dead_letters=0,
            slates=0,
            items=tuple(place),
            item=tuple([place[item] for _, item in batch]),
            session=tuple([session for session, _ in batch]),
            time=tuple([int((begin + n) * spacing) for n in range(len(batch))]),
            type=(view,) * len(batch),
        )


def stock(models: Models) -> None:
    """A made-up catalogue of all items."""
    draws = np.random.default_rng(3)
    category = (CATEGORIES * draws.random(models.n_items) ** 2).astype(int).tolist()
    words = (WORDS * draws.random((models.n_items, 5)) ** 2).astype(int).tolist()
    prices = np.exp(draws.normal(3.0, 1.0, models.n_items)).tolist()
    for n, item_id in enumerate(list(models.item_ids)):
        models.upsert_item(
            item_id,
            CatalogueItem(
                item_id=item_id,
                title=" ".join(f"w{word}" for word in words[n]),
                category=f"c{category[n]}",
                brand=f"b{category[n] % 97}",
                price=prices[n],
            ),
        )


def queries(rows: Rows, count: int) -> list[Query]:
    """Sessions of the last week, cut after each of their events in turn."""
    sessions: dict[int, list[str]] = {}
    found: list[Query] = []
    for session, item in islice(rows, len(rows) - len(rows) // WEEKS, None):
        if len(found) == count:
            break
        items = sessions.setdefault(session, [])
        items.append(item)
        found.append(Query(tuple(items), now=WEEKS * 7 * DAY_MS, session_key=session))
    return found


def choices(config: ModelConfig) -> Iterator[tuple[str, ModelConfig]]:
    """The default weights, then each source that is on but the first turned off, then the first alone."""
    yield "all, default weights", config
    for name, field in list(SOURCE_WEIGHTS.items())[1:]:
        if getattr(config, field) > 0:
            yield f"without {name}", replace(config, **{field: 0.0})
    first, *others = SOURCE_WEIGHTS.values()
    yield f"{next(iter(SOURCE_WEIGHTS))} alone", replace(config, **{first: 1.0}, **dict.fromkeys(others, 0.0))


def weighed(models: Models, config: ModelConfig) -> Models:
    """The same models under other weights."""
    return models if config == models.config else Models.restore(models.snapshot(), config)


def measure(sources: str, models: Models, asked: Sequence[Query]) -> Cost:
    """Ask for each slate alone, then for many at once."""
    settings = Settings()
    drawn, slots = policy(settings), settings.slate_size
    seeds = np.arange(len(asked), dtype=np.int64)
    for query in asked[:200]:
        slate(models, drawn, [query], slots, seeds[:1])
    spent = np.empty(len(asked))
    counts = 0
    for n, query in enumerate(asked):
        started = time.perf_counter()
        counts += slate(models, drawn, [query], slots, seeds[n : n + 1])
        spent[n] = time.perf_counter() - started
    started = time.perf_counter()
    for begin in range(0, len(asked), TOGETHER):
        slate(models, drawn, asked[begin : begin + TOGETHER], slots, seeds[begin : begin + TOGETHER])
    together = (time.perf_counter() - started) / len(asked)
    p50, p99 = (float(1e6 * np.quantile(spent, share)) for share in (0.5, 0.99))
    return Cost(sources, p50, p99, 1e6 * together, counts / len(asked))


def slate(models: Models, drawn: Policy, asked: Sequence[Query], slots: int, seeds: Any) -> int:
    """Decide slates; returns how many candidates there were."""
    ranked = retrieve_all(models, asked, asked[0].size)
    drawn.choose_all(ranked.scores, ranked.counts, slots, seeds)
    return int(ranked.counts.sum())


def lines(costs: Sequence[Cost]) -> list[list[str]]:
    """The table, in the order of `HEADER`."""
    return [
        [
            cost.sources,
            f"{cost.p50:.0f}",
            f"{cost.p99:.0f}",
            f"{cost.together:.1f}",
            f"{cost.candidates:.0f}",
        ]
        for cost in costs
    ]


if __name__ == "__main__":
    main()
