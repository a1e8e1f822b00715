"""A replay's progress: a bar on a terminal, else a line every few seconds; at its end the counts."""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import MofNCompleteColumn, TextColumn
from rich.table import Table
from rich.text import Text

from state.event import Event
from stream.event_file import EventSource, Span
from stream.formats import Reject, Rejects
from stream.replay import ReplayReport
from stream.screens.counting import CountingScreen
from stream.sender import Progress as Sent


class ReplayScreen(CountingScreen):
    """A source of events that shows how far it was sent.

    Args:
        console: to print on.
        source: the events.
        name: of the file.
    """

    def __init__(self, console: Console, source: EventSource, name: str) -> None:
        self.rejects: Rejects = source.rejects
        super().__init__(console, MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
        self._source = source
        self._name = name
        self._total: int | None = None
        self._started = self._told
        self._task = self._bar.add_task(f"reading {name}", total=None, rate="")

    def __iter__(self) -> Iterator[Event]:
        return iter(self._source)

    def span(self) -> Span | None:
        """The source's; learns from it how many events there are."""
        span = self._source.span()
        self._total = span.events if span else None
        self._started = self._told = time.monotonic()
        self._bar.update(self._task, total=self._total, description=f"replaying {self._name}")
        return span

    def show(self, progress: Sent) -> None:
        """Move the bar, or print a line now and then."""
        rate = progress.sent / max(time.monotonic() - self._started, 1e-3)
        self._bar.update(self._task, completed=progress.sent, rate=f"{rate:,.0f}/s")
        whole = f" of {self._total:,}" if self._total else ""
        self._line(f"{progress.sent:,}{whole} events, {rate:,.0f}/s, at {moment(progress.time)}")


def moment(milliseconds: int) -> str:
    """Epoch milliseconds for people, in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def print_report(console: Console, report: ReplayReport, examples: Sequence[Reject]) -> None:
    """Print what a replay sent, and what it left out, by reason."""
    rate = report.sent / max(report.seconds, 1e-9)
    console.print(
        f"sent {report.sent:,} events ({report.size / 1e6:,.1f} MB) in {report.seconds:.1f} s, {rate:,.0f}/s",
        highlight=False,
    )
    if report.first is not None and report.last is not None:
        console.print(f"their times: {moment(report.first)} to {moment(report.last)} UTC", highlight=False)
    if not report.rejects:
        console.print("no line was rejected")
    else:
        _print_rejects(console, report.rejects, examples)


def print_items(console: Console, count: int, rejects: Rejects) -> None:
    """Print how many catalogue items were sent, and which lines were none; nothing without a catalogue."""
    if count:
        console.print(f"sent {count:,} catalogue items", highlight=False)
    if rejects.counts:
        _print_rejects(console, rejects.counts, rejects.examples)


def _print_rejects(console: Console, counts: Mapping[str, int], examples: Sequence[Reject]) -> None:
    first = {reject.reason: reject for reject in reversed(examples)}
    table = Table("rejected because", "lines", "for example", box=None, header_style="bold")
    table.columns[1].justify = "right"
    for reason, count in sorted(counts.items(), key=lambda row: -row[1]):
        example = first.get(reason)
        told = f"line {example.line}: {example.detail}" if example else ""
        table.add_row(reason, f"{count:,}", Text(told))
    console.print(table, highlight=False)
