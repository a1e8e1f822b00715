"""One user on a screen."""

import io

import pytest
from msgspec import structs
from rich.console import Console

from state.event import Event, EventItem
from state.profile import NEW_PROFILE, Profile
from state.session import SessionRules, fold_event
from state.slate import Slate, SlateItem, SlateRules, Source, Trigger
from stream.inspection import Inspection
from stream.screens.inspection import age, print_inspection

NOW = 1_700_000_000_000
SLATE = Slate(
    slate_id="events-1-7",
    user_id="u1",
    tenant="default",
    scenario="feed",
    time=NOW - 65_000,
    trigger=Trigger("click-9", 1, "events", 1, 7),
    policy="softmax",
    policy_version="v3",
    seed=1,
    candidates=60,
    candidates_hash="",
    items=(SlateItem("i8", 1, 0.5, 0.25, (Source("popularity", 0.5),)),),
)


def profile(count: int) -> Profile:
    found = NEW_PROFILE
    for n in range(count):
        event = Event(
            event_id=str(n),
            type="click",
            user_id="u1",
            time=NOW - 60_000 * (count - n),
            items=(EventItem(f"i{n}"),),
        )
        found = fold_event(found, event, SessionRules()).profile
    return found


def printed(found: Profile | None, *slates: Slate, partition: int = 1) -> str:
    out = Console(file=io.StringIO(), width=120, color_system=None)
    inspection = Inspection(
        user_id="u1",
        tenant="default",
        key="u1",
        partition=partition,
        expected_partition=1,
        partitions=8,
        profile=found,
        slates=slates,
    )
    print_inspection(out, inspection, NOW)
    assert isinstance(out.file, io.StringIO)
    return " ".join(out.file.getvalue().split())


@pytest.mark.parametrize(
    ("milliseconds", "told"),
    [
        (0, "now"),
        (999, "now"),
        (1000, "1 s"),
        (61_000, "1 min"),
        (7_300_000, "2 h"),
        (90_000_000, "1 d"),
        (-500, "now"),
        (-61_000, "in 1 min"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(milliseconds: int, told: str) -> None:
    assert age(milliseconds) == told


def test_the_session_the_counts_and_the_items_are_shown_latest_first() -> None:
    text = printed(profile(3))
    assert "shopper u1 partition 1 of 8" in text
    assert "session 3 items, from 2023-11-14 22:10:20 to 2023-11-14 22:12:20 UTC, 1 min ago" in text
    assert "events 3 click" in text
    assert "i2 click 1 min i1 click 2 min i0 click 3 min" in text
    assert "open slates none" in text
    assert "no slates" in text


def test_a_long_history_is_cut_and_says_so() -> None:
    assert "and 8 more" in printed(profile(20))


def test_a_slate_is_shown_with_its_policy_and_why_each_item_is_there() -> None:
    text = printed(profile(1), SLATE)
    assert "slate events-1-7, 1 min ago, after event click-9" in text
    assert "1 of 60 candidates, policy softmax (v3), scenario feed" in text
    assert "1 i8 0.500 0.2500 popular 0.5" in text


def test_a_slate_under_rules_says_what_they_left_out() -> None:
    under = structs.replace(SLATE, rules=SlateRules("12ab34cd", 3, 2))
    assert "rules 12ab34cd: 3 excluded, 2 over a limit" in printed(profile(3), under)


def test_an_empty_slate_is_no_empty_table() -> None:
    assert "empty: the models knew no item yet" in printed(profile(1), structs.replace(SLATE, items=()))


def test_a_user_whose_profile_has_expired_still_has_slates() -> None:
    text = printed(None, SLATE)
    assert "no profile: it has expired" in text
    assert "events-1-7" in text


def test_a_user_in_an_unexpected_partition_is_explained() -> None:
    assert "puts this key into partition 1" in printed(profile(1), partition=5)
    assert "default partitioner" not in printed(profile(1))
