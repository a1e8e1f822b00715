"""Dead letters on a screen: nothing that a shop sent reaches the terminal as it was."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.letters import Found, Kind
from stream.redrive import Progress
from stream.screens.dlq import (
    RunScreen,
    found_json,
    letter_json,
    print_found,
    print_letter,
    print_plan,
    printable,
    run_json,
)
from tests.stream.screens.made import console, text
from tests.stream.test_letters import letter

HOSTILE = b"\x1b[2J\x9b31m\xff\x07[red]\r\n\xe2\x80\xaeabc"
GOOD, BAD = Kind("clicks", "too_large"), Kind("clicks", "too_large", "not_json")


def found(**fields):
    return Found(waiting={3: {5: (GOOD, 10), 6: (BAD, 20)}}, **fields)


@given(st.binary())
def test_whatever_it_is_becomes_characters_that_print(data):
    assert printable(printable(data)) == printable(data)
    assert printable(data).isprintable()


def test_text_stays_readable():
    assert printable("caf\u00e9 \u20ac") == "caf\u00e9 \u20ac"
    assert printable(b"a\tb") == "a\\tb"
    assert printable(None) == "null"


def test_a_hostile_letter_is_shown_escaped_and_whole():
    out = console(60, terminal=False)
    print_letter(out, letter(key=HOSTILE, value=HOSTILE, headers=(("h\x1b", HOSTILE),)))
    shown = text(out)
    assert all(line.isprintable() for line in shown.splitlines())
    assert shown.count("[red]") == 3
    assert r"\x1b[2J" in shown
    assert "reason: not_json" in shown
    assert "dlq.source.offset: 17" in shown


def test_a_list_has_counts_and_a_line_a_letter():
    out = console(200, terminal=False)
    print_found(out, found(dealt=Counter(redriven=7), foreign=1), [letter(key=HOSTILE)])
    lines = text(out).splitlines()
    assert lines[0].startswith("2 dead letters wait (7 redriven before, 1 records are no letters of ours)")
    assert any(line.split()[:3] == ["1", "clicks", "too_large"] for line in lines)
    assert "3-5" in lines[-1]
    assert "\x1b" not in text(out)


def test_nothing_that_waits_is_one_line():
    out = console(200, terminal=False)
    print_found(out, Found(dealt=Counter(dropped=2)), [])
    assert text(out) == "no dead letter waits (2 dropped before)\n"


def test_a_plan_tells_what_stays_and_why():
    out = console(200, terminal=False)
    print_plan(out, found(), Counter({BAD: 1}), "sending again")
    assert "sending again: 1 dead letter" in text(out)
    assert "1 dead letter would be refused again by these settings and stay; --all sends them too" in text(
        out
    )
    assert text(out).splitlines()[-1].split() == ["1", "clicks", "too_large", "not_json"]


def test_json_has_text_as_text_and_other_bytes_in_base_64():
    said = letter_json(letter(key=b"ann", value=b"\xff", headers=(("trace", b"1"),)))
    assert (said["letter"], said["key"], said["headers"]) == ("3-5", "ann", [["trace", "1"]])
    assert said["value"] == {"base64": "/w=="}
    assert letter_json(letter(value=None))["value"] is None
    assert "\x1b" not in json.dumps(letter_json(letter(value=b"\x1b")))


def test_json_of_a_run_says_what_was_done_and_what_stays():
    assert found_json(found())["counts"][0] == {
        "topic": "clicks",
        "reason": "too_large",
        "refused_again": None,
        "letters": 1,
    }
    said = run_json(found(), 1, dry_run=True)
    assert (said["dry_run"], said["letters"], said["kept"], said["waiting"]) == (True, 1, 1, 2)


def interrupted(out):
    with RunScreen(out, "sent again") as screen:
        screen.show(Progress(20, 50))
        raise KeyboardInterrupt


def test_a_run_that_is_interrupted_says_how_far_it_came():
    out = console(100, terminal=False)
    with pytest.raises(KeyboardInterrupt):
        interrupted(out)
    assert text(out) == "sent again: ended after 20 of 50; run it again for the others\n"


def test_without_a_terminal_it_is_a_line_now_and_then(monkeypatch):
    monkeypatch.setattr("stream.screens.counting.LINE_SECONDS", 0.0)
    out = console(100, terminal=False)
    with RunScreen(out, "dropped") as screen:
        screen.show(Progress(20, 50))
    assert text(out) == "dropped: 20 of 50\n"


def test_a_terminal_has_a_bar():
    out = console(100)
    with RunScreen(out, "dropped") as screen:
        screen.show(Progress(20, 50))
        screen._bar.refresh()
        assert "20/50" in text(out)
