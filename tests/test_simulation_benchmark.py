"""`benchmarks/simulation.py` on a shop small enough for a test."""

import io
from pathlib import Path

from rich.console import Console

from benchmarks.simulation import arguments, run, show

SMALL = ["--shoppers", "500", "--items", "300", "--rate", "50", "--seconds", "0.05", "--rounds", "1"]


def test_every_pass_makes_events_and_the_table_shows_them() -> None:
    report = run(arguments(SMALL))
    printed = io.StringIO()
    show(report, Console(file=printed, width=120))
    assert [each.name for each in report.passes] == ["arrays", "events", "events as JSON"]
    for each in report.passes:
        assert each.events > 0
        assert f"{each.events:,}" in printed.getvalue()
    assert report.memory.arrays <= report.memory.peak


def test_the_command_line_has_the_size_that_the_page_tells() -> None:
    options = arguments([])
    assert (options.shoppers, options.items, options.rounds) == (1_000_000, 20_000, 3)
    page = (Path(__file__).parents[1] / "docs" / "benchmarks.md").read_text()
    assert f"{options.shoppers:,} shoppers, {options.items:,} items" in page
