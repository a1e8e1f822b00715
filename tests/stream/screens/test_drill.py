"""What a drill prints."""

import io

from msgspec.structs import replace
from rich.console import Console

from stream.drill.report import Done, DrillResult
from stream.screens.drill import DrillScreen, DrillView, counted
from stream.view import WorkerRow

DONE = Done(
    fault="kill", what="kill -9 7, worker-1", at_seconds=12, took_seconds=0.1, flowed_after_seconds=6.04
)
RESULT = DrillResult(
    is_good=True,
    faults=1,
    events=12_345,
    lost=0,
    duplicated=0,
    profiles_compared=400,
    profiles_different=0,
    models_compared=2,
    models_different=0,
    longest_gap_seconds=7.26,
    crashes=[],
    done=[DONE],
    workers=2,
    rate=500.0,
    seconds=60.0,
    seed=3,
    processing_guarantee="exactly_once",
    audit={"repeated_identical": 4, "repeated_different": 0},
    models={},
    version="1",
)

VIEW = DrillView(
    8.0,
    1200,
    7,
    900,
    1,
    [
        WorkerRow(name="worker-1", state="serving", pid=77, restarts=2),
        WorkerRow(name="worker-2", state="killed"),
    ],
)


def printed(screen_of: str = "file") -> tuple[DrillScreen, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=screen_of == "terminal")
    return DrillScreen(console), out


def test_without_a_terminal_a_fault_is_a_line_with_everything() -> None:
    screen, out = printed()
    screen.title(["kill", "wipe"], 3)
    with screen.live():
        screen.doing("starting Kafka")
        screen.running("kill: SIGKILL of a worker")
        screen.show(VIEW)
        screen.fault(DONE)
    text = out.getvalue()
    assert "2 faults in the order of seed 3:\n  kill, wipe\n" in text
    assert "... starting Kafka\n" in text
    assert "SIGKILL of a worker" not in text
    (line,) = [line for line in text.splitlines() if "kill -9" in line]
    assert line.endswith("kill -9 7, worker-1; slates for all partitions after 6.0 s")


def test_a_broken_promise_and_missing_slates_are_said() -> None:
    screen, out = printed()
    screen.fault(replace(DONE, broken_promise="worker-1 ended with 3", flowed_after_seconds=None))
    text = out.getvalue()
    assert "! kill" in text
    assert "no slates afterwards" in text
    assert "worker-1 ended with 3" in text


def test_the_table_has_what_was_asked_for_and_the_verdict_follows() -> None:
    screen, out = printed()
    screen.summary(RESULT)
    text = out.getvalue()
    for name, value in {"events": "12,345", "lost": "0", "longest_gap_seconds": "7.3"}.items():
        assert any(line.split() == [name, value] for line in text.splitlines())
    assert "Nothing lost, nothing twice." in text
    screen.summary(replace(RESULT, is_good=False))
    assert "Something is wrong" in out.getvalue()


def test_at_least_once_says_what_was_repeated_and_promises_less() -> None:
    result = replace(RESULT, processing_guarantee="at_least_once")
    assert counted(result)["slates repeated, identical"] == "4"
    screen, out = printed()
    screen.summary(result)
    assert "nothing twice" not in out.getvalue()


def test_a_terminal_shows_the_moment_and_it_goes_away_again() -> None:
    screen, out = printed("terminal")
    with screen.live():
        screen.running("kill: SIGKILL of a worker")
        screen.show(VIEW)
        assert screen._live is not None
        screen._live.refresh()
    shown = out.getvalue()
    assert "1,200 events, 7 waiting" in shown
    assert "kill: SIGKILL of a worker" in shown
    first, second = (
        next(line for line in shown.splitlines() if name in line) for name in ("worker-1", "worker-2")
    )
    assert "serving" in first
    assert "77" in first
    assert "killed" in second
    assert shown.rstrip("\n").endswith("\x1b[2K")  # the last line is erased
