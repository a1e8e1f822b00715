"""A comparison of recommenders: its protocol, progress, tables and differences."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from state.evaluation.metrics import COLD, CUTS, METRICS
from state.evaluation.results import ALL, Difference, Result, Results, Row
from stream.screens.counting import CountingScreen
from stream.screens.replay import moment

NOTHING: Final = "-"
MAIN: Final = ("hr@20", "mrr@20")
"""Metrics that stand with their intervals."""


class EvaluationScreen(CountingScreen):
    """Shows how far each configuration is: a bar on a terminal, else a line now and then.

    Args:
        console: to print on.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._task = self._bar.add_task("reading", total=None)

    def show(self, name: str, done: int, total: int) -> None:
        """Move the bar, or print a line now and then."""
        self._bar.update(self._task, description=name, completed=done, total=total)
        self._line(f"{name}: {done:,} of {total:,} queries")


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
    if stated["baskets"] == "lines":
        lines.append("an event of several items counts as one event for each, in the order of its lines")
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
    """A column a configuration: names of metrics are short, those of configurations are not."""
    table = _table("", *results)
    rows = [result.rows[ALL] for result in results.values()]
    for name in METRICS:
        for cut in CUTS:
            table.add_row(f"{name}@{cut}", *(with_interval(row, f"{name}@{cut}") for row in rows))
    for name in (f"{kind}@{cut}" for kind in ("coverage", "popularity") for cut in CUTS):
        table.add_row(name, *(f"{result.spread[name]:.4f}" for result in results.values()))
    table.add_row("predictions", *(f"{row.predictions:,}" for row in rows))
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
    table = _table(f"{first} minus", *results.differences)
    for name in (f"{name}@20" for name in METRICS):
        table.add_row(name, *(_difference(metrics[name]) for metrics in results.differences.values()))
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
