import math
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.attribution import (
    DAY_MS,
    DEFAULT_RULES,
    HOUR_MS,
    MINUTE_MS,
    RewardRule,
    RewardRules,
    attribute,
    open_slate,
)
from state.event import EVENT_TYPES, Event, EventItem
from state.profile import MAX_OPEN_SLATES, NEW_PROFILE
from state.shortest import as_double
from state.slate import Slate, SlateItem, Trigger

RULES = RewardRules()
T = 1_700_000_000_000


def slate(offset, *items, time=T, scenario="feed"):
    """A slate of these items with propensities .9, .81, ... of float32, as they are read."""
    return Slate(
        slate_id=f"events-0-{offset}",
        user_id="u",
        tenant="shop",
        scenario=scenario,
        time=time,
        trigger=Trigger(f"e{offset}", time, "events", 0, offset),
        policy="softmax",
        policy_version="9c47385b",
        seed=offset,
        candidates=60,
        candidates_hash="0" * 16,
        items=tuple(
            SlateItem(item, position, 1.0, as_double(0.9**position), ())
            for position, item in enumerate(items, start=1)
        ),
    )


def event(type_, *items, time=T + MINUTE_MS, **fields):
    lines = tuple(item if isinstance(item, EventItem) else EventItem(item) for item in items)
    return Event(event_id="x:1", type=type_, user_id="u", tenant="shop", time=time, items=lines, **fields)


def profile(*slates):
    result = NEW_PROFILE
    for each in slates:
        result = open_slate(result, each, RULES)
    return result


def only(rewards):
    (reward,) = rewards
    return reward


class TestJoin:
    def test_a_click_on_a_slate_item_is_its_reward(self):
        shown = slate(7, "a", "b", scenario="cart")
        reward = only(attribute(profile(shown), event("click", "b", time=T + 1500), RULES))
        assert (reward.reward_id, reward.slate_id, reward.event_id) == (
            "events-0-7:x:1:0",
            "events-0-7",
            "x:1",
        )
        assert (reward.user_id, reward.tenant, reward.scenario) == ("u", "shop", "cart")
        assert (reward.item_id, reward.position, reward.type) == ("b", 2, "click")
        assert (reward.time, reward.delay_seconds) == (T + 1500, 1.5)
        assert (reward.reward, reward.value, reward.currency) == (1.0, None, None)
        assert reward.propensity == shown.items[1].propensity
        assert (reward.policy, reward.policy_version) == ("softmax", "9c47385b")

    def test_an_item_of_no_open_slate_gives_no_reward(self):
        assert attribute(profile(slate(1, "a")), event("click", "z"), RULES) == ()
        assert attribute(NEW_PROFILE, event("click", "a"), RULES) == ()

    def test_the_last_slate_that_held_the_item_gets_the_reward(self):
        shown = profile(slate(1, "a", "b"), slate(2, "b", "a", time=T + 10), slate(3, "c", time=T + 20))
        assert only(attribute(shown, event("click", "a"), RULES)).slate_id == "events-0-2"

    def test_the_named_slate_gets_the_reward_even_if_a_later_one_holds_the_item(self):
        shown = profile(slate(1, "a"), slate(2, "a", time=T + 10))
        assert (
            only(attribute(shown, event("click", "a", slate_id="events-0-1"), RULES)).slate_id == "events-0-1"
        )

    def test_a_named_slate_that_is_not_open_takes_no_other_slate_in_its_place(self):
        shown = profile(slate(1, "a"))
        assert attribute(shown, event("click", "a", slate_id="events-0-9"), RULES) == ()

    def test_a_named_slate_without_the_item_takes_no_other_slate_in_its_place(self):
        shown = profile(slate(1, "a"), slate(2, "b"))
        assert attribute(shown, event("click", "a", slate_id="events-0-2"), RULES) == ()

    def test_a_purchase_of_several_items_answers_several_slates(self):
        shown = profile(slate(1, "a"), slate(2, "b"))
        rewards = attribute(shown, event("purchase", "z", "b", "a"), RULES)
        assert [(r.item_id, r.slate_id) for r in rewards] == [("b", "events-0-2"), ("a", "events-0-1")]
        assert [r.reward_id[-2:] for r in rewards] == [":1", ":2"]

    def test_a_purchase_of_50_items_gives_a_reward_for_each_item_shown(self):
        bought = [f"i{n}" for n in range(50)]
        rewards = attribute(profile(slate(1, *bought[20:30])), event("purchase", *bought), RULES)
        assert [r.item_id for r in rewards] == bought[20:30]

    @pytest.mark.parametrize("type_", sorted(set(EVENT_TYPES) - set(DEFAULT_RULES)))
    def test_types_without_a_rule_answer_no_slate(self, type_):
        assert attribute(profile(slate(1, "a")), event(type_, "a"), RULES) == ()

    def test_a_rule_set_without_views_ignores_them(self):
        rules = RewardRules({"click": RewardRule(1.0, HOUR_MS)})
        shown = profile(slate(1, "a"))
        assert attribute(shown, event("view", "a"), rules) == ()
        assert len(attribute(shown, event("click", "a"), rules)) == 1


class TestTime:
    @pytest.mark.parametrize(
        ("type_", "horizon"),
        [
            ("click", 30 * MINUTE_MS),
            ("view", 30 * MINUTE_MS),
            ("like", 24 * HOUR_MS),
            ("add_to_cart", 24 * HOUR_MS),
            ("purchase", 7 * DAY_MS),
            ("refund", 7 * DAY_MS),
        ],
    )
    def test_a_slate_waits_for_each_type_as_long_as_its_horizon(self, type_, horizon):
        shown = profile(slate(1, "a"))
        assert len(attribute(shown, event(type_, "a", time=T + horizon), RULES)) == 1
        assert attribute(shown, event(type_, "a", time=T + horizon + 1), RULES) == ()

    def test_a_clock_that_is_a_little_behind_gives_a_negative_delay(self):
        shown = profile(slate(1, "a"))
        assert only(attribute(shown, event("click", "a", time=T - 30_000), RULES)).delay_seconds == -30.0
        assert attribute(shown, event("click", "a", time=T - 30_001), RULES) == ()

    def test_a_click_that_arrives_late_answers_the_slate_that_was_shown_then(self):
        shown = profile(slate(1, "a"), slate(2, "a", time=T + 5 * MINUTE_MS))
        assert only(attribute(shown, event("click", "a", time=T + MINUTE_MS), RULES)).slate_id == "events-0-1"

    def test_an_expired_slate_does_not_hide_behind_its_id(self):
        late = event("click", "a", time=T + HOUR_MS, slate_id="events-0-1")
        assert attribute(profile(slate(1, "a")), late, RULES) == ()


class TestValue:
    SHOWN = profile(slate(1, "a", "b"))

    def test_a_price_gives_price_times_quantity(self):
        bought = event("purchase", EventItem("a", 3.0, 2.5), "b", value=99.0, currency="EUR")
        first, second = attribute(self.SHOWN, bought, RULES)
        assert (first.value, first.currency) == (7.5, "EUR")
        assert second.value is None

    def test_the_events_value_is_that_of_its_single_item(self):
        assert only(attribute(self.SHOWN, event("purchase", "a", value=4.0), RULES)).value == 4.0
        assert only(attribute(self.SHOWN, event("purchase", "a", "z", value=4.0), RULES)).value is None

    def test_an_item_on_two_lines_is_one_reward_with_both_values(self):
        bought = event("purchase", EventItem("a", 1.0, 5.0), EventItem("a", 2.0, 4.0))
        assert only(attribute(self.SHOWN, bought, RULES)).value == 13.0

    @pytest.mark.parametrize("told", [4.0, -4.0])
    def test_a_refund_takes_back_reward_and_value_whatever_its_sign(self, told):
        reward = only(attribute(self.SHOWN, event("refund", "a", value=told), RULES))
        assert (reward.reward, reward.value) == (-5.0, -4.0)


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


class TestRules:
    def test_the_longest_horizon_is_that_of_a_purchase(self):
        assert RULES.longest_ms == 7 * DAY_MS
        assert RewardRules({}).longest_ms == 0

    def test_an_unknown_type_is_refused(self):
        with pytest.raises(ValueError, match="no event type 'clik' to reward; types: impression, view"):
            RewardRules({"clik": RewardRule(1.0, 1)})

    def test_a_horizon_of_nothing_is_refused(self):
        with pytest.raises(ValueError, match="horizon of 'click' must be above 0 ms, got 0"):
            RewardRules({"click": RewardRule(1.0, 0)})

    def test_negative_skew_is_refused(self):
        with pytest.raises(ValueError, match="skew_ms must be at least 0, got -1"):
            RewardRules(skew_ms=-1)


ITEM_IDS = st.sampled_from("abcdef")
SLATES = st.lists(
    st.builds(
        lambda items, time: (items, time),
        st.lists(ITEM_IDS, max_size=5, unique=True),
        st.integers(T, T + 8 * DAY_MS),
    ),
    max_size=5,
).map(lambda shown: [slate(n, *items, time=time) for n, (items, time) in enumerate(shown)])
LINES = st.lists(st.builds(EventItem, ITEM_IDS, st.just(1.0), st.none() | st.floats(0, 10)), max_size=6)
EVENTS = st.builds(
    lambda type_, lines, time, named: event(type_, *lines, time=time, slate_id=named),
    st.sampled_from(EVENT_TYPES),
    LINES,
    st.integers(T - HOUR_MS, T + 9 * DAY_MS),
    st.none() | st.sampled_from([f"events-0-{n}" for n in range(6)]),
)


@given(SLATES, EVENTS)
def test_each_item_of_an_event_gives_at_most_one_reward(shown, feedback):
    rewards = attribute(profile(*shown), feedback, RULES)
    items = [reward.item_id for reward in rewards]
    assert len(set(items)) == len(items)
    assert set(items) <= {line.item_id for line in feedback.items}
    assert len({reward.reward_id for reward in rewards}) == len(rewards)


@given(SLATES, EVENTS)
def test_no_reward_is_outside_its_horizon_or_of_another_slate_than_named(shown, feedback):
    for reward in attribute(profile(*shown), feedback, RULES):
        assert -RULES.skew_ms <= reward.delay_seconds * 1000 <= DEFAULT_RULES[feedback.type].horizon_ms
        assert feedback.slate_id in (None, reward.slate_id)


@given(SLATES, EVENTS)
def test_a_reward_carries_what_its_slate_published(shown, feedback):
    published = {each.slate_id: each for each in shown}
    for reward in attribute(profile(*shown), feedback, RULES):
        item = published[reward.slate_id].items[reward.position - 1]
        assert (reward.item_id, reward.propensity) == (item.item_id, item.propensity)
        assert math.isclose(reward.delay_seconds, (feedback.time - published[reward.slate_id].time) / 1000)


@given(SLATES, EVENTS)
def test_an_unnamed_event_answers_the_latest_slate_that_could_have_shown_the_item(shown, feedback):
    held = profile(*shown).open_slates
    for reward in attribute(profile(*shown), feedback, RULES):
        could = [
            s.time for s in held if s.position_of(reward.item_id) and s.time <= feedback.time + RULES.skew_ms
        ]
        answered = next(s.time for s in held if s.slate_id == reward.slate_id)
        assert answered == max(could) or feedback.slate_id == reward.slate_id


@given(
    st.lists(st.integers(T, T + 6 * DAY_MS), max_size=5, unique=True),
    EVENTS,
    st.randoms(use_true_random=False),
)
def test_the_order_in_which_slates_are_opened_changes_no_reward(times, feedback, random):
    shown = [slate(n, *"abc"[n % 2 :], time=time) for n, time in enumerate(times)]
    shuffled = random.sample(shown, len(shown))
    assert profile(*shown) == profile(*shuffled)
    assert attribute(profile(*shown), feedback, RULES) == attribute(profile(*shuffled), feedback, RULES)


@given(SLATES)
def test_open_slates_stay_bounded_in_order_and_within_the_longest_horizon(shown):
    held = NEW_PROFILE
    for each in shown:
        held = open_slate(held, each, RULES)
        times = [s.time for s in held.open_slates]
        assert len(times) <= MAX_OPEN_SLATES
        assert times == sorted(times)
        assert not each.items or all(time >= each.time - RULES.longest_ms for time in times)
