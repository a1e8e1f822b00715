from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from state.attribution import answer, open_slate
from state.exposure import HOWS, Exposed, pack_exposures, see, see_in, size_of
from state.policy.context import CONTEXT_SET, CONTEXT_SIZE
from state.reward import DAY_MS, HOUR_MS, MINUTE_MS, reward_rules
from state.waiting import Waiting, waiting_in, with_waiting
from tests.state.shown import RULES, T, context_of, event, only, pool, profile, slate

ITEMS = "abcdefghij"
ONE = waiting_in(profile(slate(1, *ITEMS)))
ALL = bytes(range(1, 11))


def seen_by(waiting, *events, exposing="acted", rules=RULES):
    """Slate id, positions and how of what each event exposes, in order."""
    exposed = []
    for each in events:
        found = answer(waiting, each, rules, exposing)
        waiting = found.waiting
        exposed += [(one.slate.slate_id, one.positions, one.how) for one in found.exposed]
    return exposed


class TestSeen:
    def test_an_item_is_seen_once(self):
        (shown,) = ONE.open
        once, new = see(shown, (3, 1, 3), "acted")
        assert (once.seen, new) == (b"\x05\x00", Exposed(shown, b"\1\3", "acted"))
        twice, new = see(once, (1, 2, 3), "acted")
        assert (twice.seen, new.positions) == (b"\x07\x00", b"\2")
        assert see(twice, (1, 2), "acted") == (twice, None)

    def test_only_slates_with_positions_are_touched(self):
        two = profile(slate(1, "a"), slate(2, "a", time=T + 1)).open_slates
        after, exposed = see_in(two, {"events-0-2": (1,), "events-0-9": (1,)}, "acted")
        assert after[0] is two[0]
        assert [(each.slate.slate_id, each.positions) for each in exposed] == [("events-0-2", b"\1")]

    def test_the_size_of_a_slate_is_its_items(self):
        assert size_of(only(ONE.open)) == 10

    @given(st.lists(st.lists(st.integers(1, 10), max_size=4), max_size=6))
    def test_seen_is_the_union_and_each_position_comes_once(self, looks):
        (shown,), found = ONE.open, []
        for its in looks:
            shown, new = see(shown, tuple(its), "impression")
            found += new.positions if new else b""
        assert sorted(found) == sorted({position for its in looks for position in its})
        bits = int.from_bytes(shown.seen, "little")
        assert {n for n in range(1, 17) if bits >> (n - 1) & 1} == set(found)


class TestActed:
    def test_an_act_that_passes_the_slate_over_has_seen_all_of_it(self):
        assert seen_by(ONE, event("view", "z")) == [("events-0-1", ALL, "acted")]
        assert seen_by(ONE, event("search")) == [("events-0-1", ALL, "acted")]

    def test_a_click_has_seen_what_stands_above_it(self):
        assert seen_by(ONE, event("click", "d")) == [("events-0-1", b"\1\2\3\4", "acted")]

    def test_a_deeper_click_adds_the_rest_and_a_higher_one_nothing(self):
        clicks = [event("click", item) for item in "dbf"]
        assert [positions for _, positions, _ in seen_by(ONE, *clicks)] == [b"\1\2\3\4", b"\5\6"]

    def test_after_a_click_an_act_elsewhere_adds_nothing(self):
        acts = event("click", "b"), event("view", "z")
        assert [positions for _, positions, _ in seen_by(ONE, *acts)] == [b"\1\2"]

    def test_a_slate_is_passed_over_once(self):
        assert len(seen_by(ONE, event("view", "y"), event("view", "z"))) == 1

    def test_a_purchase_of_several_items_has_seen_down_to_the_deepest(self):
        assert seen_by(ONE, event("purchase", "e", "b")) == [("events-0-1", b"\1\2\3\4\5", "acted")]

    def test_a_skip_of_an_item_has_seen_down_to_it_though_it_earns_nothing(self):
        assert seen_by(ONE, event("skip", "c")) == [("events-0-1", b"\1\2\3", "acted")]

    def test_a_click_that_is_worth_nothing_has_seen_down_to_it_too(self):
        only_purchases = reward_rules("purchase=1")
        assert seen_by(ONE, event("click", "c"), rules=only_purchases) == [("events-0-1", b"\1\2\3", "acted")]

    def test_a_click_on_one_slate_passes_the_other_over(self):
        two = waiting_in(profile(slate(1, "a", "b"), slate(2, "c", "d", time=T + 1)))
        assert seen_by(two, event("click", "a")) == [
            ("events-0-1", b"\1", "acted"),
            ("events-0-2", b"\1\2", "acted"),
        ]

    def test_a_refund_and_an_impression_of_something_else_are_no_acts(self):
        assert seen_by(ONE, event("refund", "z"), event("impression", "z")) == []

    def test_an_act_before_the_slate_by_more_than_the_skew_has_not_seen_it(self):
        assert seen_by(ONE, event("view", "z", time=T - 30_001)) == []
        assert len(seen_by(ONE, event("view", "z", time=T - 30_000))) == 1

    def test_an_act_when_nothing_can_answer_the_slate_any_more_has_not_seen_it(self):
        assert seen_by(ONE, event("view", "z", time=T + 7 * DAY_MS + 1)) == []
        assert len(seen_by(ONE, event("view", "z", time=T + 7 * DAY_MS))) == 1

    def test_an_impression_counts_and_what_it_left_out_is_not_passed_over(self):
        told = event("impression", "a", "b", slate_id="events-0-1")
        assert seen_by(ONE, told, event("view", "z")) == [("events-0-1", b"\1\2", "impression")]

    def test_a_touched_item_was_seen_when_it_was_answered(self):
        held = with_waiting(profile(), answer(ONE, event("click", "a"), RULES).waiting)
        for n in range(3):
            held = open_slate(held, slate(90 + n, "z", time=T + MINUTE_MS + n), RULES)
        touched = Waiting((), held.touched)
        bought = answer(touched, event("purchase", "a", time=T + HOUR_MS), RULES)
        assert (len(bought.rewards), list(bought.exposed)) == (1, [])


class TestImpressions:
    def see(self, *events, waiting=ONE):
        return seen_by(waiting, *events, exposing="impressions")

    def test_acts_expose_nothing_but_the_very_item(self):
        assert self.see(event("view", "z"), event("search")) == []
        assert self.see(event("click", "d")) == [("events-0-1", b"\4", "acted")]

    def test_an_impression_that_names_its_slate_alone_shows_all_of_it(self):
        assert self.see(event("impression", slate_id="events-0-1")) == [("events-0-1", ALL, "impression")]

    def test_an_impression_shows_its_items(self):
        told = event("impression", "c", "a", "z", slate_id="events-0-1")
        assert self.see(told) == [("events-0-1", b"\1\3", "impression")]

    def test_an_impression_without_a_slate_shows_the_latest_that_holds_the_items(self):
        two = waiting_in(profile(slate(1, "a", "b"), slate(2, "b", "c", time=T + 1)))
        assert self.see(event("impression", "a", "b", "c"), waiting=two) == [
            ("events-0-1", b"\1", "impression"),
            ("events-0-2", b"\1\2", "impression"),
        ]

    def test_an_impression_after_its_click_adds_the_others(self):
        told = event("impression", slate_id="events-0-1")
        assert self.see(event("click", "d"), told) == [
            ("events-0-1", b"\4", "acted"),
            ("events-0-1", b"\1\2\3\5\6\7\x08\x09\x0a", "impression"),
        ]

    def test_an_impression_again_shows_nothing_new(self):
        told = event("impression", slate_id="events-0-1")
        assert len(self.see(told, told, event("impression", "a"))) == 1

    @pytest.mark.parametrize("time", [T - 30_001, T + 7 * DAY_MS + 1])
    def test_an_impression_at_another_time_shows_nothing(self, time):
        assert self.see(event("impression", slate_id="events-0-1", time=time)) == []
        assert self.see(event("impression", "a", time=time)) == []


class TestPacked:
    TWO = (
        slate(1, "a", "b", "c", pool=pool("c", "b", "a")),
        slate(2, "b", "d", time=T + 5),
    )

    def exposed(self, *shown):
        return [Exposed(each, positions, HOWS[0]) for each, positions in shown]

    def test_nothing_seen_is_absent(self):
        assert pack_exposures(()) is UNSET

    def test_slates_are_named_once_and_items_point_at_them(self):
        one, two = profile(*self.TWO).open_slates
        packed = pack_exposures(self.exposed((one, b"\1"), (two, b"\1\2"), (one, b"\3")))
        assert (packed.slates, packed.times) == (("events-0-1", "events-0-2"), (T, T + 5))
        assert packed.policies == ("softmax/9c47385b",) * 2
        assert (packed.slate, packed.position) == ((0, 1, 1, 0), (1, 1, 2, 3))

    def test_contexts_are_rows_of_zeros_where_a_slate_keeps_none(self):
        one, two = profile(*self.TWO).open_slates
        packed = pack_exposures(self.exposed((two, b"\2"), (one, b"\1\3")))
        assert b64decode(packed.context) == bytes(CONTEXT_SIZE) + context_of("a") + context_of("c")
        assert packed.context_set == CONTEXT_SET

    def test_there_are_no_contexts_where_no_slate_keeps_any(self):
        (two,) = profile(self.TWO[1]).open_slates
        assert pack_exposures(self.exposed((two, b"\1"))).context == ""
