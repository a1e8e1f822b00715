"""An export's progress: a bar on a terminal, else a line every few seconds; at its end the counts."""

import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import TaskID, TextColumn

from stream.export import Exported
from stream.screens.counting import CountingScreen
from stream.screens.replay import moment


class ExportScreen(CountingScreen):
    """Shows how far an export is.

    Args:
        console: to print on.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console, TextColumn("{task.percentage:>3.0f}% {task.fields[told]}"))
        self._started = self._told
        self._tasks: dict[str, TaskID] = {}

    def show(self, exported: Exported) -> None:
        """Move the bar, or print a line now and then."""
        rate = exported.read / max(time.monotonic() - self._started, 1e-3)
        if exported.topic not in self._tasks:
            self._tasks[exported.topic] = self._bar.add_task(exported.topic, total=1.0, told="")
        told = f"{exported.read:,} records, {rate:,.0f}/s"
        self._bar.update(self._tasks[exported.topic], completed=exported.share, told=told)
        self._line(f"{exported.topic}: {exported.share:.0%}, {told}, at {moment(exported.time)}")

    def end(self, done: Sequence[Exported], seconds: float) -> None:
        """Print what was written."""
        for each in done:
            told = f"{each.topic}: {each.rows:,} rows in {each.files:,} files" if each.rows else ""
            self._console.print(told or f"{each.topic}: nothing new", highlight=False)
        rows = sum(each.rows for each in done)
        self._console.print(f"{seconds:.1f} s, {rows / max(seconds, 1e-3):,.0f} rows/s", highlight=False)
