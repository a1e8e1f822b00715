"""What there is of a user and what stays, on a screen."""

from stream.forget import Known, Left
from stream.screens.forget import forgotten_json, print_known, print_left
from tests.stream.screens.made import console, text

KNOWN = Known("a\x1b", "default", "a\x1b", 3, 512, 1)
LEFT = [
    Left("rewards", "rewards", None, "how"),
    Left("events", "events", 37 * 86_400, "how"),
]


def test_what_there_is_is_one_line_without_control_characters():
    out = console(120, terminal=False)
    print_known(out, KNOWN)
    assert text(out) == "a\\x1b: a profile of 512 bytes and 1 slate in the log, partition 3\n"
    print_known(out, KNOWN._replace(profile_bytes=0, slates=0))
    assert "no profile and 0 slates" in text(out)


def test_what_stays_has_a_row_with_its_time():
    out = console(120, terminal=False)
    print_left(out, LEFT)
    rows = text(out).splitlines()[-2:]
    assert ["no limit" in rows[0], "37 days" in rows[1]] == [True, True]


def test_json_has_all_of_it():
    said = forgotten_json(KNOWN, LEFT, 1.5)
    assert (said["key"], said["took_seconds"], said["left"][1]["seconds"]) == ("a\x1b", 1.5, 37 * 86_400)
