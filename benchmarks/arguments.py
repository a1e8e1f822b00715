"""What the command lines of the benchmarks share."""

import argparse
from pathlib import Path
from typing import Final

from rich.console import Console

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
