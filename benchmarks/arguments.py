"""What the commands of the benchmarks share: arguments, progress, errors, and where numbers go."""

import argparse
import logging
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.processes import BenchmarkError
from benchmarks.report import markdown, print_table
from state.errors import FreshslateError
from stream.broker import BrokerError
from stream.ranker import RankerRefused, decode_ranker

Measured = TypeVar("Measured")

RESULTS: Final = Path(__file__).parent / "results"
WIDTH: Final = 170
"""Columns where the output is no terminal."""


def parser(name: str, description: str) -> argparse.ArgumentParser:
    """A command line with what every benchmark takes: where numbers go, and Markdown."""
    made = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    made.add_argument("--json", type=Path, default=RESULTS / f"{name}.json", help="where numbers go")
    made.add_argument("--markdown", action="store_true", help="print the table as Markdown, for the docs")
    return made


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


def measured(running: Coroutine[Any, Any, Measured]) -> Measured:
    """Run a benchmark; what goes wrong as expected is one line and exit code 1."""
    # A new topic's first batch may be told to come again: the client does, and says so.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        return uvloop.run(running)
    except (FreshslateError, BrokerError, BenchmarkError) as error:
        sys.exit(f"benchmarks: {error}")


class Table(NamedTuple):
    """A run's result, for people."""

    title: str
    header: Sequence[str]
    lines: Sequence[Sequence[str]]


def deliver(report: msgspec.Struct, table: Table, options: argparse.Namespace, console: Console) -> None:
    """Print the table, also as Markdown where that is asked for, and write all numbers."""
    print_table(console, *table)
    if options.markdown:
        print(markdown(table.header, table.lines))
    write(report, options.json)
    console.print(f"all numbers: {options.json}")


def write(report: msgspec.Struct, path: Path) -> None:
    """Write all numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))


def read_ranker(path: str) -> bytes:
    """An artefact that workers of this version take."""
    try:
        value = Path(path).read_bytes()
        decode_ranker(value)
    except (OSError, RankerRefused) as error:
        message = f"{path} is no ranker to serve with: {error}"
        raise argparse.ArgumentTypeError(message) from error
    return value
