"""One user's steps on a screen."""

import io
from typing import Any

import pytest
from msgspec.structs import replace
from rich.console import Console

from state.difference import StateChange, slate_change
from state.errors import REASONS
from state.event import Event, EventItem, Origin
from state.profile import NEW_PROFILE
from state.retrieval.explain import Explanation, LikeSession, OwnItem, Popular, Rule
from state.session import SessionRules, fold_event
from state.slate import Reward, RuleFactor, Slate, SlateItem, SlateRules, Source, Trigger
from stream.inspection import Inspection
from stream.screens.timeline import TimelineScreen, because
from stream.timeline import Happened, Rejected, Repeated, Shown, Started, Step, Waiting

T = 1_763_831_001_512  # 2025-11-22T17:03:21.512Z
ORIGIN = Origin("events", 3, 1041, T)
CLICK = Event(event_id="e9", type="click", user_id="u", time=T, items=(EventItem("tent-2"),))
STATE = StateChange(
    session="continued",
    session_id=None,
    session_items=4,
    session_ms=12 * 60_000,
    entered=("tent-2",),
    left=(),
    counts={"click": 5},
    opened=("s2",),
    closed=(),
    open_slates=("s1", "s2"),
)


def slate(number: int, *items: str) -> Slate:
    sources = (Source("popularity", 0.1), Source("session_knn", 0.4))
    return Slate(
        slate_id=f"events-3-{number}",
        user_id="u",
        tenant="default",
        scenario="feed",
        time=T,
        trigger=Trigger("e9", T, "events", 3, number),
        policy="softmax",
        policy_version="v1",
        seed=1,
        candidates=60,
        candidates_hash="",
        items=tuple(SlateItem(name, place, 0.5, 0.25, sources) for place, name in enumerate(items, 1)),
    )


def shown(before: Slate | None, after: Slate, *why: Explanation, took_ms: int = 12) -> Shown:
    return Shown(slate=after, change=slate_change(before, after), why=why, took_ms=took_ms)


def happened(**fields: Any) -> Happened:
    known = {"event": CLICK, "origin": ORIGIN, "state": STATE, "rewards": (), "shown": None}
    return Happened(**{**known, **fields})


def state(**fields: Any) -> StateChange:
    return StateChange(**{**{name: getattr(STATE, name) for name in STATE.__struct_fields__}, **fields})


def printed(*steps: Step, width: int = 110) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    screen = TimelineScreen(console, now=lambda: T)
    for step in steps:
        screen.step(step)
    assert isinstance(console.file, io.StringIO)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines() if line.strip()]


def test_an_event_is_told_with_its_time_its_place_and_what_it_changed() -> None:
    assert printed(happened()) == [
        "17:03:21.512 click tent-2 events-3 offset 1,041",
        "session goes on: 4 items in 12 min",
        "state 5 click; tent-2 entered; 2 slates open",
    ]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"session": "begun", "session_id": "s9"}, "session begins, id s9"),
        (
            {"session": "untouched", "session_items": 1, "session_ms": 1500},
            "session untouched, since too late or not the shopper's doing: 1 item in 1.5 s",
        ),
        ({"left": ("a", "b")}, "state 5 click; tent-2 entered; a, b fell out; 2 slates open"),
        ({"entered": (), "closed": ("s0",)}, "state 5 click; 2 slates open; s0 closed"),
    ],
)
def test_every_change_of_state_has_its_words(fields: dict[str, Any], told: str) -> None:
    assert told in printed(happened(state=state(**fields)))


def test_a_reward_names_the_slate_the_place_and_the_propensity_it_answers() -> None:
    reward = Reward(
        reward_id="r",
        slate_id="events-3-1039",
        event_id="e9",
        user_id="u",
        tenant="default",
        scenario="feed",
        item_id="tent-2",
        position=3,
        type="purchase",
        time=T,
        reward=5.0,
        value=19.9,
        currency="EUR",
        propensity=0.0431,
        policy="softmax",
        policy_version="v1",
        delay_seconds=3.4,
    )
    lines = printed(happened(rewards=(reward,)), width=160)
    assert lines[3] == (
        "reward 5 for tent-2 at place 3 of events-3-1039, 3.4 s later, worth 19.9 EUR; propensity 0.0431, "
        "policy softmax (v1)"
    )


def test_a_slate_is_told_with_what_moved_and_why_each_item_is_there() -> None:
    why = Explanation(item_id="a", rules=(Rule("tent-2", 1, 0.41),), session_count=3, session_share=0.32)
    step = happened(
        shown=shown(slate(1, "a", "b", "c"), slate(2, "b", "x", "c"), why, Explanation(item_id="x"), why)
    )
    assert printed(step)[3:] == [
        "slate events-3-2, 12 ms later, policy softmax (v1), scenario feed, 3 of 60 candidates",
        "1 new, 1 up, 0 down, 1 stay; gone: a",
        "place item score propensity why, as logged; because of whom, as the models are now",
        "1 up 1 b 0.500 0.2500 similar sessions 0.4, popular 0.1",
        "because of tent-2 (rule 0.41), 3 sessions like this one (0.32)",
        "2 new x 0.500 0.2500 similar sessions 0.4, popular 0.1",
        "nobody speaks for it now",
        "3 stays c 0.500 0.2500 similar sessions 0.4, popular 0.1",
        "because of tent-2 (rule 0.41), 3 sessions like this one (0.32)",
    ]


def test_the_first_slate_marks_nothing_as_new_and_a_long_one_is_cut() -> None:
    lines = printed(happened(shown=shown(None, slate(1, *"abcdefg"))))
    assert "1 a 0.500 0.2500 similar sessions 0.4, popular 0.1" in lines
    assert "place item score propensity why, as logged" in lines
    assert lines[-1] == "and 2 more"


def test_a_slate_under_rules_says_what_they_did() -> None:
    under = replace(slate(1, "a"), rules=SlateRules("12ab34cd", 3, 2))
    under = replace(under, items=(replace(under.items[0], rules=(RuleFactor("boost", 1.5),)),))
    lines = printed(happened(shown=shown(None, under)))
    assert "rules 12ab34cd: 3 excluded, 2 over a limit" in lines
    assert lines[-1] == "1 a 0.500 0.2500 similar sessions 0.4, popular 0.1; boosted x1.5"


def test_an_empty_slate_is_no_empty_table() -> None:
    assert printed(happened(shown=shown(None, slate(1))))[-1].startswith("empty: the models knew no item yet")


def test_a_slate_that_never_came_is_said() -> None:
    assert printed(happened(is_unanswered=True))[-1].startswith("slate none came: is FRESHSLATE_SLATE_TYPES")


@pytest.mark.parametrize(
    ("took_ms", "told"),
    [(0, "0 ms"), (999, "999 ms"), (1500, "1.5 s"), (65_000, "1 min"), (-70_000, "-1 min")],
)
def test_a_duration_has_its_largest_unit_and_its_sign(took_ms: int, told: str) -> None:
    lines = printed(happened(shown=shown(None, slate(1, "a"), took_ms=took_ms)))
    assert f"slate events-3-1, {told} later, policy" in lines[3]


def test_duplicates_and_dead_letters_are_said_as_such() -> None:
    lines = printed(
        Repeated(event=CLICK, origin=ORIGIN),
        Rejected(origin=ORIGIN, reason=REASONS[2], detail="no [bold]brackets", value="{"),
    )
    assert lines[1] == "duplicate of an earlier e9: it changes nothing"
    assert lines[2] == "17:03:21.512 dead letter events-3 offset 1,041"
    assert lines[3:] == ["because not_json: no [bold]brackets", "value {"]


def test_waiting_asks_for_a_worker() -> None:
    (one,) = printed(Waiting(awaits="worker", origin=ORIGIN, records=1))
    assert one == "1 event waits, the first at events-3 offset 1,041: no worker has taken it. Does one run?"
    (many,) = printed(Waiting(awaits="worker", origin=ORIGIN, records=1200), width=160)
    assert many.startswith("1,200 events wait, the first at")


def inspection(**fields: Any) -> Inspection:
    known = {"user_id": "u", "tenant": "default", "key": "u", "partition": 3, "expected_partition": 3}
    return Inspection(**{**known, "partitions": 8, "profile": None, "slates": (), **fields})


def test_the_beginning_is_what_inspect_shows_and_where_it_goes_on() -> None:
    profile = fold_event(NEW_PROFILE, CLICK, SessionRules()).profile
    lines = printed(Started(inspection=inspection(profile=profile), offsets={"events": 1042, "orders": 7}))
    assert lines[0] == "shopper u partition 3 of 8"
    assert "events 1 click" in lines
    assert lines[-1] == "following, from events-3 offset 1,042, orders-3 offset 7 on; Ctrl-C ends it"


def test_a_user_nobody_knows_is_waited_for() -> None:
    lines = printed(Started(inspection=inspection(), offsets={"events": 0}))
    assert lines[:2] == ["shopper u partition 3 of 8", "nothing is known of them yet"]


def test_the_largest_shares_come_first_whatever_the_source() -> None:
    session = LikeSession(4, T, 0.02, ("a",))
    told = because(
        Explanation(
            item_id="x",
            sessions=(session,),
            session_count=1,
            session_share=0.02,
            rules=(Rule("a", 1, 0.3), Rule("b", 2, 0.001)),
            popularity=Popular(3, 0.0015),
            history=OwnItem(2, 0.03),
        )
    )
    assert told == (
        "because of a (rule 0.3), own earlier item 2 back (0.03), 1 session like this one (0.02) and 2 more"
    )
    assert because(Explanation(item_id="x", popularity=Popular(3, 0.0015))) == (
        "because of popularity number 3 (0.0015)"
    )


def test_what_is_done_before_is_a_moving_line_on_a_terminal_and_else_a_line_each() -> None:
    plain = Console(file=io.StringIO(), width=80, color_system=None)
    screen = TimelineScreen(plain)
    for count in range(3):
        screen.doing(f"reading: {count} items")
    screen.doing("looking")
    assert isinstance(plain.file, io.StringIO)
    assert plain.file.getvalue() == "... reading: 0 items\n... looking\n"
    terminal = Console(file=io.StringIO(), width=80, force_terminal=True)
    with TimelineScreen(terminal) as screen:
        screen.doing("reading")
        screen.doing("looking")
        assert terminal._live_stack
    assert not terminal._live_stack
    assert isinstance(terminal.file, io.StringIO)
    assert "... " not in terminal.file.getvalue()


def test_the_first_step_ends_the_moving_line() -> None:
    terminal = Console(file=io.StringIO(), width=80, force_terminal=True)
    with TimelineScreen(terminal) as screen:
        screen.doing("reading")
        screen.step(happened())
        assert not terminal._live_stack
