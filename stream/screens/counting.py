"""How far long work is: a bar on a terminal, else a line every few seconds."""

import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

LINE_SECONDS: Final = 5.0
"""Between two lines of progress where there is no terminal."""


class CountingScreen:
    """Shows a bar while it is entered.

    Args:
        console: to print on.
        counted: columns between the bar and the time that is left; how many of how many if not given.
    """

    def __init__(self, console: Console, *counted: ProgressColumn) -> None:
        self._console = console
        self._told = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            *(counted or (MofNCompleteColumn(),)),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def _line(self, text: str) -> None:
        """Print this where there is no terminal and no line was printed lately."""
        now = time.monotonic()
        if not self._console.is_terminal and now - self._told >= LINE_SECONDS:
            self._told = now
            self._console.print(text, highlight=False)
