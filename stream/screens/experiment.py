"""The learned policy against the control group: a table, and what it means in words."""

from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from state.evaluation.confidence import MIN_SUCCESSES, MIN_USERS, Comparison
from state.evaluation.experiment import ExperimentResult
from stream.screens.replay import moment

NOTHING: Final = "-"


def print_comparison(console: Console, result: ExperimentResult) -> None:
    """Print the three metrics of both groups, each lift with its interval, and what to know about them."""
    users = f"{result.learned_users:,} users of learned slates, {result.random_users:,} of random slates"
    console.print(f"{users}{_window(result)}\n", highlight=False)
    table = Table("metric", "learned", "random", "lift", "95 % interval", box=None, header_style="bold")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, comparison, unit in _metrics(result):
        table.add_row(
            name,
            shown(comparison.learned, comparison.learned_ci95, unit),
            shown(comparison.random, comparison.random_ci95, unit),
            NOTHING if comparison.lift is None else change(comparison.lift),
            _interval(comparison),
        )
    console.print(table, highlight=False)
    console.print()
    for name, comparison, _ in _metrics(result):
        console.print(Text(f"{name}: {meaning(comparison)}."))
    for note in notes(result):
        console.print(Text(f"note: {note}", "yellow"))


def meaning(comparison: Comparison) -> str:
    """What an interval says, in words."""
    if comparison.lift_ci95 is None:
        return f"too little to tell; each group needs {MIN_USERS} users, and {MIN_SUCCESSES} with a success"
    low, high = comparison.lift_ci95
    if low > 0:
        return f"learned slates do better than random ones, by {low:.1%} to {high:.1%}"
    if high < 0:
        return f"learned slates do worse than random ones, by {-high:.1%} to {-low:.1%}"
    return (
        f"no difference is shown: the interval, {change(low)} to {change(high)}, contains 0; "
        "more users narrow it"
    )


def notes(result: ExperimentResult) -> Iterator[str]:
    """What limits the comparison, one line each."""
    if not result.learned_users and not result.random_users:
        yield "no user of this window has a slate: does a worker run?"
    elif not result.random_users:
        yield (
            "there is no control group: nobody here was given random slates. Set FRESHSLATE_RANDOM_SHARE, "
            "such as 0.05, for every worker, and wait for some sessions"
        )
    elif not result.learned_users:
        yield "nobody here was given learned slates: is FRESHSLATE_RANDOM_SHARE 1?"
    if result.mixed_users:
        yield (
            f"{result.mixed_users:,} users had slates of both kinds and are left out, which makes the groups "
            "unlike: FRESHSLATE_RANDOM_SHARE was changed in this window. Begin after the change (--since)"
        )
    if result.ctr_per == "slates" and (result.learned_users or result.random_users):
        yield "no impression names a slate: CTR is per published slate, also of those that nobody saw"
    if result.unnamed_clicks:
        yield f"{result.unnamed_clicks:,} clicks name no slate (slate_id) and are no part of the CTR"
    if len(result.currencies) > 1:
        yield f"revenue adds up several currencies ({', '.join(result.currencies)}) as if they were one"
    if result.unassigned_users:
        yield f"{result.unassigned_users:,} users had no slate yet and are in neither group"


def shown(value: float | None, ci95: tuple[float, float] | None, unit: str) -> str:
    """A value with half its interval, in per cent or money."""
    if value is None:
        return NOTHING
    scale, suffix = (100.0, " %") if unit == "%" else (1.0, f" {unit}" if unit else "")
    spread = "" if ci95 is None else f" ±{scale * (ci95[1] - ci95[0]) / 2:,.2f}"
    return f"{scale * value:,.2f}{spread}{suffix}"


def change(lift: float) -> str:
    """A relative change with its sign, such as `+12.5%`."""
    return f"{lift:+.1%}"


def _metrics(result: ExperimentResult) -> tuple[tuple[str, Comparison, str], ...]:
    currency = result.currencies[0] if len(result.currencies) == 1 else ""
    return (
        ("CTR", result.ctr, "%"),
        ("conversion", result.conversion, "%"),
        ("revenue per session", result.revenue_per_session, currency),
    )


def _interval(comparison: Comparison) -> Text:
    if comparison.lift_ci95 is None:
        return Text(NOTHING)
    low, high = comparison.lift_ci95
    style = "green" if low > 0 else "red" if high < 0 else "yellow"
    return Text(f"{change(low)} to {change(high)}", style)


def _window(result: ExperimentResult) -> str:
    since = "" if result.since is None else f" from {moment(result.since)}"
    until = "" if result.until is None else f" until {moment(result.until)}"
    return f";{since}{until} UTC" if since or until else ""
