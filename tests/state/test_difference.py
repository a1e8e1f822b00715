"""What an event changed."""

from hypothesis import given
from hypothesis import strategies as st

from state.attribution import open_slate
from state.difference import StateChange, move, slate_change, state_change
from state.event import EVENT_TYPES, Event, EventItem
from state.profile import MAX_ITEMS, NEW_PROFILE, Profile
from state.reward import RewardRules
from state.session import SessionRules, fold_event, session_items
from state.slate import Slate, SlateItem, Trigger

T = 1_700_000_000_000
MINUTE = 60_000
RULES = SessionRules()


def event(number: int, kind: str = "click", *items: str, minutes: float = 0, **fields: object) -> Event:
    given = {"event_id": f"e{number}", "type": kind, "user_id": "u", "time": T + int(minutes * MINUTE)}
    return Event(**{**given, "items": tuple(map(EventItem, items)), **fields})  # type: ignore[arg-type]


def slate(number: int, *items: str) -> Slate:
    return Slate(
        slate_id=f"s{number}",
        user_id="u",
        tenant="default",
        scenario="feed",
        time=T + number,
        trigger=Trigger("e", T, "events", 0, number),
        policy="softmax",
        policy_version="1",
        seed=1,
        candidates=9,
        candidates_hash="",
        items=tuple(SlateItem(name, place, 0.5, 0.25, ()) for place, name in enumerate(items, 1)),
    )


def changed(before: Profile, new: Event, answer: Slate | None = None) -> tuple[Profile, StateChange]:
    after = fold_event(before, new, RULES).profile
    if answer is not None:
        after = open_slate(after, answer, RewardRules())
    return after, state_change(before, after, new, RULES)


def test_the_first_event_begins_a_session_and_its_item_enters() -> None:
    _, change = changed(NEW_PROFILE, event(1, "click", "a", session_id="s9"), slate(1, "x"))
    assert change == StateChange(
        session="begun",
        session_id="s9",
        session_items=1,
        session_ms=0,
        entered=("a",),
        left=(),
        counts={"click": 1},
        opened=("s1",),
        closed=(),
        open_slates=("s1",),
    )


def test_a_session_is_continued_within_the_gap_and_begun_beyond_it() -> None:
    profile, _ = changed(NEW_PROFILE, event(1, "click", "a"))
    profile, near = changed(profile, event(2, "view", "b", minutes=12))
    _, far = changed(profile, event(3, "view", "b", minutes=60))
    assert (near.session, near.session_items, near.session_ms) == ("continued", 2, 12 * MINUTE)
    assert (far.session, far.session_items, far.session_ms) == ("begun", 1, 0)


def test_what_is_too_late_or_a_refund_leaves_the_session_alone() -> None:
    profile, _ = changed(NEW_PROFILE, event(1, "click", "a"))
    for number, kind in enumerate(("click", "impression", "skip"), 2):
        _, late = changed(profile, event(number, kind, "b", minutes=-300))
        assert late.session == "untouched"
        _, current = changed(profile, event(number, kind, "b", minutes=-1))
        assert current.session == "continued"
    _, refund = changed(profile, event(9, "refund", "a", minutes=1))
    assert refund.session == "untouched"
    assert refund.counts == {"refund": 1}


def test_an_event_that_is_no_interaction_enters_nothing() -> None:
    profile, _ = changed(NEW_PROFILE, event(1, "click", "a"))
    _, change = changed(profile, event(2, "impression", "a", "b"))
    assert (change.entered, change.left, change.session_items) == ((), (), 1)
    assert change.counts == {"impression": 1}


def test_a_full_history_lets_the_oldest_fall_out() -> None:
    profile = NEW_PROFILE
    for number in range(MAX_ITEMS):
        profile, _ = changed(profile, event(number, "click", f"i{number}", minutes=number))
    _, change = changed(profile, event(99, "purchase", "x", "y", minutes=99))
    assert (change.entered, change.left) == (("x", "y"), ("i0", "i1"))


def test_slates_that_await_feedback_are_opened_and_closed() -> None:
    profile = NEW_PROFILE
    for number in range(3):
        profile, _ = changed(profile, event(number, "click", "a"), slate(number, "x"))
    _, change = changed(profile, event(9, "click", "a"), slate(9, "x"))
    assert (change.opened, change.closed, change.open_slates) == (("s9",), ("s0",), ("s1", "s2", "s9"))


@given(
    st.lists(
        st.tuples(st.sampled_from(EVENT_TYPES), st.sampled_from("abc"), st.integers(-90, 90)), max_size=45
    )
)
def test_the_changes_add_up_to_the_profile(log: list[tuple[str, str, int]]) -> None:
    profile, held, counts = NEW_PROFILE, 0, dict.fromkeys(EVENT_TYPES, 0)
    for number, (kind, item, minutes) in enumerate(log):
        profile, change = changed(profile, event(number, kind, item, minutes=minutes))
        held += len(change.entered) - len(change.left)
        counts |= change.counts
        assert change.session_items == len(session_items(profile))
    assert held == len(profile.items)
    assert tuple(counts.values()) == profile.counts


def test_items_enter_move_stay_and_leave() -> None:
    change = slate_change(slate(1, "a", "b", "c", "d", "e"), slate(2, "a", "c", "x", "b"))
    assert [(place.item.item_id, place.before, move(place)) for place in change.places] == [
        ("a", 1, "stayed"),
        ("c", 3, "up"),
        ("x", None, "entered"),
        ("b", 2, "down"),
    ]
    assert change.left == ("d", "e")
    assert change.count() == {"entered": 1, "up": 1, "down": 1, "stayed": 1, "left": 2}
    assert not change.is_first


def test_the_first_slate_has_only_new_items() -> None:
    change = slate_change(None, slate(1, "a", "b"))
    assert change.count() == {"entered": 2, "up": 0, "down": 0, "stayed": 0, "left": 0}
    assert change.is_first
