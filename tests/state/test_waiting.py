from struct import pack

from hypothesis import given
from hypothesis import strategies as st

from state.attribution import answer, attribute, open_slate
from state.profile import MAX_BOUGHT, MAX_OPEN_SLATES, MAX_TOUCHED, NEW_PROFILE
from state.reward import DAY_MS, HOUR_MS
from state.waiting import in_time, split, waiting_in, with_waiting
from tests.state.shown import RULES, T, context_of, event, only, pool, profile, slate


class TestOpenSlate:
    def test_an_open_slate_keeps_items_and_propensities_to_the_last_bit(self):
        shown = slate(1, "a", "b", "c")
        (kept,) = profile(shown).open_slates
        assert [kept.position_of(item) for item in "abcd"] == [1, 2, 3, None]
        assert kept.propensities == pack("<3f", *[item.propensity for item in shown.items])
        assert (kept.slate_id, kept.time, kept.scenario) == (shown.slate_id, T, "feed")

    def test_an_event_does_not_answer_the_slate_it_asked_for(self):
        asked = event("click", "a", time=T)
        before = profile()
        assert attribute(before, asked, RULES) == ()
        assert len(attribute(open_slate(before, slate(1, "a"), RULES), asked, RULES)) == 1

    def test_a_slate_without_items_is_not_kept(self):
        before = profile(slate(1, "a"))
        assert open_slate(before, slate(2), RULES) is before

    def test_the_oldest_slates_make_room(self):
        shown = profile(*(slate(n, "a", time=T + n) for n in range(MAX_OPEN_SLATES + 2)))
        assert [s.slate_id for s in shown.open_slates] == ["events-0-2", "events-0-3", "events-0-4"]

    def test_slates_that_nothing_can_answer_any_more_are_dropped(self):
        week = RULES.longest_ms
        shown = profile(slate(1, "a"), slate(2, "a", time=T + 1), slate(3, "a", time=T + week + 1))
        assert [s.slate_id for s in shown.open_slates] == ["events-0-2", "events-0-3"]

    def test_slates_stand_in_order_of_time(self):
        shown = profile(slate(1, "a", time=T + 5), slate(2, "a", time=T))
        assert [s.slate_id for s in shown.open_slates] == ["events-0-2", "events-0-1"]

    def test_the_rest_of_the_profile_stays(self):
        before = NEW_PROFILE.__class__(items=("q",), times=(3,), types=b"\1", last_time=9)
        after = open_slate(before, slate(1, "a"), RULES)
        assert (after.items, after.times, after.types, after.last_time) == (("q",), (3,), b"\1", 9)


def clicked(shown, *items, kind="click", **fields):
    """The profile after feedback on these items."""
    for item in items:
        shown = with_waiting(shown, answer(waiting_in(shown), event(kind, item, **fields), RULES).waiting)
    return shown


def pushed(shown, *, start=T + HOUR_MS, count=MAX_OPEN_SLATES):
    """The profile after so many more slates, an hour apart."""
    for n in range(count):
        shown = open_slate(shown, slate(900 + n, "z", time=start + n * HOUR_MS), RULES)
    return shown


class TestTouched:
    def test_a_slate_that_makes_room_leaves_its_answered_items(self):
        shown = slate(1, "a", "b", "c", pool=pool("a", "b", "c"))
        (kept,) = pushed(clicked(profile(shown), "c", "a")).touched
        assert (kept.slate_id, kept.time, kept.scenario) == (shown.slate_id, T, "feed")
        assert (kept.policy, kept.policy_version) == ("softmax", "9c47385b")
        assert [kept.position_of(item) for item in "abc"] == [1, None, 3]
        assert [kept.propensity_at(n) for n in (1, 3)] == [
            shown.items[0].propensity,
            shown.items[2].propensity,
        ]
        assert [kept.context_at(n) for n in (1, 3)] == [context_of("a"), context_of("c")]
        assert (kept.answered, kept.seen, len(kept.items), len(kept.propensities)) == (b"\1\3", b"", 8, 8)

    def test_a_slate_that_nobody_answered_leaves_nothing(self):
        assert pushed(profile(slate(1, "a"))).touched == ()

    def test_a_slate_keeps_no_contexts_where_it_had_none(self):
        (kept,) = pushed(clicked(profile(slate(1, "a")), "a")).touched
        assert (kept.context, kept.context_at(1)) == (b"", b"")

    def test_it_goes_when_no_feedback_can_answer_it_any_more(self):
        held = pushed(clicked(profile(slate(1, "a")), "a"))
        at_last = open_slate(held, slate(5, "z", time=T + 7 * DAY_MS), RULES)
        assert len(at_last.touched) == 1
        assert open_slate(at_last, slate(6, "z", time=T + 7 * DAY_MS + 1), RULES).touched == ()

    def test_a_purchase_stays_for_as_long_as_it_may_be_refunded(self):
        held = clicked(profile(slate(1, "a", "b")), "a", "b")
        held = clicked(held, "a", kind="purchase", time=T + DAY_MS)
        late = pushed(held, start=T + 8 * DAY_MS - HOUR_MS, count=2)
        assert [each.answered for each in late.touched] == [b"\1"]
        assert pushed(late, start=T + 8 * DAY_MS + 1, count=1).touched == ()

    def test_the_oldest_items_make_room(self):
        held = profile()
        for n in range(4):
            held = open_slate(held, slate(n, "a", "b", "c", time=T + n), RULES)
            held = clicked(held, "a", "b", "c", slate_id=f"events-0-{n}")
        held = pushed(held)
        assert [(each.slate_id, each.answered) for each in held.touched] == [
            ("events-0-1", b"\1\2"),
            ("events-0-2", b"\1\2\3"),
            ("events-0-3", b"\1\2\3"),
        ]

    def test_what_is_dropped_of_a_slate_takes_its_purchases_along(self):
        items = [f"i{n}" for n in range(MAX_TOUCHED + 1)]
        held = clicked(profile(slate(1, *items)), items[0], items[-1], kind="purchase")
        (kept,) = pushed(clicked(held, *items[1:-1])).touched
        assert kept.answered == bytes(range(1, MAX_TOUCHED + 1))
        assert [each.position for each in kept.bought] == [1]

    def test_the_latest_slate_counts_even_where_a_touched_one_is_later(self):
        """The log's time may go back: an old slate opens when later ones have already made room."""
        held = pushed(clicked(profile(slate(1, "a", time=T)), "a"), start=T + 8 * DAY_MS, count=1)
        held = clicked(held, "z", time=T + 8 * DAY_MS + 1)
        held = pushed(held, start=T + 9 * DAY_MS)
        old = with_waiting(held, split([*held.touched, profile(slate(2, "z", time=T)).open_slates[0]]))
        assert [each.slate_id for each in in_time(waiting_in(old))] == ["events-0-2", "events-0-900"]
        late = attribute(old, event("purchase", "z", time=T + 8 * DAY_MS + 2), RULES)
        assert only(late).slate_id == "events-0-900"


SHOWN = st.lists(
    st.tuples(st.lists(st.sampled_from("abcdef"), max_size=5, unique=True), st.integers(T, T + 8 * DAY_MS)),
    max_size=5,
).map(lambda shown: [slate(n, *items, time=time) for n, (items, time) in enumerate(shown)])
LOGS = st.lists(
    st.tuples(
        st.sampled_from(["slate", "click", "purchase", "refund", "add_to_cart"]),
        st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6, unique=True),
        st.integers(0, 9 * DAY_MS),
    ),
    max_size=25,
)


@given(LOGS)
def test_what_waits_is_bounded_in_order_and_within_its_horizons(log):
    held, now = NEW_PROFILE, 0
    for n, (kind, items, time) in enumerate(log):
        if kind == "slate":
            held, now = open_slate(held, slate(n, *items, time=T + time), RULES), T + time
        else:
            held = clicked(held, *items, kind=kind, time=T + time, event_id=f"e{n}")
        waiting = [*held.open_slates, *held.touched]
        assert len(held.open_slates) <= MAX_OPEN_SLATES
        assert sum(len(each.answered) for each in held.touched) <= MAX_TOUCHED
        assert sum(len(each.bought) for each in waiting) <= MAX_BOUGHT
        for some in (held.open_slates, held.touched):
            times = [each.time for each in some]
            assert times == sorted(times)
        for each in held.touched:
            assert len(each.items) == len(each.propensities) == 4 * len(each.answered)
            assert {one.position for one in each.bought} <= set(each.answered)
            last = max([each.time + RULES.longest_ms, *_refundable(each)])
            assert kind != "slate" or last >= now


def _refundable(each):
    return [each.time + one.delay + RULES.refund_ms for one in each.bought]


@given(SHOWN)
def test_open_slates_stay_bounded_in_order_and_within_the_longest_horizon(shown):
    held = NEW_PROFILE
    for each in shown:
        held = open_slate(held, each, RULES)
        times = [s.time for s in held.open_slates]
        assert len(times) <= MAX_OPEN_SLATES
        assert times == sorted(times)
        assert not each.items or all(time >= each.time - RULES.longest_ms for time in times)
