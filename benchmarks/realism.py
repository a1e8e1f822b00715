"""The simulated shop beside real logs, statistic by statistic.

`python -m benchmarks.realism --help`; what the numbers mean: docs/evaluation.md.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from math import sqrt
from operator import attrgetter
from pathlib import Path
from string import ascii_lowercase
from typing import Final, NamedTuple

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.inputs import DATA
from benchmarks.report import MISSING, markdown
from benchmarks.streams import REAL, Absent, Column, open_bandit
from state.evaluation.traffic import Traffic

NOTHING: Final = "nothing of the kind in it"
WIDTH: Final = 180
"""Columns where the output is no terminal."""
POSITIONS: Final = 10
"""Positions of the click-through table."""
Z95: Final = 1.959964

Get = Callable[[Traffic], float | None]
Show = Callable[[float], str]


def percent(value: float) -> str:
    """A share, three digits."""
    return f"{100 * value:.3g} %"


def count(value: float) -> str:
    return f"{value:,.0f}"


def figure(value: float) -> str:
    """Three digits, whole above a hundred."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def seconds(value: float) -> str:
    return f"{value:.3g} s" if value < 1000 else f"{value:,.0f} s"


class Row(NamedTuple):
    """One statistic."""

    group: str
    label: str
    get: Get
    show: Show


def at(path: str) -> Get:
    """The value at an attribute path of `Traffic`; None of a distribution of nothing."""
    parent, _, name = path.rpartition(".")
    get = attrgetter(parent) if parent else (lambda given: given)

    def value(given: Traffic) -> float | None:
        owner = get(given)
        empty = name != "n" and getattr(owner, "n", 1) == 0
        return None if empty else getattr(owner, name)

    return value


ROWS: Final = (
    Row("size", "events", at("events"), count),
    Row("span", "days", lambda given: given.seconds / 86_400, figure),
    Row("size", "different users", at("users.n"), count),
    Row("size", "different items", at("items.n"), count),
    Row("sessions", "sessions", at("sessions.length.n"), count),
    Row("sessions per user", "sessions per user, median", at("sessions.per_user.median"), figure),
    Row("sessions per user", "... p90", at("sessions.per_user.p90"), figure),
    Row("sessions", "interactions per session, mean", at("sessions.length.mean"), figure),
    Row("sessions", "... median", at("sessions.length.median"), figure),
    Row("sessions", "... p90", at("sessions.length.p90"), figure),
    Row("sessions", "... p99", at("sessions.length.p99"), figure),
    Row("single", "sessions of one interaction", at("sessions.one_event"), percent),
    Row("times", "duration of the others, median", at("sessions.duration.median"), seconds),
    Row("times", "between interactions, median", at("sessions.gap.median"), seconds),
    Row("times", "... p90", at("sessions.gap.p90"), seconds),
    Row("sessions", "different items per session, mean", at("sessions.items.mean"), figure),
    Row("repeats", "item seen before in the session", at("repeats.in_session"), percent),
    Row("repeats", "next step: item seen before", at("repeats.next_seen"), percent),
    Row("repeats", "next step: the same item", at("repeats.next_same"), percent),
    Row("returns", "item known from an earlier session", at("repeats.across_sessions"), percent),
    Row("categories", "next item of the same category", at("repeats.same_category"), percent),
    Row("categories", "categories per session, mean", at("sessions.categories.mean"), figure),
    Row("items", "interactions on the top 1 % of items", at("items.top_1"), percent),
    Row("items", "... top 10 %", at("items.top_10"), percent),
    Row("items", "... Gini", at("items.gini"), figure),
    Row("categories", "... on the top 10 % of categories", at("categories.top_10"), percent),
    Row("users", "... of the top 10 % of users", at("users.top_10"), percent),
    Row("funnel", "carts per view or click", at("funnel.carts_per_step"), percent),
    Row("funnel", "items bought per view or click", at("funnel.bought_per_step"), percent),
    Row("orders", "purchases per session", at("funnel.purchases_per_session"), percent),
    Row("orders", "sessions with a purchase", at("funnel.conversion"), percent),
    Row("baskets", "items per purchase", at("funnel.items_per_purchase"), figure),
    Row("value", "value of a purchase, mean", at("funnel.value"), figure),
    Row("value per session", "value per session, mean", at("funnel.value_per_session"), figure),
    Row("day", "busiest hour by mean hour", at("rhythm.hourly_peak"), figure),
    Row("rhythm", "interactions per minute, variance by mean", at("rhythm.fano"), figure),
    Row("rhythm", "rate, coefficient of variation", at("rhythm.rate_cv"), figure),
    Row("slates", "slates seen", at("slates.shown"), count),
    Row("slates", "slates clicked", at("slates.clicked"), percent),
    Row("slates", "views and clicks that a slate brought", at("slates.step_share"), percent),
)


def table_of(columns: Sequence[Column]) -> tuple[list[list[str]], list[str]]:
    """The lines of the table, and the reasons for its empty cells in the order of their letters."""
    reasons: list[str] = []

    def cell(row: Row, column: Column) -> str:
        value, why = row.get(column.traffic), column.lacks.get(row.group)
        if why is None and value is not None:
            return row.show(value)
        why = why or NOTHING
        if why not in reasons:
            reasons.append(why)
        return f"{MISSING} {ascii_lowercase[reasons.index(why)]}"

    lines = [[row.label, *(cell(row, column) for column in columns)] for row in ROWS]
    return lines, reasons


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    centre = (successes + Z95**2 / 2) / (trials + Z95**2)
    spread = successes * (trials - successes) / trials + Z95**2 / 4
    half = Z95 * sqrt(spread) / (trials + Z95**2)
    return max(0.0, centre - half), min(1.0, centre + half)


def click_lines(columns: Sequence[Column]) -> list[list[str]]:
    """Click-through by position with its interval, one line per position."""

    def cell(column: Column, place: int) -> str:
        slates = column.traffic.slates
        shown = slates.impressions_at[place] if place < len(slates.impressions_at) else 0
        if not shown:
            return MISSING
        low, high = wilson(slates.clicks_at[place], shown)
        share = slates.clicks_at[place] / shown
        return f"{percent(share)} ({100 * low:.2g} - {100 * high:.2g})"

    last = min(POSITIONS, max((len(each.traffic.slates.impressions_at) for each in columns), default=0))
    return [[f"position {n + 1}", *(cell(column, n) for column in columns)] for n in range(last)]


class Report(NamedTuple):
    """Everything measured."""

    columns: Sequence[Column]
    """Shops first, then real logs."""
    bandits: Sequence[Column]
    absent: Sequence[Absent]


def tables(report: Report) -> list[tuple[str, list[str], list[list[str]]]]:
    """Title, header and lines of each table."""
    lines, _ = table_of(report.columns)
    shown = [column for column in report.columns if column.traffic.slates.shown] + list(report.bandits)
    return [
        ("Traffic", ["", *(column.name for column in report.columns)], lines),
        (
            "Clicks per impression by position, with 95 % intervals",
            ["", *(column.name for column in shown)],
            click_lines(shown),
        ),
    ]


def notes(report: Report) -> list[str]:
    """What the streams are, why cells are empty, and what is not shown at all."""
    _, reasons = table_of(report.columns)
    return [
        *(f"{column.name}: {column.source}" for column in (*report.columns, *report.bandits)),
        *(f"{letter}: {why}" for letter, why in zip(ascii_lowercase, reasons, strict=False)),
        *(f"NOT SHOWN: {each.name}, since there is no {each.path}" for each in report.absent),
    ]


def show(report: Report, console: Console) -> None:
    """Print the tables and the notes."""
    for title, header, lines in tables(report):
        table = Table(title=title, box=None, title_justify="left", header_style="bold")
        for n, name in enumerate(header):
            table.add_column(name, justify="left" if n == 0 else "right", overflow="fold")
        for line in lines:
            table.add_row(*line)
        console.print(table)
    for note in notes(report):
        console.print(note, highlight=False, style="bold red" if note.startswith("NOT SHOWN") else None)


def as_markdown(report: Report) -> str:
    """Tables and notes as Markdown."""
    parts = [markdown(header, lines) for _, header, lines in tables(report)]
    return "\n\n".join([*parts, "\n".join(f"- {note}" for note in notes(report))])


def as_json(report: Report) -> bytes:
    """All statistics of all streams."""
    everything = {
        column.name: {
            "source": column.source,
            "lacks": column.lacks,
            "traffic": msgspec.to_builtins(column.traffic),
        }
        for column in (*report.columns, *report.bandits)
    }
    absent = [str(each.path) for each in report.absent]
    return msgspec.json.format(msgspec.json.encode({"streams": everything, "absent": absent}), indent=2)


def measured(shops: Iterable[Column], data: Path) -> Report:
    """The shops' columns, and those of every real log that is at hand."""
    real = [source(data) for source in REAL]
    bandits = list(open_bandit(data))
    return Report(
        [*shops, *(each for each in real if isinstance(each, Column))],
        [each for each in bandits if isinstance(each, Column)],
        [each for each in (*real, *bandits) if isinstance(each, Absent)],
    )


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.realism",
        description="The simulated shop beside real logs; three to four minutes, mostly of the shop.",
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real logs")
    parser.add_argument("--seed", type=int, default=1, help="of the simulated shop (default %(default)s)")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    parser.add_argument("--markdown", action="store_true", help="print the tables of docs/evaluation.md")
    parser.add_argument("--no-shop", action="store_true", help="the real logs alone")
    return parser.parse_args(given)


def main() -> None:
    options = arguments(sys.argv[1:])
    console = Console(stderr=options.markdown)
    if not console.is_terminal:
        console.width = WIDTH
    shops: list[Column] = []
    if not options.no_shop:
        from benchmarks.shops import columns  # noqa: PLC0415

        shops = columns(options.seed)
    report = measured(shops, options.data)
    show(report, console)
    if options.markdown:
        print(as_markdown(report))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_bytes(as_json(report))
        console.print(f"all numbers: {options.json}")


if __name__ == "__main__":
    main()
