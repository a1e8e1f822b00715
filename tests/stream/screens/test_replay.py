"""How a replay's progress and counts are printed."""

import io

import pytest
from rich.console import Console

from state.event import Event
from stream.event_file import EventList, Span
from stream.formats import Reject, Rejects
from stream.replay import ReplayReport
from stream.screens.replay import ReplayScreen, moment, print_items, print_report
from stream.sender import Progress

EVENTS = [Event(event_id=str(n), type="search", user_id="u", time=1_700_000_000_000 + n) for n in range(3)]


def console(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=100, force_terminal=terminal, color_system=None)


def text(of: Console) -> str:
    assert isinstance(of.file, io.StringIO)
    return of.file.getvalue()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.screens.counting.LINE_SECONDS", 0.0)


def test_the_screen_is_the_source_it_shows() -> None:
    source = EventList(EVENTS)
    screen = ReplayScreen(console(), source, "file")
    assert list(screen) == EVENTS
    assert screen.span() == Span(EVENTS[0].time, EVENTS[-1].time, 3)
    assert screen.rejects is source.rejects


def test_without_a_terminal_progress_is_a_line_now_and_then() -> None:
    out = console()
    with ReplayScreen(out, EventList(EVENTS), "file") as screen:
        screen.span()
        for sent in range(3):
            screen.show(Progress(sent, 100, EVENTS[0].time))
    assert text(out) == ""


@pytest.mark.usefixtures("impatient")
def test_a_line_of_progress_says_how_far_it_is() -> None:
    out = console()
    with ReplayScreen(out, EventList(EVENTS), "file") as screen:
        screen.span()
        screen.show(Progress(2, 100, EVENTS[0].time))
    assert text(out).startswith("2 of 3 events, ")
    assert "at 2023-11-14 22:13:20" in text(out)


@pytest.mark.usefixtures("impatient")
def test_a_source_of_unknown_length_has_no_total() -> None:
    out = console()
    with ReplayScreen(out, EventList([]), "-") as screen:
        assert screen.span() is None
        screen.show(Progress(2, 100, EVENTS[0].time))
    assert text(out).startswith("2 events, ")


def test_a_terminal_gets_a_bar() -> None:
    out = console(terminal=True)
    with ReplayScreen(out, EventList(EVENTS), "clicks.csv") as screen:
        screen.span()
        screen.show(Progress(2, 100, EVENTS[0].time))
    assert "replaying clicks.csv" in text(out)
    assert "2/3" in text(out)


def test_the_report_lists_rejects_by_reason_with_an_example() -> None:
    out = console()
    report = ReplayReport(
        1200, 2_000_000, {"not_json": 2, "wrong_time": 31}, 2.0, 1_700_000_000_000, 1_700_000_001_000
    )
    print_report(out, report, [Reject(7, "wrong_time", "'[x]' is no time"), Reject(9, "wrong_time", "later")])
    lines = text(out).splitlines()
    assert lines[0] == "sent 1,200 events (2.0 MB) in 2.0 s, 600/s"
    assert lines[1] == "their times: 2023-11-14 22:13:20 to 2023-11-14 22:13:21 UTC"
    assert lines[3].split() == ["wrong_time", "31", "line", "7:", "'[x]'", "is", "no", "time"]
    assert lines[4].split() == ["not_json", "2"]


def test_a_report_without_rejects_says_so() -> None:
    out = console()
    print_report(out, ReplayReport(0, 0, {}, 0.0, None, None), [])
    assert text(out).splitlines()[-1] == "no line was rejected"
    assert moment(0) == "1970-01-01 00:00:00"


def test_catalogue_items_are_counted_and_lines_that_are_none_listed() -> None:
    out = console()
    print_items(out, 0, Rejects())
    assert text(out) == ""
    rejects = Rejects()
    rejects.add(7, "missing_item", "neither a key nor an item_id")
    print_items(out, 1200, rejects)
    assert text(out).splitlines()[0] == "sent 1,200 catalogue items"
    assert text(out).splitlines()[2].split()[:3] == ["missing_item", "1", "line"]
