"""What the command lines of the benchmarks share."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

RESULTS: Final = Path(__file__).parent / "results"
WIDTH: Final = 130
"""Columns where the output is no terminal."""


def positive(text: str) -> int:
    """A whole number from 1."""
    value = int(text)
    if value < 1:
        message = f"must be at least 1, not {value}"
        raise argparse.ArgumentTypeError(message)
    return value


def screen(options: argparse.Namespace) -> Console:
    """Where tables and progress go: standard error where standard output is for Markdown."""
    console = Console(stderr=options.markdown)
    if not console.is_terminal:
        console.width = WIDTH
    return console


@contextmanager
def progress(console: Console, what: str, steps: int) -> Iterator[Callable[[], None]]:
    """A bar below what is printed meanwhile, in a terminal; the function it gives is called each step."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        yield partial(bars.advance, bars.add_task(what, total=steps))
