"""A user's past on a screen."""

import json

from msgspec.structs import replace

from state.event import TYPE_CODES
from state.profile import Profile
from stream.replay_state import Part, PastState
from stream.screens.replay_state import as_json, print_past
from tests.stream.screens.made import console, slate, text

AT = 1_763_831_062_733
PROFILE = Profile(
    items=("tent", "stove"),
    times=(0, 5_000),
    types=bytes([TYPE_CODES["click"]] * 2),
    base=AT - 60_000,
    counts=tuple(2 if code == TYPE_CODES["click"] else 0 for code in range(len(Profile().counts))),
)


def past(*parts: Part, **fields: object) -> PastState:
    known = {
        "user_id": "u1",
        "tenant": "default",
        "key": "u1",
        "at": AT,
        "partition": 3,
        "profile": PROFILE,
        "events": 2,
        "slate": slate("sku-1", "sku-2"),
        "again": slate("sku-1", "sku-2"),
        "folded": 1_234,
    }
    return PastState(**known | {"parts": list(parts)} | fields)  # type: ignore[arg-type]  # made for a test


def shown(it: PastState) -> str:
    out = console(160)
    print_past(out, it)
    return text(out)


def test_a_past_that_is_the_same_says_so_with_the_profile_of_then() -> None:
    told = shown(past(Part("candidates_hash", True, "abc", "abc")))
    assert "2 click" in told
    assert "stove (click), tent (click)" in told
    assert "the same bit for bit; models of 1,234 records" in told
    assert "2025-11-22 17:04:22" in told


def test_a_difference_is_shown_with_both_values_and_why() -> None:
    told = shown(
        past(
            Part("items", False, "a b", "a c", "another setting"),
            Part("scores", None, "", "", "drawn by another policy"),
            assumed_order=7,
        )
    )
    row = next(line for line in told.splitlines() if line.split()[:2] == ["items", "no"])
    assert row.split() == ["items", "no", "a", "b", "a", "c", "another", "setting"]
    assert "not the same; models of 1,234 records, 7 of them in an order that the log does not say" in told


def test_a_user_without_a_slate_has_the_profile_alone() -> None:
    told = shown(past(Part("profile", True, "1", "1"), slate=None, again=None))
    assert "no slate of that time is in the log" in told
    assert "nothing was decided again" in told


def test_a_long_value_is_cut() -> None:
    assert "…" in shown(past(Part("items", True, "x" * 99, "x" * 99)))


def test_json_has_names_where_the_profile_has_codes() -> None:
    told = json.loads(json.dumps(as_json(past(Part("seed", True, "1", "1")))))
    assert told["profile"]["items"][0] == {"item_id": "tent", "type": "click", "time": AT - 60_000}
    assert told["same"] is True
    assert told["slate"] == told["again"]
    assert replace(past(), parts=[Part("seed", False, "1", "2")]).is_same is False
