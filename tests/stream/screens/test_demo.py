"""The demo's screen."""

import pytest
from rich.console import Console

from state.evaluation.confidence import Comparison
from stream.screens.demo import REFRESH_SECONDS, DemoScreen
from stream.view import DemoSummary, Effect, Walk
from tests.stream.screens.made import (
    ascii_console,
    console,
    empty_view,
    event,
    slate,
    summary,
    text,
    view,
    walk,
)

ALTERNATE = ("\x1b[?1049h", "\x1b[?1049l")
HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def plain() -> Console:
    return console(terminal=False)


def test_without_a_terminal_every_step_is_one_line_said_once() -> None:
    out = plain()
    screen = DemoScreen(out)
    with screen.working():
        screen.doing("starting [Kafka]")
        screen.doing("starting [Kafka]")
        screen.running("3 s left")
        screen.done("Kafka", "answers at [::1]:9092")
    assert text(out) == "... starting [Kafka]\n  ✓ Kafka     answers at [::1]:9092\n"


def test_without_a_terminal_a_second_is_one_line() -> None:
    out = plain()
    screen = DemoScreen(out)
    with screen.live():
        for elapsed in (0.0, 0.4, 1.1, 1.9, 12.3):
            screen.show(view(elapsed=elapsed))
    lines = text(out).splitlines()
    assert [line.split()[0] for line in lines] == ["0", "1", "12"]
    assert lines[-1] == (
        " 12 s  98 events/s  p50 11 ms p99 60 ms  CTR learned 21.3 % random 13.0 %  "
        "lost 0 duplicates 0  workers 1/2"
    )


def test_without_a_terminal_what_is_not_known_yet_is_said_so() -> None:
    out = plain()
    DemoScreen(out).show(empty_view())
    told = "  0 s  ? events/s  p50 ? p99 ?  CTR learned ? random ?  lost 0 duplicates 0  workers 0/0\n"
    assert text(out) == told


def test_on_a_terminal_the_work_is_one_moving_line() -> None:
    out = console()
    screen = DemoScreen(out)
    with screen.working():
        screen.doing("starting [Kafka]")
        screen.running("3 s left")
    assert "3 s left" in text(out)
    assert "..." not in text(out)


def test_the_dashboard_is_on_a_screen_of_its_own_and_leaves_nothing_behind() -> None:
    out = console()
    screen = DemoScreen(out)
    with screen.live():
        assert text(out).startswith(ALTERNATE[0])
        assert text(out).endswith(HIDDEN)
        screen.show(view())
        assert "learned is better" in text(out)
        assert ALTERNATE[1] not in text(out)
    assert text(out).endswith(SHOWN + ALTERNATE[1])


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_terminal_is_restored_whatever_ends_the_dashboard(error: type[BaseException]) -> None:
    out = console()
    screen = DemoScreen(out)

    def demo() -> None:
        with screen.working(), screen.live():
            screen.show(view())
            raise error

    with pytest.raises(error):
        demo()
    assert text(out).rindex(SHOWN) > text(out).rindex(HIDDEN)
    assert text(out).count(ALTERNATE[0]) == text(out).count(ALTERNATE[1]) == 1


def test_a_view_that_comes_too_soon_is_not_drawn() -> None:
    out, clock = console(), Clock()
    screen = DemoScreen(out, clock=clock)
    with screen.live():
        for clock.now in (0.0, 0.1, REFRESH_SECONDS, 0.3):
            screen.show(view(elapsed=100 * clock.now))
    shown = [seconds for seconds in (0, 10, 20, 30) if f" {seconds} of 60 s" in text(out)]
    assert shown == [0, 20]


def test_outside_of_the_dashboard_a_view_is_not_drawn() -> None:
    out = console()
    DemoScreen(out).show(view())
    assert text(out) == ""


def test_what_happens_meanwhile_is_the_dashboards_note() -> None:
    out = console()
    screen = DemoScreen(out)
    with screen.working(), screen.live():
        screen.doing("killed [worker-2]")
        screen.show(view())
    assert "killed [worker-2]" in text(out)
    assert "... killed" not in text(out)


def test_what_is_done_meanwhile_is_printed_after_the_dashboard() -> None:
    out = console()
    screen = DemoScreen(out)
    with screen.live():
        screen.done("live", "60 s")
        assert "live" not in text(out)
    assert "✓ live" in text(out).split(ALTERNATE[1])[1]


def test_the_work_goes_on_after_the_dashboard() -> None:
    out = console()
    screen = DemoScreen(out)
    with screen.working():
        with screen.live():
            screen.doing("checking")
        screen.doing("checking")
    assert "checking" in text(out).split(ALTERNATE[1])[1]


def test_a_dumb_terminal_is_no_terminal() -> None:
    out = Console(file=console().file, width=80, force_terminal=True, _environ={"TERM": "dumb"})
    screen = DemoScreen(out)
    with screen.working(), screen.live():
        screen.show(view())
    assert text(out).startswith(" 12 s  98 events/s")


def test_the_title_says_what_this_is() -> None:
    out = plain()
    DemoScreen(out).title("A shop of [8] items.")
    assert text(out).splitlines()[1:] == ["A shop of [8] items.", ""]


def test_a_walk_ends_with_its_last_slate_in_full() -> None:
    out = plain()
    DemoScreen(out).walked(walk())
    told = text(out)
    assert "  cart lamp-7 at 2   8 ms → +lamp-9·sp" in told
    assert "chosen from 60 candidates by policy softmax" in told
    assert " 1      lamp-9   0.500  0.2500      similar sessions 0.4, popular 0.1\n" in told
    assert "1 of 2 steps were about an item that a slate had shown." in told


def test_a_walk_without_a_slate_is_not_printed() -> None:
    out = plain()
    DemoScreen(out).walked(Walk("u"))
    assert text(out) == ""


def test_the_summary_has_every_number() -> None:
    out = plain()
    DemoScreen(out).summary(summary(), is_good=True)
    rows = {line[1:17].strip(): line[17:] for line in text(out).splitlines()}
    assert rows["events"] == "6,857: 797 as the past, then 6,060 live in 60 s"
    assert rows["slates"] == "5,000, for 5,000 events that ask for one"
    assert rows["event → slate"] == "p50 11 ms, p99 71 ms, from send to read_committed"
    assert rows["workers"] == "2, 5 kills"
    assert (rows["lost"], rows["duplicates"], rows["dead letters"]) == ("0", "0", "0")
    assert rows["audit"] == "105 profiles folded again from the log: all equal"
    assert "+61 % (+38 to +90 %): learned is better" in text(out)


@pytest.mark.parametrize(
    ("is_good", "told"), [(True, "Nothing lost, nothing twice."), (False, "Something is wrong, see above.")]
)
def test_the_summary_ends_with_a_verdict(is_good: bool, told: str) -> None:
    out = plain()
    DemoScreen(out).summary(summary(kills=0), is_good=is_good)
    lines = text(out).splitlines()
    assert lines[-2:] == ["Learned is better: CTR +61 % (95 %: +38 to +90 %).", told]
    assert " workers         2" in lines


def test_a_summary_of_nothing_is_still_one() -> None:
    out = plain()
    empty = DemoSummary(
        events=0,
        past_events=0,
        seconds=0,
        slates=0,
        p50=None,
        p99=None,
        effect=Effect(ctr=Comparison()),
        counts=summary().counts,
        workers=0,
        audit="",
    )
    DemoScreen(out).summary(empty, is_good=False)
    assert "p50 ?, p99 ?" in text(out)
    assert "Too early to tell: CTR." in text(out)


@pytest.mark.parametrize("terminal", [True, False])
def test_the_last_screen_can_be_pasted_anywhere(terminal: bool) -> None:
    long = Walk("shopper-17")
    for _ in range(20):
        long.add(
            event("headphones-of-the-year"), slate(*(f"headphones-number-{n}" for n in range(10))), 9_999
        )
    out = console(200, terminal=terminal)
    screen = DemoScreen(out)
    screen.walked(long)
    screen.summary(summary(), is_good=True)
    lines = text(out).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if line != line.rstrip()] == []


def test_everything_can_be_printed_without_unicode() -> None:
    out = ascii_console()
    screen = DemoScreen(out)
    with screen.working():
        screen.done("Kafka", "answers")
        with screen.live():
            screen.show(view())
    screen.walked(walk())
    screen.summary(summary(), is_good=True)
    assert "* Kafka" in text(out)
    assert "event -> slate" in text(out)


def test_what_is_kept_can_be_copied_into_another_terminal() -> None:
    out = plain()
    DemoScreen(out).kept({"FRESHSLATE_BROKER": "h:1"}, "shopper-17")
    assert "  export FRESHSLATE_BROKER=h:1\n  freshslate inspect shopper-17 --follow\n" in text(out)
