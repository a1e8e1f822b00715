"""Which alert fires when: minutes without a fault, in which none may, then one fault after the other.

A real Prometheus with the rules of `deploy/prometheus/rules.yml`, a broker, workers, the monitor and a
simulated shop. Each fault is held until its alert fires, and what fires is recorded; at the end the
dashboards are drawn from the same Prometheus. `python -m benchmarks.alarms --help`.
"""

import argparse
import asyncio
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from msgspec import Struct
from rich.console import Console

from benchmarks.alarm_stage import ACTS, CYCLE_SECONDS, EVENTS_OF_A_CYCLE, Act, Change, Stage
from benchmarks.arguments import RESULTS, Table, deliver, measured, parser, positive, screen
from benchmarks.machine import load_average, machine
from deploy.grafana.render import Span, asking, render
from deploy.prometheus.server import RULES, Prometheus, faster
from stream.beside import beside
from stream.broker import Broker
from stream.config import Settings
from stream.java import KAFKA_VERSION
from stream.topics import create_topics, topic_specs

SCRAPE_SECONDS: Final = 1.0
WARM_UP_SECONDS: Final = 30.0
"""Before the healthy time: the shop opens, the models learn their first items."""
HEADER: Final = ("fault", "expected alert", "fired after, s", "cleared after, s", "what else fired")


class Played(Struct):
    """One fault and what came of it."""

    fault: str
    about: str
    expected: tuple[str, ...]
    began: float
    """Seconds since the run began."""
    fired: str
    """The alert that came first of those expected; empty: none."""
    seconds_to_fire: float | None
    """None: not within the limit."""
    seconds_to_clear: float | None
    """After the fault's end, until that alert ceases; None: not within the limit."""
    seconds_to_quiet: float | None
    """From then on, until no alert fires; None: not within the limit."""
    others: list[str]
    """Alerts that fired besides, from the fault's beginning until all was clear."""


class Report(Struct):
    """One run."""

    machine: dict[str, str]
    load_average: float
    speed: float
    scrape_seconds: float
    rate: float
    workers: int
    healthy_seconds: float
    healthy_alerts: list[str]
    """That fired before the first fault."""
    faults: list[Played]
    changes: list[Change]
    ended: list[str]
    """Who ended by themselves, and with which words."""
    without_data: dict[str, list[str]]
    """Panels without any data, by dashboard."""


def main() -> None:
    options = arguments(sys.argv[1:])
    console = screen(options)
    report = measured(run(options, console))
    deliver(
        report, Table(title(report), HEADER, [line(played) for played in report.faults]), options, console
    )
    quiet = ", ".join(report.healthy_alerts) or "none"
    console.print(f"alerts in the {report.healthy_seconds:.0f} s before the first fault: {quiet}")
    console.print(f"dashboards: {options.pictures}")
    for name, titles in report.without_data.items():
        console.print(f"panels of {name} without data: {', '.join(titles) or 'none'}")
    for words in report.ended:
        console.print(f"ended by itself: {words}", highlight=False)
    missed = [played.fault for played in report.faults if not played.fired]
    if report.healthy_alerts or missed:
        sys.exit("not as it should be: " + (f"nothing fired for {', '.join(missed)}" if missed else quiet))


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    made = parser("alarms", "Which alerts fire, and after how long: healthy minutes, then faults.")
    made.add_argument("--healthy", type=float, default=300.0, metavar="SECONDS", help="without fault (300)")
    made.add_argument("--limit", type=float, default=900.0, metavar="SECONDS", help="of each wait (900)")
    made.add_argument(
        "--speed",
        type=float,
        default=1.0,
        help="divides every window, `for` and interval of the rules; numbers they compare with stay (1)",
    )
    made.add_argument("--rate", type=float, default=100.0, help="events/s of the shop (100)")
    made.add_argument("--workers", type=positive, default=2)
    made.add_argument("--faults", nargs="+", choices=list(ACTS), default=list(ACTS), metavar="FAULT")
    made.add_argument("--pictures", type=Path, default=RESULTS / "alarms", metavar="FOLDER", help="for PNGs")
    return made.parse_args(given)


async def run(options: argparse.Namespace, console: Console) -> Report:
    """Start everything, wait, hurt, draw."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="freshslate-alarms-")))
        rules = folder / "rules.yml"
        rules.write_text(faster(RULES.read_text(), options.speed))
        broker = stack.enter_context(Broker.start())
        evaluated = max(0.5, 5 / options.speed)
        prometheus = stack.enter_context(
            Prometheus(
                folder / "prometheus",
                rules=rules,
                scrape_seconds=SCRAPE_SECONDS,
                evaluation_seconds=evaluated,
            )
        )
        settings = stage_settings(broker.address, folder)
        await create_topics(settings.broker, topic_specs(settings))
        stage = Stage(settings, broker, prometheus, folder, workers=options.workers, rate=options.rate)
        stack.callback(stage.stop)
        started = time.time()
        async with beside(stage.watch()):
            with console.status("workers start"):
                await stage.opened()
                await asyncio.sleep(WARM_UP_SECONDS)
            report = await play(stage, options, console)
        span = Span(started, time.time())
        window = f"{round(max(4 * SCRAPE_SECONDS, 60 / options.speed))}s"
        report.without_data = await asyncio.to_thread(
            render, span, asking(prometheus.url), options.pictures, window=window
        )
        return report


def stage_settings(address: str, folder: Path) -> Settings:
    """Of workers and monitor: as they come, but for what makes waits short and a load beyond them small."""
    name = f"alarms-{uuid.uuid4().hex[:8]}"
    return Settings(
        broker=address,
        topic_prefix=f"{name}.",
        app_id=name,
        data_dir=folder / "data",
        worker_port=0,
        monitor_port=0,
        monitor_wait_seconds=30,
        random_share=0.2,
        chunk_records=EVENTS_OF_A_CYCLE,
        cycle_max_events=EVENTS_OF_A_CYCLE,
        cycle_min_seconds=CYCLE_SECONDS,
    )


async def play(stage: Stage, options: argparse.Namespace, console: Console) -> Report:
    """Nothing for a while, then the faults."""
    healthy, seen = set(stage.firing), len(stage.changes)
    with console.status(f"{options.healthy:.0f} s without a fault"):
        await asyncio.sleep(options.healthy)
    healthy |= {change.alert for change in stage.changes[seen:]}
    console.print(f"healthy: {', '.join(sorted(healthy)) or 'no alert'}", highlight=False)
    played = []
    for name in options.faults:
        with console.status(f"{name}: {ACTS[name].about}"):
            played.append(await hurt(stage, name, ACTS[name], options.limit))
        console.print(" | ".join(line(played[-1])), highlight=False)
    return Report(
        machine={**machine(), "kafka": KAFKA_VERSION},
        load_average=load_average(),
        speed=options.speed,
        scrape_seconds=SCRAPE_SECONDS,
        rate=options.rate,
        workers=options.workers,
        healthy_seconds=options.healthy,
        healthy_alerts=sorted(healthy),
        faults=played,
        changes=stage.changes,
        ended=stage.ended,
        without_data={},
    )


async def hurt(stage: Stage, name: str, act: Act, limit: float) -> Played:
    """Hold a fault until its alert fires, end it, and wait until nothing fires any more."""
    began, seen = stage.seconds, len(stage.changes)

    def fired() -> list[str]:
        return [change.alert for change in stage.changes[seen:] if change.fires]

    async with act.fault(stage):
        seconds = await stage.until(lambda: bool(set(fired()) & set(act.expected)), limit)
    first = next((alert for alert in fired() if alert in act.expected), "")
    cleared = await stage.until(lambda: not set(act.expected) & stage.firing, limit)
    quiet = await stage.until(lambda: not stage.firing, limit)
    others = sorted(set(fired()) - {first})
    return Played(name, act.about, act.expected, began, first, seconds, cleared, quiet, others)


def title(report: Report) -> str:
    """Of the table."""
    faster_by = f"; all durations of the rules divided by {report.speed:g}" if report.speed != 1 else ""
    return (
        f"Alerts of {report.workers} workers at {report.rate:g} events/s, "
        f"scraped every {report.scrape_seconds:g} s{faster_by}"
    )


def line(played: Played) -> list[str]:
    """A row of the table."""

    def seconds(value: float | None) -> str:
        return "never" if value is None else f"{value:.0f}"

    return [
        f"{played.fault} ({played.about})",
        played.fired or " or ".join(played.expected),
        seconds(played.seconds_to_fire),
        seconds(played.seconds_to_clear),
        ", ".join(played.others) or "nothing",
    ]


if __name__ == "__main__":
    main()
