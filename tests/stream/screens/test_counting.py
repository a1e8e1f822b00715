import io

import pytest
from rich.console import Console

from stream.screens.counting import CountingScreen


def shown(screen: CountingScreen, console: Console) -> str:
    with screen:
        task = screen._bar.add_task("reading", total=50)
        screen._bar.update(task, completed=20)
        screen._bar.refresh()
        screen._line("20 of 50")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_terminal_has_a_bar_and_no_lines() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    text = shown(CountingScreen(console), console)
    assert "20/50" in text
    assert "20 of 50" not in text


def test_elsewhere_there_is_a_line_when_it_is_time_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), width=100)
    assert shown(CountingScreen(console), console) == ""
    monkeypatch.setattr("stream.screens.counting.LINE_SECONDS", 0.0)
    assert shown(CountingScreen(console), console) == "20 of 50\n"
