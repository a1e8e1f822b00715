"""A comparison of recommenders: its protocol, progress, tables and differences."""

import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from state.evaluation.metrics import COLD, CUTS, METRICS
from state.evaluation.results import ALL, Difference, Result, Results, Row
from stream.screens.replay import LINE_SECONDS, moment

NOTHING: Final = "-"
MAIN: Final = ("hr@20", "mrr@20")
"""Metrics that stand with their intervals."""


class EvaluationScreen:
    """Shows how far each configuration is: a bar on a terminal, else a line now and then.

    Args:
        console: to print on.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("reading", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, name: str, done: int, total: int) -> None:
        """Move the bar, or print a line now and then."""
        self._bar.update(self._task, description=name, completed=done, total=total)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._told >= LINE_SECONDS:
            self._told = now
            self._console.print(f"{name}: {done:,} of {total:,} queries", highlight=False)


def print_statement(console: Console, stated: Mapping[str, Any]) -> None:
    """Print the protocol."""
    lines = [
        f"protocol {stated['protocol']}: {stated['means']}",
        f"training: {stated['train_interactions']:,} interactions of {stated['train_sessions']:,} sessions "
        f"with {stated['train_items']:,} items; {stated['learned_before_first_query']:,} of them learned "
        "before the first query",
        f"test: {stated['split']}, {moment(stated['test_begin'])} to {moment(stated['test_end'])} UTC; "
        f"{stated['predictions']:,} predictions for {stated['test_users']:,} users",
        f"asked for: the next event's {'categories' if stated['target'] == 'category' else 'items'}, "
        f"{stated['test_items']}; ranked over {stated['ranked_over']}",
        f"intervals: {stated['intervals']}; seed {stated['seed']}",
    ]
    if stated["late_days"]:
        lines.insert(1, f"the models are {stated['late_days']} days late")
    if stated["note"]:
        lines.append(f"note: {stated['note']}")
    for line in lines:
        console.print(Text(line))
    console.print()


def print_results(console: Console, results: Results) -> None:
    """Print metrics, rows and differences."""
    console.print(_metrics_table(results.configurations), highlight=False)
    console.print()
    console.print(_cuts_table(results.configurations), highlight=False)
    console.print()
    console.print(_rows_table(results.configurations), highlight=False)
    if results.differences:
        console.print()
        console.print(_differences_table(results), highlight=False)
        for line in verdicts(results):
            console.print(Text(line))


def with_interval(row: Row, name: str) -> str:
    """A metric with half its interval, such as `0.5342 ±0.0048`."""
    bounds = row.ci95.get(name)
    return f"{row.values[name]:.4f}" + (f" ±{(bounds[1] - bounds[0]) / 2:.4f}" if bounds else "")


def verdicts(results: Results) -> Iterator[str]:
    """What each difference says, in words."""
    first = next(iter(results.configurations))
    for other, metrics in results.differences.items():
        for name in MAIN:
            yield f"{first} and {other}, {name}: {_meaning(metrics[name], first, other)}"


def _meaning(found: Difference, first: str, other: str) -> str:
    if found.ci95 is None:
        return "too few users to tell"
    if found.ci95[0] > 0:
        return f"{first} is better"
    return f"{other} is better" if found.ci95[1] < 0 else "no difference is shown"


def _table(*names: str) -> Table:
    table = Table(*names, box=None, header_style="bold")
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _metrics_table(results: Mapping[str, Result]) -> Table:
    others = [f"{name}@20" for name in METRICS if f"{name}@20" not in MAIN]
    table = _table("at 20", *MAIN, *others, "coverage@20", "popularity@20", "predictions")
    for name, result in results.items():
        row = result.rows[ALL]
        table.add_row(
            name,
            *(with_interval(row, metric) for metric in MAIN),
            *(f"{row.values[metric]:.4f}" for metric in others),
            f"{result.spread['coverage@20']:.4f}",
            f"{result.spread['popularity@20']:.4f}",
            f"{row.predictions:,}",
        )
    return table


def _cuts_table(results: Mapping[str, Result]) -> Table:
    names = [f"{name}@{cut}" for cut in CUTS[:-1] for name in METRICS]
    table = _table("shorter lists", *names)
    for name, result in results.items():
        table.add_row(name, *(f"{result.rows[ALL].values[metric]:.4f}" for metric in names))
    return table


def _rows_table(results: Mapping[str, Result]) -> Table:
    table = _table("targets", "configuration", *MAIN, "recall@20", "predictions")
    table.columns[1].justify = "left"
    kinds = dict.fromkeys(kind for result in results.values() for kind in result.rows if kind != ALL)
    for kind in kinds:
        told = f"{kind}: fewer than {COLD} interactions" if kind == "cold" else kind
        for name, result in results.items():
            row = result.rows[kind]
            shown = [with_interval(row, metric) for metric in MAIN]
            table.add_row(told, name, *shown, f"{row.values['recall@20']:.4f}", f"{row.predictions:,}")
            told = ""
    return table


def _differences_table(results: Results) -> Table:
    first = next(iter(results.configurations))
    names = [f"{name}@20" for name in METRICS]
    table = _table(f"{first} minus", *names)
    for other, metrics in results.differences.items():
        table.add_row(other, *(_difference(metrics[name]) for name in names))
    return table


def _difference(found: Difference) -> Text:
    if found.ci95 is None:
        return Text(f"{found.value:+.4f}")
    low, high = found.ci95
    style = "green" if low > 0 else "red" if high < 0 else "yellow"
    return Text(f"{found.value:+.4f} ({low:+.4f} to {high:+.4f})", style)


def print_freshness(console: Console, lines: Sequence[tuple[str, Row, Row]]) -> None:
    """Print what being late costs: a name, known items only, new items included."""
    new = [f"{name}, new items too" for name in MAIN]
    table = _table("models are", *MAIN, *new, "predictions", "with new")
    for name, known, everything in lines:
        table.add_row(
            name,
            *(with_interval(row, metric) for row in (known, everything) for metric in MAIN),
            f"{known.predictions:,}",
            f"{everything.predictions:,}",
        )
    console.print(table, highlight=False)
