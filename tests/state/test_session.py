import itertools
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from state.event import EVENT_TYPES, FORGET, POSITIVE_TYPES, TYPE_CODES, Event, EventItem
from state.profile import MAX_ITEMS, MAX_SEEN, NEW_PROFILE, SEEN_BYTES, OpenSlate
from state.session import (
    FAR,
    SessionRules,
    bought_since,
    current_item,
    event_hash,
    fold_event,
    older_items,
    session_items,
    session_key,
)

GAP = 30 * 60 * 1000
RULES = SessionRules(gap_ms=GAP)
T0 = 1_763_831_000_000
numbers = itertools.count()


def event(time, *items, type_="click", session_id=None, event_id=None, user_id="u"):
    return Event(
        event_id=event_id or f"e{next(numbers)}",
        type=type_,
        user_id=user_id,
        time=T0 + time,
        session_id=session_id,
        items=tuple(EventItem(item) for item in items),
    )


def fold(events, profile=NEW_PROFILE):
    for each in events:
        profile = fold_event(profile, each, RULES).profile
    return profile


def history(profile):
    times = [profile.base + each for each in profile.times]
    return list(zip(profile.items, times, profile.types, strict=True))


class TestSessions:
    def test_the_first_event_begins_a_session(self):
        folded = fold_event(NEW_PROFILE, event(0, "a"), RULES)
        assert folded.new_session
        assert folded.profile.session_key == session_key("u", T0, None)
        assert (folded.profile.session_start, folded.profile.last_time) == (T0, T0)

    def test_activity_within_the_gap_continues_the_session(self):
        before = fold([event(0, "a")])
        folded = fold_event(before, event(GAP, "b"), RULES)
        assert not folded.new_session
        assert folded.profile.session_key == before.session_key
        assert session_items(folded.profile) == ("a", "b")

    def test_inactivity_beyond_the_gap_ends_the_session(self):
        before = fold([event(0, "a")])
        folded = fold_event(before, event(GAP + 1, "b"), RULES)
        assert folded.new_session
        assert folded.profile.session_key != before.session_key
        assert (session_items(folded.profile), older_items(folded.profile)) == (("b",), ("a",))

    def test_many_short_pauses_are_one_session(self):
        assert session_items(fold([event(n * GAP, str(n)) for n in range(5)])) == ("0", "1", "2", "3", "4")

    @pytest.mark.parametrize("type_", ["impression", "skip", "search", "remove_from_cart"])
    def test_other_activity_extends_the_session_without_entering_the_history(self, type_):
        profile = fold([event(0, "a"), event(GAP, "x", type_=type_), event(2 * GAP, "b")])
        assert session_items(profile) == ("a", "b")
        assert profile.counts[TYPE_CODES[type_]] == 1

    def test_a_refund_is_not_activity(self):
        profile = fold([event(0, "a"), event(GAP, "a", type_="refund")])
        assert profile.last_time == T0
        folded = fold_event(profile, event(2 * GAP, "b"), RULES)
        assert folded.new_session
        assert folded.profile.counts[TYPE_CODES["refund"]] == 1

    def test_a_refund_of_an_unknown_user_gives_the_profile_a_time_but_no_session(self):
        profile = fold([event(500, "a", type_="refund"), event(100, "b", type_="refund")])
        assert (profile.session_key, profile.last_time, profile.items) == (0, T0 + 500, ())
        folded = fold_event(profile, event(200, "c"), RULES)
        assert folded.new_session
        assert (folded.profile.session_start, folded.profile.last_time) == (T0 + 200, T0 + 200)

    def test_another_session_id_begins_a_session_without_any_gap(self):
        before = fold([event(0, "a", session_id="s1")])
        folded = fold_event(before, event(1, "b", session_id="s2"), RULES)
        assert folded.new_session
        assert folded.profile.session_id == "s2"
        assert session_items(folded.profile) == ("b",)

    def test_the_same_session_id_continues_after_a_gap(self):
        profile = fold([event(0, "a", session_id="s1"), event(5 * GAP, "b", session_id="s1")])
        assert session_items(profile) == ("a", "b")

    def test_an_event_without_session_id_goes_by_the_gap(self):
        profile = fold(
            [event(0, "a", session_id="s1"), event(GAP, "b"), event(GAP + 1, "c", session_id="s1")]
        )
        assert session_items(profile) == ("a", "b", "c")
        profile = fold([event(3 * GAP, "d")], profile)
        assert (session_items(profile), profile.session_id) == (("d",), None)

    def test_a_session_takes_its_id_from_the_first_event_that_has_one(self):
        profile = fold([event(0, "a"), event(1, "b", session_id="s1")])
        assert (profile.session_id, session_items(profile)) == ("s1", ("a", "b"))
        assert profile.session_key == session_key("u", T0, None)

    def test_a_session_id_that_returns_is_a_new_session(self):
        keys = set()
        profile = NEW_PROFILE
        for time, name in enumerate(["s1", "s2", "s1"]):
            profile = fold([event(time, "a", session_id=name)], profile)
            keys.add(profile.session_key)
        assert len(keys) == 3


class TestLateEvents:
    def test_a_late_event_does_not_move_the_session(self):
        before = fold([event(0, "a"), event(1000, "c")])
        folded = fold_event(before, event(500, "b"), RULES)
        assert not folded.new_session
        assert session_items(folded.profile) == ("a", "b", "c")
        assert folded.profile.last_time == T0 + 1000
        assert folded.learned[0].session_key == before.session_key

    def test_a_session_starts_earlier_by_a_late_event_within_the_gap(self):
        before = fold([event(GAP, "b")])
        folded = fold_event(before, event(0, "a"), RULES)
        assert folded.profile.session_start == T0
        assert session_items(folded.profile) == ("a", "b")
        assert folded.profile.session_key == before.session_key

    def test_an_event_of_an_older_session_enters_the_history_only(self):
        before = fold([event(GAP + 1, "b")])
        folded = fold_event(before, event(0, "a"), RULES)
        assert (older_items(folded.profile), session_items(folded.profile)) == (("a",), ("b",))
        assert [lesson.session_key for lesson in folded.learned] == [0]
        assert folded.profile.session_start == T0 + GAP + 1

    def test_a_late_event_of_another_session_id_begins_no_session(self):
        before = fold([event(0, "a", session_id="s1"), event(1000, "b", session_id="s2")])
        folded = fold_event(before, event(500, "x", session_id="s1"), RULES)
        assert not folded.new_session
        assert folded.profile.session_id == "s2"
        assert folded.learned[0].session_key == 0

    def test_a_late_event_of_the_same_session_id_belongs_however_late(self):
        before = fold([event(9 * GAP, "b", session_id="s1")])
        folded = fold_event(before, event(0, "a", session_id="s1"), RULES)
        assert session_items(folded.profile) == ("a", "b")
        assert folded.learned[0].session_key == before.session_key

    def test_events_of_one_time_keep_the_order_of_the_log(self):
        profile = fold([event(0, "a"), event(9, "z"), event(0, "b"), event(0, "c")])
        assert session_items(profile) == ("a", "b", "c", "z")

    def test_what_is_older_than_a_full_history_does_not_enter_it(self):
        before = fold([event(n, str(n)) for n in range(1, MAX_ITEMS + 1)])
        folded = fold_event(before, event(0, "late"), RULES)
        assert folded.profile.items == before.items
        assert [lesson.item_id for lesson in folded.learned] == ["late"]


class TestDuplicates:
    def test_a_duplicate_changes_nothing(self):
        profile = fold([event(0, "a", event_id="one"), event(1, "b", event_id="two")])
        folded = fold_event(profile, event(99, "x", event_id="one"), RULES)
        assert folded == (profile, (), True, False)
        assert folded.profile is profile

    def test_the_window_holds_the_latest_ids(self):
        ids = [f"id{n}" for n in range(MAX_SEEN + 1)]
        profile = fold([event(n, "a", event_id=each) for n, each in enumerate(ids)])
        again = [fold_event(profile, event(0, "a", event_id=each), RULES).duplicate for each in ids]
        assert again == [False] + [True] * MAX_SEEN
        assert len(profile.seen) == MAX_SEEN * SEEN_BYTES

    def test_a_hash_across_two_neighbours_is_no_duplicate(self):
        digest = event_hash("one")
        profile = replace(NEW_PROFILE, seen=b"\0\0\0" + digest + b"\0\0\0")
        assert not fold_event(profile, event(0, "a", event_id="one"), RULES).duplicate
        profile = replace(NEW_PROFILE, seen=b"\0\0\0" + digest + b"\0\0\0" + digest)
        assert fold_event(profile, event(0, "a", event_id="one"), RULES).duplicate

    @given(st.lists(st.integers(0, 12), max_size=40))
    def test_a_log_with_duplicates_folds_like_the_log_without(self, ids):
        first = list(dict.fromkeys(ids))
        events = {each: event(each, "a", event_id=f"id{each}") for each in first}
        assert fold([events[each] for each in ids]) == fold([events[each] for each in first])


class TestHistory:
    def test_a_purchase_of_fifty_items_keeps_the_latest_and_teaches_all(self):
        items = [f"i{n}" for n in range(50)]
        folded = fold_event(NEW_PROFILE, event(0, *items, type_="purchase"), RULES)
        assert folded.profile.items == tuple(items[-MAX_ITEMS:])
        assert [lesson.item_id for lesson in folded.learned] == items
        assert folded.profile.counts[TYPE_CODES["purchase"]] == 1

    def test_a_view_a_click_and_a_cart_of_one_item_are_three_entries(self):
        profile = fold([event(n, "a", type_=t) for n, t in enumerate(["view", "click", "add_to_cart"])])
        assert profile.items == ("a", "a", "a")
        assert [EVENT_TYPES[code] for code in profile.types] == ["view", "click", "add_to_cart"]

    def test_only_positive_types_teach(self):
        taught = {
            name for name in EVENT_TYPES if fold_event(NEW_PROFILE, event(0, "a", type_=name), RULES).learned
        }
        assert taught == POSITIVE_TYPES

    def test_lessons_carry_session_time_and_type(self):
        folded = fold_event(NEW_PROFILE, event(5, "a", type_="like"), RULES)
        assert folded.learned == (("a", folded.profile.session_key, T0 + 5, TYPE_CODES["like"]),)

    def test_times_of_a_sparse_user_stay_exact(self):
        year = 365 * 86_400_000
        profile = fold([event(0, "a"), event(year, "b"), event(2 * year, "c"), event(year, "d")])
        assert [(item, time - T0) for item, time, _ in history(profile)] == [
            ("a", 0),
            ("b", year),
            ("d", year),
            ("c", 2 * year),
        ]

    def test_a_very_late_event_moves_the_base(self):
        profile = fold([event(FAR + 1, "b"), event(0, "a")])
        assert (profile.base, profile.times) == (T0, (0, FAR + 1))

    def test_open_slates_stay(self):
        slate = OpenSlate("s", 1, "feed", "softmax", "v", b"", b"")
        assert fold([event(0, "a")], replace(NEW_PROFILE, open_slates=(slate,))).open_slates == (slate,)

    def test_counts_of_an_older_profile_grow_with_the_types(self):
        profile = fold([event(0, "a", type_="skip")], replace(NEW_PROFILE, counts=(3,)))
        assert profile.counts == (3, 0, 0, 0, 0, 0, 0, 0, 0, 1)

    def test_the_current_item_is_the_latest_of_the_session(self):
        assert current_item(NEW_PROFILE) is None
        assert current_item(fold([event(0, "a"), event(1, "b")])) == "b"
        assert current_item(fold([event(0, "a"), event(2 * GAP, type_="search")])) is None

    def test_what_was_bought_since(self):
        profile = fold([event(0, "a", type_="purchase"), event(5, "b"), event(9, "c", "d", type_="purchase")])
        assert bought_since(profile, T0 + 1) == {"c", "d"}
        assert bought_since(profile, T0) == {"a", "c", "d"}
        assert bought_since(profile, T0 + 10) == frozenset()
        assert bought_since(fold([event(0, "a")]), 0) == frozenset()


class TestProperties:
    events = st.lists(
        st.builds(
            lambda time, item, type_, session: (time, item, type_, session),
            st.integers(0, 6 * GAP),
            st.sampled_from("abcdef"),
            st.sampled_from(EVENT_TYPES),
            st.sampled_from([None, None, "s1", "s2"]),
        ),
        max_size=60,
    )

    @given(events)
    def test_every_bound_and_order_holds_after_every_event(self, drawn):
        profile = NEW_PROFILE
        activity = []
        for time, item, type_, session in drawn:
            folded = fold_event(profile, event(time, item, type_=type_, session_id=session), RULES)
            if type_ != "refund":
                activity.append(T0 + time)
            after = folded.profile
            assert not folded.duplicate
            assert list(after.times) == sorted(after.times)
            assert len(after.items) == len(after.times) == len(after.types) <= MAX_ITEMS
            assert len(after.seen) <= MAX_SEEN * SEEN_BYTES
            assert after.last_time == max(activity, default=after.last_time)
            assert after.session_start <= after.last_time
            assert session_items(after) == after.items[len(older_items(after)) :]
            assert folded.new_session == (after.session_key != profile.session_key)
            assert 0 <= after.session_key < 2**53
            assert sum(after.counts) == sum(profile.counts) + 1
            profile = after

    @given(st.permutations(list(range(MAX_ITEMS + 8))))
    def test_the_history_does_not_depend_on_the_order_of_arrival(self, order):
        profile = fold([event(time, str(time)) for time in order])
        assert [time - T0 for _, time, _ in history(profile)] == list(range(8, MAX_ITEMS + 8))

    @given(events, st.integers(0, 60))
    def test_a_fold_may_stop_and_go_on_anywhere(self, drawn, cut):
        log = [
            event(time, item, type_=type_, session_id=session, event_id=f"n{n}")
            for n, (time, item, type_, session) in enumerate(drawn)
        ]
        assert fold(log[cut:], fold(log[:cut])) == fold(log)

    @given(st.text(min_size=1), st.integers(0, 10**14), st.one_of(st.none(), st.text()))
    def test_a_session_key_fits_a_json_number(self, user, start, session_id):
        assert 0 < session_key(user, start, session_id) < 2**53


def test_session_keys_and_hashes_are_the_same_in_every_process():
    code = (
        "from state.session import event_hash, session_key;"
        "print(session_key('u', 1763831000000, 's'), event_hash('e').hex())"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=root,
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": str(root)},
    )
    assert done.stdout.split() == [str(session_key("u", 1_763_831_000_000, "s")), event_hash("e").hex()]


def test_a_gap_must_be_positive():
    with pytest.raises(ValueError, match="gap_ms must be at least 1"):
        SessionRules(gap_ms=0)


def test_a_user_who_is_forgotten_is_new_whatever_the_id_of_the_wish():
    known = fold_event(NEW_PROFILE, event(0, "a", event_id="e"), RULES).profile
    folded = fold_event(known, event(1, type_=FORGET, event_id="e"), RULES)
    assert folded == (NEW_PROFILE, (), False, False)
