"""An export's progress: a bar on a terminal, else a line every few seconds; at its end the counts."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from stream.export import Exported
from stream.screens.replay import LINE_SECONDS, moment


class ExportScreen:
    """Shows how far an export is.

    Args:
        console: to print on.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = self._told = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}% {task.fields[told]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, exported: Exported) -> None:
        """Move the bar, or print a line now and then."""
        now = time.monotonic()
        rate = exported.read / max(now - self._started, 1e-3)
        if exported.topic not in self._tasks:
            self._tasks[exported.topic] = self._bar.add_task(exported.topic, total=1.0, told="")
        told = f"{exported.read:,} records, {rate:,.0f}/s"
        self._bar.update(self._tasks[exported.topic], completed=exported.share, told=told)
        if not self._console.is_terminal and now - self._told >= LINE_SECONDS:
            self._told = now
            line = f"{exported.topic}: {exported.share:.0%}, {told}, at {moment(exported.time)}"
            self._console.print(line, highlight=False)

    def end(self, done: Sequence[Exported], seconds: float) -> None:
        """Print what was written."""
        for each in done:
            told = f"{each.topic}: {each.rows:,} rows in {each.files:,} files" if each.rows else ""
            self._console.print(told or f"{each.topic}: nothing new", highlight=False)
        rows = sum(each.rows for each in done)
        self._console.print(f"{seconds:.1f} s, {rows / max(seconds, 1e-3):,.0f} rows/s", highlight=False)
