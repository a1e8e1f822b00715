"""The demo's screen."""

import io

from rich.console import Console

from state.event import Event, EventItem
from state.slate import Slate, SlateItem, Source, Trigger
from stream.screens.demo import TAGS, DemoScreen, reasons


def console(width: int = 110, *, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)


def text(of: Console) -> str:
    assert isinstance(of.file, io.StringIO)
    return of.file.getvalue()


def click(item_id: str, kind: str = "click") -> Event:
    return Event(event_id="e", type=kind, user_id="u", time=1, items=(EventItem(item_id),))


def slate(*item_ids: str) -> Slate:
    sources = (Source("popularity", 0.1), Source("session_knn", 0.4))
    return Slate(
        slate_id="s",
        user_id="u",
        tenant="default",
        scenario="feed",
        time=1,
        trigger=Trigger("e", 1, "events", 0, 0),
        policy="softmax",
        policy_version="1",
        seed=1,
        candidates=60,
        candidates_hash="",
        items=tuple(SlateItem(name, n, 0.5, 0.25, sources) for n, name in enumerate(item_ids, 1)),
    )


def test_the_first_slate_marks_nothing_as_new() -> None:
    out = console()
    DemoScreen(out).slate(click("17"), slate("1", "2", "3", "4", "5", "6"), 12.4)
    line = text(out)
    assert line.split() == ["click", "17", "12", "ms", "→", "1·sp", "2·sp", "3·sp", "4·sp", "5·sp"]


def test_a_later_slate_marks_what_was_not_there_before_and_a_hit_with_its_place() -> None:
    out = console()
    screen = DemoScreen(out)
    screen.slate(click("17"), slate("1", "2"), 12)
    screen.slate(click("2", "add_to_cart"), slate("3", "1"), 8)
    assert text(out).splitlines()[1].split() == ["cart", "2", "✓2", "8", "ms", "→", "+3·sp", "1·sp"]


def test_a_line_fits_a_narrow_terminal() -> None:
    out = console(60)
    DemoScreen(out).slate(click("1234567"), slate("1234567", "2345678", "3456789"), 1234)
    assert len(text(out).splitlines()) == 1
    assert "1234567·sp" in text(out)


def test_the_legend_explains_every_source_that_the_engine_has() -> None:
    from state.retrieval.weights import SOURCES

    assert set(TAGS) == set(SOURCES)
    out = console()
    DemoScreen(out).legend("otto-6")
    assert all(meaning in text(out) for _, _, meaning in TAGS.values())


def test_the_strongest_reason_comes_first() -> None:
    (item,) = slate("1").items
    assert reasons(item).plain == "similar sessions 0.4, popular 0.1"


def test_the_last_slate_is_explained_with_scores_and_propensities() -> None:
    out = console()
    screen = DemoScreen(out)
    screen.explain()
    assert text(out) == ""
    screen.slate(click("17"), slate("1"), 12)
    screen.explain()
    assert "chosen from 60 candidates by policy softmax" in text(out)
    assert "0.2500" in text(out)
    assert "0 of 1 events" in text(out)


def test_without_a_terminal_every_step_is_one_line_said_once() -> None:
    out = console()
    screen = DemoScreen(out)
    with screen.working():
        screen.doing("starting [Kafka]")
        screen.doing("starting [Kafka]")
        screen.running("3 s left")
    assert text(out) == "... starting [Kafka]\n"


def test_on_a_terminal_the_work_is_one_moving_line() -> None:
    out = console(terminal=True)
    screen = DemoScreen(out)
    with screen.working():
        screen.doing("starting [Kafka]")
        screen.running("3 s left")
    assert "3 s left" in text(out)


def test_the_summary_says_whether_all_is_well() -> None:
    out = console()
    DemoScreen(out).summary({"lost": "0"}, is_good=True)
    assert text(out).splitlines()[-1] == "Nothing lost, nothing twice."
    DemoScreen(out).summary({"lost": "1"}, is_good=False)
    assert text(out).splitlines()[-1] == "Something is wrong, see above."


def test_what_is_kept_can_be_copied_into_another_terminal() -> None:
    out = console()
    DemoScreen(out).kept({"FRESHSLATE_BROKER": "h:1"}, "otto-6")
    assert "  export FRESHSLATE_BROKER=h:1\n  freshslate inspect otto-6\n" in text(out)
