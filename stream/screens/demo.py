"""The demo's screen: start-up, a live dashboard or a line a second, and a summary that stays."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.status import Status
from rich.table import Table
from rich.text import Text

from stream.screens import figures
from stream.screens.dashboard import STEPS, Dashboard, Rows
from stream.screens.figures import glyphs_of
from stream.screens.slate import TOP, legend, slate_table, step_lines
from stream.view import DemoSummary, DemoView, Walk

REFRESH_SECONDS: Final = 0.2
"""Between two frames."""
SUMMARY_COLUMNS: Final = 80
"""A summary is no wider, so that it can be pasted anywhere."""


class DemoScreen:
    """Prints the demo; on a terminal a dashboard in place of the text before, which comes back; else lines.

    Args:
        console: to print on.
        clock: seconds, for how often a frame is drawn.
    """

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._glyphs = glyphs_of(console)
        self._moves = console.is_terminal and not console.is_dumb_terminal
        self._status: Status | None = None
        self._live: Live | None = None
        self._drawn = float("-inf")
        self._second = -1
        self._told = ""
        self._later: list[Text] = []

    @contextmanager
    def working(self) -> Iterator[None]:
        """Show what is being done now, for as long as the block lasts."""
        if not self._moves:
            yield
            return
        with self._console.status("", spinner=self._glyphs.spinner) as self._status:
            yield
        self._status = None

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show the dashboard for as long as the block lasts; what is printed meanwhile comes after it."""
        if not self._moves:
            yield
            return
        if self._status is not None:
            self._status.stop()
        self._told = ""
        live = Live(console=self._console, auto_refresh=False, screen=True)
        try:
            with live:
                self._live = live
                yield
        finally:
            self._live, self._told = None, ""
            for text in self._later:
                self._console.print(text)
            self._later.clear()
            if self._status is not None:
                self._status.update("")
                self._status.start()

    def show(self, view: DemoView) -> None:
        """Draw a view, or leave it if it comes too soon after the last; call it as often as you like."""
        if not self._moves:
            self._line(view)
        elif self._live is not None and self._clock() - self._drawn >= REFRESH_SECONDS:
            self._drawn = self._clock()
            self._live.update(Dashboard(view, self._told), refresh=True)

    def doing(self, what: str) -> None:
        """Say what is being done now."""
        if what == self._told:
            return
        self.running(what)
        if not self._moves or (self._status is None and self._live is None):
            self._print(Text(f"... {what}"))
        self._told = what

    def running(self, what: str) -> None:
        """Show a number that changes all the time; nothing without a terminal."""
        if self._live is not None:
            self._told = what
        elif self._status is not None:
            self._status.update(escape(what))

    def done(self, what: str, detail: str) -> None:
        """Say that a part of the start-up is done."""
        tick = (f"  {self._glyphs.tick} ", "green")
        self._print(Text.assemble(tick, (f"{what:<9}", "bold"), f" {detail}"))

    def title(self, about: str) -> None:
        """Say what this is; `about` is the shop and the workers, in a sentence."""
        self._console.print("[bold]Freshslate[/]: a click changes what the shopper sees next, exactly once.")
        self._console.print(Text(about))
        self._console.print()

    def walked(self, walk: Walk) -> None:
        """Print the last steps of a shopper, and their last slate in full: what the decision log holds."""
        slate = walk.slate
        if slate is None:
            return
        width = self._width
        told = (
            f"\nOne shopper, {walk.shopper}: what they did, how long it took until their new slate\n"
            "could be read from Kafka, and the top of it."
        )
        self._print(Text(told))
        self._print(Text(" ").append_text(legend()))
        for line in step_lines([*walk.steps][-STEPS:], self._glyphs, width):
            self._print(line)
        told = (
            f"\nThe last of these slates, chosen from {slate.candidates} candidates by policy {slate.policy}."
        )
        self._print(Text(told))
        meaning = (
            "propensity: the probability of this item in this place. It is in the log, so\n"
            "that any other policy can be judged by it."
        )
        self._print(Text(meaning, "dim"))
        self._table(slate_table(slate, limit=TOP))
        self._print(Text(f"{walk.hits} of {walk.count} steps were about an item that a slate had shown.\n"))

    def summary(self, summary: DemoSummary, *, is_good: bool) -> None:
        """Print what was measured; `is_good`: every event was answered exactly once."""
        rows = Rows(self._glyphs, self._width)
        for line in (*rows.comparison(summary.effect), *rows.trend(summary.effect)):
            line.rstrip()
            self._print(line)
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 1))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in self._counted(summary).items():
            table.add_row(name, Text(value))
        self._print(Text())
        self._table(table)
        self._print(Text(figures.sentence("CTR", summary.effect.ctr), "bold"))
        if is_good:
            self._print(Text("Nothing lost, nothing twice.", "bold green"))
        else:
            self._print(Text("Something is wrong, see above.", "bold red"))

    def kept(self, variables: Mapping[str, str], shopper: str) -> None:
        """Say how to look around while everything still runs."""
        self._print(Text("\nAll of it still runs, until Ctrl-C. In another terminal:"))
        for name, value in variables.items():
            self._print(Text(f"  export {name}={value}"))
        self._print(Text(f"  freshslate inspect {shopper} --follow"))

    @property
    def _width(self) -> int:
        return min(SUMMARY_COLUMNS, self._console.width)

    def _print(self, text: Text) -> None:
        """Print without cutting lines: the terminal may, a file need not."""
        if self._live is not None:
            self._later.append(text)
        else:
            self._console.print(text, soft_wrap=True)

    def _table(self, table: Table) -> None:
        """Print a table without blanks at the ends of its lines."""
        options = self._console.options.update(width=self._width)
        for segments in self._console.render_lines(table, options, pad=False):
            line = Text.assemble(*((segment.text, segment.style or "") for segment in segments))
            line.rstrip()
            self._print(line)

    def _line(self, view: DemoView) -> None:
        """Print a line, at most one a second."""
        if int(view.elapsed) <= self._second:
            return
        self._second = int(view.elapsed)
        self._print(Text(second_line(view, self._glyphs)))

    def _counted(self, summary: DemoSummary) -> dict[str, str]:
        glyphs, counts = self._glyphs, summary.counts
        p50, p99 = (figures.milliseconds(value, glyphs) for value in (summary.p50, summary.p99))
        kills = f", {figures.counted(counts.kills, 'kill')}" if counts.kills else ""
        live = summary.events - summary.past_events
        return {
            "events": f"{summary.events:,}: {summary.past_events:,} as the past, then "
            f"{live:,} live in {summary.seconds:.0f} s",
            "slates": f"{summary.slates:,}, for {counts.asked:,} events that ask for one",
            f"event {glyphs.arrow} slate": f"p50 {p50}, p99 {p99}, from send to read_committed",
            "workers": f"{summary.workers}{kills}",
            "lost": f"{counts.lost:,}",
            "duplicates": f"{counts.duplicates:,}",
            "dead letters": f"{counts.dead_letters:,}",
            "audit": summary.audit,
        }


def second_line(view: DemoView, glyphs: figures.Glyphs) -> str:
    """A second of the demo in one line, for a log."""
    latency, ctr, counts = view.latency, view.effect.ctr, view.counts
    p50, p99 = (figures.milliseconds(series.now, glyphs) for series in (latency.p50, latency.p99))
    learned, random = (
        figures.percent(value, glyphs) for value in ((ctr.learned, ctr.random) if ctr else (None, None))
    )
    serving = sum(worker.state == "serving" for worker in view.workers)
    return (
        f"{view.elapsed:3.0f} s  {figures.count(view.events.per_second.now, glyphs)} events/s  "
        f"p50 {p50} p99 {p99}  CTR learned {learned} random {random}  "
        f"lost {counts.lost} duplicates {counts.duplicates}  workers {serving}/{len(view.workers)}"
    )
