"""A frame of the live demo."""

import pytest
from msgspec import structs
from rich.console import Console

from state.evaluation.confidence import Comparison
from stream.screens.dashboard import HEIGHT, Dashboard
from stream.screens.figures import UNICODE
from stream.view import Counts, DemoView, Effect, Walk, WorkerRow
from tests.stream.screens.made import ascii_console, console, empty_view, event, series, slate, text, view


def frame(of: DemoView, out: Console | None = None, note: str = "") -> list[str]:
    out = out or console()
    out.print(Dashboard(of, note))
    return text(out).splitlines()


def row(lines: list[str], name: str) -> str:
    (found,) = (line for line in lines if line.startswith(f" {name}"))
    return found


def test_a_frame_tells_what_passes_now_over_time_and_in_all() -> None:
    lines = frame(view())
    assert row(lines, "12 of 60 s").endswith("aims at 100 events/s")
    assert row(lines, "events/s").split() == ["events/s", "98", "▁▅█", "4,210"]
    assert row(lines, "slates/s").split() == ["slates/s", "77", "▁▅█", "3,310"]
    assert row(lines, "event → slate p50").split()[4:] == ["11", "ms", "▃▃", "12", "ms"]
    assert row(lines, "event → slate p99").split()[4:] == ["60", "ms", "█▄", "71", "ms"]


def test_a_frame_tells_whether_learning_helps() -> None:
    lines = frame(view())
    assert row(lines, "CTR  ").split()[1:5] == ["21.3", "%", "13.0", "%"]
    assert row(lines, "CTR  ").rstrip().endswith("+61 % (+38 to +90 %): learned is better")
    assert "4.21     2.90   +45 % (-12 to +130 %): not told apart yet" in row(lines, "revenue/session")
    assert "random is better" in row(lines, "conversion")
    assert row(lines, "share of best CTR").split()[4:8] == ["83.0", "%", "52.0", "%"]
    assert row(lines, "CTR trend learned").split()[3:] == ["20.0", "%", "▅█"]
    assert row(lines, "CTR trend random").split()[3:] == ["10.0", "%", "▅▅"]


def test_what_is_told_apart_stands_out_by_its_direction() -> None:
    lines = frame(view(), console(colours=True))
    assert "\x1b[1;32m+61 %" in "".join(lines)
    assert "\x1b[1;31m-50 %" in "".join(lines)
    assert "\x1b[1;32m+45 %" not in "".join(lines)


def test_a_frame_follows_one_shopper() -> None:
    lines = frame(view())
    assert any("one shopper: shopper-17, slates by policy softmax" in line for line in lines)
    assert row(lines, " cart lamp-7 at 2").split("→")[1].startswith(" +lamp-9·sp")


def test_a_frame_has_a_row_for_every_worker() -> None:
    lines = frame(view())
    assert row(lines, "worker-1").split() == ["worker-1", "4321", "serving", "0", "4,000", "0-2", "5"]
    assert row(lines, "worker-2").split() == ["worker-2", "?", "killed", "3", "?", "?"]
    assert any("workers, 3 kills so far" in line for line in lines)


def test_a_frame_counts_what_was_not_answered_once() -> None:
    lines = frame(view())
    told = "answered 3,310 of 3,312  waiting 2  lost 0  duplicates 0  dead letters 0"
    assert row(lines, "answered").strip() == told
    wrong = structs.replace(view(), counts=Counts(asked=3, answered=1, lost=2, duplicates=1, dead_letters=4))
    assert "waiting 0  lost 2  duplicates 1  dead letters 4" in row(frame(wrong), "answered")


def test_before_the_first_slate_nothing_is_known_and_nothing_breaks() -> None:
    lines = frame(empty_view())
    assert row(lines, "events/s").split() == ["events/s", "?", "0"]
    assert row(lines, "CTR  ").split() == ["CTR", "?", "?", *["too", "early", "to", "tell"]]
    assert any("── one shopper ──" in line for line in lines)
    assert "answered 0 of 0" in row(lines, "answered")
    assert not any("kill" in line for line in lines)


def test_the_note_is_one_line_at_the_bottom() -> None:
    assert frame(view(), note="killed worker-2\nlater")[-1].strip() == "killed worker-2"


def huge_view() -> DemoView:
    """Everything longer than there is room for."""
    name = "x" * 300
    shopper = Walk(name)
    for _ in range(20):
        shopper.add(event(name, name), slate(*(f"{n}{name}" for n in range(20))), 1e7)
    rows = tuple(
        WorkerRow(
            name=name, state="restarting", pid=10**7, partitions=tuple(range(0, 900, 2)), restarts=10**6
        )
        for _ in range(30)
    )
    best = Comparison(learned=1e6, random=1e6, lift=1e5, lift_ci95=(1e5, 1e6))
    full = series(*(float(n) for n in range(500)))
    return structs.replace(
        view(workers=rows),
        elapsed=9e9,
        rate=1e12,
        walk=shopper,
        effect=Effect(ctr=best, revenue=best, ctr_learned=full, ctr_random=full),
        counts=Counts(asked=10**12, answered=10**12, kills=10**9),
    )


@pytest.mark.parametrize("made", [view, empty_view, huge_view])
@pytest.mark.parametrize("width", [20, 60, 80, 120, 300])
@pytest.mark.parametrize("height", [5, 18, 24, 30, 40, 100])
def test_a_frame_never_exceeds_the_terminal(made: type[DemoView], width: int, height: int) -> None:
    lines = frame(made(), console(width, height=height), "a note " * 60)
    assert max(map(len, lines)) <= width
    assert len(lines) <= min(height, HEIGHT)


def test_a_low_terminal_keeps_the_shopper_and_the_counts() -> None:
    lines = frame(view(), console(80, height=24))
    assert len(lines) <= 24
    assert " cart lamp-7 at 2" in "\n".join(lines)
    assert "answered" in lines[-1]


def test_more_workers_than_there_is_room_for_are_counted() -> None:
    rows = [WorkerRow(name=f"w{n}", state="serving") for n in range(30)]
    lines = frame(view(workers=rows))
    shown = sum(line.startswith(" w") for line in lines)
    assert row(lines, "and ").strip() == f"and {30 - shown} more"


def test_without_workers_the_frame_has_none() -> None:
    assert "answered" in frame(view(workers=[]))[-1]


def test_without_unicode_a_frame_is_ascii() -> None:
    lines = frame(view(), ascii_console())
    assert row(lines, "events/s").split() == ["events/s", "98", "_=#", "4,210"]
    assert not set("".join(lines)) & set(UNICODE.levels)
