"""The drill's screen: the workers and the load as they are, a line a fault, and a table that stays."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from stream.drill.report import Done, DrillResult
from stream.screens.figures import glyphs_of
from stream.view import WorkerRow


class DrillView(NamedTuple):
    """This moment of a drill."""

    seconds: float
    """Since the faults began; before, since the start."""
    sent: int
    """Events that the broker acknowledged."""
    waiting: int
    """Of them not taken by any committed cycle."""
    slates: int
    faults: int
    """Done so far."""
    workers: Sequence[WorkerRow]


class DrillScreen:
    """Prints the drill: on a terminal with the workers below, as they are; else lines alone.

    Args:
        console: to print on.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._glyphs = glyphs_of(console)
        self._moves = console.is_terminal and not console.is_dumb_terminal
        self._live: Live | None = None
        self._spinner = Spinner(self._glyphs.spinner)
        self._told = ""
        self._view: DrillView | None = None

    def title(self, faults: Sequence[str], seed: int) -> None:
        """Say what comes, in which order."""
        self._print(Text("Freshslate: whatever dies, nothing is lost and nothing counts twice.", "bold"))
        self._print(Text(f"Real broker, real workers; {len(faults)} faults in the order of seed {seed}:"))
        self._print(Text("  " + ", ".join(faults) + "\n", "dim"))

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show what goes on, for as long as the block lasts."""
        if not self._moves:
            yield
            return
        with Live(console=self._console, transient=True, get_renderable=self._moment) as self._live:
            yield
        self._live = None

    def show(self, view: DrillView) -> None:
        """Show a moment; nothing without a terminal."""
        self._view = view

    def doing(self, what: str) -> None:
        """Say what is being done now."""
        self.running(what)
        if not self._moves:
            self._print(Text(f"... {what}"))

    def running(self, what: str) -> None:
        """Say which fault is being done; nothing without a terminal, where its line comes after it."""
        self._told = what

    def fault(self, done: Done) -> None:
        """Print a fault that was done."""
        mark = (f"{self._glyphs.tick} ", "green") if done.is_good else ("! ", "bold red")
        flowed = (
            "no slates afterwards"
            if done.flowed_after_seconds is None
            else f"slates for all partitions after {done.flowed_after_seconds:.1f} s"
        )
        self._print(
            Text.assemble(
                f"{done.at_seconds:5.0f} s ", mark, (f"{done.fault:<17} ", "bold"), f"{done.what}; {flowed}"
            )
        )
        if done.broken_promise:
            self._print(Text(f"          {done.broken_promise}", "red"))

    def wrong(self, what: str) -> None:
        """Print something that must not be."""
        self._print(Text(f"wrong: {what}", "bold red"))

    def summary(self, result: DrillResult) -> None:
        """Print the table, and the verdict."""
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 1))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(justify="right")
        for name, value in counted(result).items():
            table.add_row(name, value)
        self._print(Text())
        self._console.print(table)
        if not result.is_good:
            self._print(Text("Something is wrong, see above.", "bold red"))
        elif result.processing_guarantee == "exactly_once":
            self._print(Text("Nothing lost, nothing twice.", "bold green"))
        else:
            self._print(Text("Nothing lost, the state exact, nothing repeated but as it was.", "bold green"))

    def _moment(self) -> Group:
        """What is redrawn a few times a second, below the lines."""
        self._spinner.update(text=Text(self._told))
        parts = [self._spinner] if self._view is None else [Text(), moment(self._view), self._spinner]
        return Group(*parts)

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


def counted(result: DrillResult) -> dict[str, str]:
    """The table's rows."""
    rows = {
        "faults": f"{result.faults:,}",
        "events": f"{result.events:,}",
        "lost": f"{result.lost:,}",
        "duplicated": f"{result.duplicated:,}",
        "profiles_compared": f"{result.profiles_compared:,}",
        "profiles_different": f"{result.profiles_different:,}",
        "models_compared": f"{result.models_compared:,}",
        "models_different": f"{result.models_different:,}",
        "longest_gap_seconds": f"{result.longest_gap_seconds:.1f}",
    }
    if result.processing_guarantee == "at_least_once":
        rows["slates repeated, identical"] = f"{result.audit['repeated_identical']:,}"
        rows["slates repeated, different"] = f"{result.audit['repeated_different']:,}"
    return rows


def moment(view: DrillView) -> Table:
    """The workers, and beside them the counts."""
    table = Table(box=None, padding=(0, 2, 0, 1))
    for name in ("worker", "", "pid", "restarts", ""):
        table.add_column(name, justify="right" if name in {"pid", "restarts"} else "left", header_style="dim")
    told = [
        f"{view.seconds:.0f} s, {view.faults} faults",
        f"{view.sent:,} events, {view.waiting:,} waiting",
        f"{view.slates:,} slates",
    ]
    for row in range(max(len(view.workers), len(told))):
        count = told[row] if row < len(told) else ""
        if row < len(view.workers):
            worker = view.workers[row]
            state = Text(worker.state, "green" if worker.state == "serving" else "bold red")
            table.add_row(worker.name, state, str(worker.pid or ""), str(worker.restarts), count)
        else:
            table.add_row("", "", "", "", count)
    return table
