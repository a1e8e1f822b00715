import math
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from state.attribution import REASONS, answer, attribute, open_slate
from state.event import EVENT_TYPES, EventItem
from state.profile import MAX_BOUGHT, NEW_PROFILE
from state.reward import DAY_MS, DEFAULT_RULES, HOUR_MS, MINUTE_MS, RewardRule, RewardRules, reward_rules
from state.waiting import Waiting, waiting_in, with_waiting
from tests.state.shown import RULES, T, context_of, event, only, pool, profile, slate


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


def after(before, *events, rules=RULES, exposing="acted"):
    """What awaits feedback after these events, and the answer to each."""
    answers = []
    for each in events:
        found = answer(before, each, rules, exposing)
        answers.append(found)
        before = found.waiting
    return before, answers


def rewards_of(before, *events, rules=RULES):
    return list(chain(*(found.rewards for found in after(before, *events, rules=rules)[1])))


def reasons_of(before, *events, rules=RULES):
    return list(chain(*(found.unattributed for found in after(before, *events, rules=rules)[1])))


def pushed_out(rules=RULES, *, times=(1, 2, 3)):
    """Slates that push out those before them."""
    return [slate(90 + n, "z", time=T + n * HOUR_MS) for n in times]


def later(waiting, *slates, rules=RULES):
    """What awaits feedback after more slates."""
    held = with_waiting(NEW_PROFILE, waiting)
    for each in slates:
        held = open_slate(held, each, rules)
    return waiting_in(held)


class TestLatePurchase:
    SHOWN = waiting_in(profile(slate(1, "a", "b", "c", scenario="cart", pool=pool("c", "b", "a"))))

    def test_a_purchase_days_after_its_slate_made_room_finds_the_decision_by_its_click(self):
        clicked, _ = after(self.SHOWN, event("click", "b"))
        held = later(clicked, *pushed_out())
        assert [each.slate_id for each in held.open] == ["events-0-91", "events-0-92", "events-0-93"]
        reward = only(answer(held, event("purchase", "b", time=T + 3 * DAY_MS), RULES).rewards)
        assert (reward.slate_id, reward.position, reward.scenario) == ("events-0-1", 2, "cart")
        assert reward.propensity == slate(1, "a", "b").items[1].propensity
        assert (reward.policy, reward.policy_version) == ("softmax", "9c47385b")
        assert (reward.reward, reward.delay_seconds) == (5.0, 3 * 86_400)
        assert bytes(map(int, reward.features)) == context_of("b")

    def test_what_was_not_answered_is_forgotten_with_its_slate(self):
        clicked, _ = after(self.SHOWN, event("click", "b"))
        held = later(clicked, *pushed_out())
        late = event("purchase", "a", time=T + 3 * DAY_MS)
        assert reasons_of(held, late) == ["organic"]
        named = event("purchase", "a", time=T + 3 * DAY_MS, slate_id="events-0-1")
        assert reasons_of(held, named) == ["unknown_slate"]

    @pytest.mark.parametrize("kind", ["view", "click", "like", "add_to_cart", "purchase"])
    def test_every_type_of_feedback_keeps_its_item(self, kind):
        held = later(after(self.SHOWN, event(kind, "c"))[0], *pushed_out())
        assert only(held.touched).answered == b"\3"

    def test_the_horizon_counts_from_the_slate_and_not_from_the_click(self):
        held = later(after(self.SHOWN, event("click", "b", time=T + 20 * MINUTE_MS))[0], *pushed_out())
        last = event("purchase", "b", time=T + 7 * DAY_MS)
        assert len(rewards_of(held, last)) == 1
        assert reasons_of(held, event("purchase", "b", time=T + 7 * DAY_MS + 1)) == ["expired"]

    def test_a_later_slate_with_the_item_is_the_last_touch(self):
        clicked, _ = after(self.SHOWN, event("click", "b"))
        held = later(clicked, *pushed_out(), slate(99, "b", time=T + 5 * HOUR_MS))
        assert only(rewards_of(held, event("purchase", "b", time=T + DAY_MS))).slate_id == "events-0-99"
        early = event("purchase", "b", time=T + HOUR_MS)
        assert only(rewards_of(held, early)).slate_id == "events-0-1"


class TestRefund:
    SHOWN = waiting_in(profile(slate(1, "a", "b"), slate(2, "b", "c", time=T + 10)))

    def bought(self, *lines, order_id="o1", **fields):
        return event("purchase", *lines, event_id="buy", order_id=order_id, **fields)

    def refund(self, *lines, time=T + DAY_MS, event_id="back", **fields):
        return event("refund", *lines, time=time, event_id=event_id, **fields)

    def test_a_refund_takes_back_what_its_purchase_earned_and_says_which(self):
        earned, taken = rewards_of(self.SHOWN, self.bought("b"), self.refund("b", order_id="o1"))
        assert (earned.reward, earned.corrects) == (5.0, UNSET)
        assert (taken.reward, taken.corrects) == (-5.0, earned.reward_id)
        assert taken.reward_id == "events-0-2:back:0"
        assert (taken.slate_id, taken.position, taken.propensity) == (
            earned.slate_id,
            earned.position,
            earned.propensity,
        )
        assert (taken.type, taken.time, taken.delay_seconds) == ("refund", T + DAY_MS, 86_399.99)

    def test_it_takes_back_by_the_rules_of_the_purchase_whatever_they_are_now(self):
        then = reward_rules("purchase=0.5*value")
        bought, _ = after(self.SHOWN, self.bought(EventItem("b", 1.0, 40.0)), rules=then)
        assert only(rewards_of(bought, self.refund("b"))).reward == -20.0

    def test_it_takes_back_the_share_of_the_pieces(self):
        rewards = rewards_of(
            self.SHOWN,
            self.bought(EventItem("b", 4.0, 2.0)),
            self.refund(EventItem("b", 1.0, 2.0), event_id="r1"),
            self.refund(EventItem("b", 2.0), event_id="r2"),
            self.refund(EventItem("b", 9.0), event_id="r3"),
        )
        assert [each.reward for each in rewards] == [5.0, -1.25, -2.5, -1.25]
        assert [each.value for each in rewards] == [8.0, -2.0, None, None]

    def test_nothing_is_taken_back_twice(self):
        again = self.refund("b", event_id="again")
        assert reasons_of(self.SHOWN, self.bought("b"), self.refund("b"), again) == [
            "refund_without_purchase"
        ]

    def test_a_refund_without_a_purchase_gives_no_reward(self):
        assert reasons_of(self.SHOWN, self.refund("a")) == ["refund_without_purchase"]
        assert reasons_of(Waiting(), self.refund("a", "b")) == ["refund_without_purchase"] * 2
        assert reasons_of(self.SHOWN, event("click", "b"), self.refund("b")) == ["refund_without_purchase"]

    def test_a_refund_that_is_logged_before_its_purchase_takes_nothing_back(self):
        found = after(self.SHOWN, self.refund("b", order_id="o1"), self.bought("b"))[1]
        assert found[0].unattributed == ["refund_without_purchase"]
        assert only(found[1].rewards).reward == 5.0

    def test_a_refund_that_is_older_than_its_purchase_takes_nothing_back(self):
        bought = self.bought("b", time=T + HOUR_MS)
        assert len(rewards_of(self.SHOWN, bought, self.refund("b", time=T + HOUR_MS - 30_000))) == 2
        early = self.refund("b", time=T + HOUR_MS - 30_001)
        assert reasons_of(self.SHOWN, bought, early) == ["refund_without_purchase"]

    def test_the_order_tells_which_purchase_else_it_is_the_latest(self):
        first = self.bought("b", order_id="o1")
        second = event("purchase", "b", event_id="buy2", order_id="o2", time=T + HOUR_MS)
        earned = rewards_of(self.SHOWN, first, second)
        named = rewards_of(self.SHOWN, first, second, self.refund("b", order_id="o1"))[-1]
        latest = rewards_of(self.SHOWN, first, second, self.refund("b"))[-1]
        assert (named.corrects, latest.corrects) == (earned[0].reward_id, earned[1].reward_id)

    def test_another_order_is_another_purchase(self):
        other = self.refund("b", order_id="o9")
        assert reasons_of(self.SHOWN, self.bought("b"), other) == ["refund_without_purchase"]
        assert reasons_of(self.SHOWN, self.bought("b", order_id=None), other) == ["refund_without_purchase"]

    def test_a_named_slate_is_the_only_one(self):
        wrong = self.refund("b", slate_id="events-0-1")
        assert reasons_of(self.SHOWN, self.bought("b"), wrong) == ["refund_without_purchase"]
        assert len(rewards_of(self.SHOWN, self.bought("b"), self.refund("b", slate_id="events-0-2"))) == 2

    def test_it_may_come_as_long_after_its_purchase_as_the_horizon(self):
        late = T + 6 * DAY_MS
        held, _ = after(self.SHOWN, self.bought("b", time=late))
        held = later(held, *[slate(n, "z", time=T + 12 * DAY_MS + n) for n in range(10, 14)])
        assert len(rewards_of(held, self.refund("b", time=late + 7 * DAY_MS))) == 1
        gone = self.refund("b", time=late + 7 * DAY_MS + 1)
        assert reasons_of(held, gone) == ["refund_without_purchase"]

    @pytest.mark.parametrize("told", [4.0, -4.0])
    def test_a_refund_takes_back_value_whatever_its_sign(self, told):
        assert rewards_of(self.SHOWN, self.bought("b"), self.refund("b", value=told))[1].value == -4.0

    def test_a_refund_of_purchases_that_earn_nothing_is_no_feedback(self):
        clicks = reward_rules("click=1")
        assert reasons_of(self.SHOWN, self.bought("b"), self.refund("b"), rules=clicks) == []

    def test_the_oldest_purchases_beyond_the_bound_are_forgotten(self):
        shown = waiting_in(profile(slate(1, *[f"i{n}" for n in range(MAX_BOUGHT + 2)])))
        buys = [
            event("purchase", f"i{n}", event_id=f"b{n}", time=T + 1000 + n) for n in range(MAX_BOUGHT + 2)
        ]
        held, _ = after(shown, *buys)
        assert sum(len(each.bought) for each in held.open) == MAX_BOUGHT
        assert reasons_of(held, self.refund("i1")) == ["refund_without_purchase"]
        assert len(rewards_of(held, self.refund("i2"))) == 1


class TestDuplicates:
    SHOWN = waiting_in(profile(slate(1, "a", "b"), slate(2, "a", time=T + 10)))

    def test_an_order_earns_its_reward_once(self):
        first = event("purchase", "a", event_id="e1", order_id="o1")
        again = event("purchase", "a", "b", event_id="e2", order_id="o1")
        found = after(self.SHOWN, first, again)[1]
        assert [each.item_id for each in found[1].rewards] == ["b"]
        assert found[1].unattributed == ["duplicate_order"]

    def test_it_does_so_when_another_slate_shows_the_item_in_between(self):
        held, _ = after(self.SHOWN, event("purchase", "a", event_id="e1", order_id="o1"))
        held = later(held, slate(3, "a", time=T + 20), slate(4, "a", time=T + 30), slate(5, "a", time=T + 40))
        again = event("purchase", "a", event_id="e2", order_id="o1")
        assert reasons_of(held, again) == ["duplicate_order"]

    def test_it_does_so_after_a_refund(self):
        first = event("purchase", "a", event_id="e1", order_id="o1")
        refund = event("refund", "a", event_id="e2", order_id="o1", time=T + HOUR_MS)
        again = event("purchase", "a", event_id="e3", order_id="o1", time=T + HOUR_MS)
        assert reasons_of(self.SHOWN, first, refund, again) == ["duplicate_order"]

    def test_two_orders_are_two_purchases_and_none_tells_of_no_duplicate(self):
        orders = [
            event("purchase", "a", event_id=f"e{n}", order_id=order)
            for n, order in enumerate(["o1", "o2", None, None])
        ]
        assert len(rewards_of(self.SHOWN, *orders)) == 4


class TestUnattributed:
    SHOWN = waiting_in(profile(slate(1, "a"), slate(2, "b", time=T + HOUR_MS)))

    @pytest.mark.parametrize(
        ("reason", "feedback"),
        [
            ("organic", event("click", "z")),
            ("unknown_slate", event("click", "a", slate_id="events-0-9")),
            ("unknown_slate", event("impression", "a", slate_id="events-0-9")),
            ("unknown_slate", event("impression", slate_id="events-0-9")),
            ("not_in_slate", event("click", "a", slate_id="events-0-2")),
            ("not_in_slate", event("impression", "a", slate_id="events-0-2", time=T + HOUR_MS)),
            ("expired", event("click", "a", time=T + 30 * MINUTE_MS + 1)),
            ("expired", event("click", "a", time=T + HOUR_MS, slate_id="events-0-1")),
            ("expired", event("impression", slate_id="events-0-1", time=T + 8 * DAY_MS)),
            ("before_slate", event("click", "a", time=T - 30_001)),
            ("before_slate", event("click", "b", time=T, slate_id="events-0-2")),
            ("before_slate", event("impression", slate_id="events-0-2", time=T)),
            ("negative_value", event("purchase", "a", value=-1.0)),
            ("refund_without_purchase", event("refund", "a")),
        ],
    )
    def test_what_earns_nothing_has_a_reason(self, reason, feedback):
        found = answer(self.SHOWN, feedback, RULES)
        assert (list(found.rewards), list(found.unattributed)) == ([], [reason])
        assert reason in REASONS

    @pytest.mark.parametrize(
        ("reason", "feedback"),
        [
            ("no_value", event("purchase", "a")),
            ("no_value", event("purchase", "a", "b", value=5.0)),
            ("currency_mismatch", event("purchase", "a", value=5.0, currency="USD")),
            ("negative_value", event("purchase", "a", value=-5.0, currency="EUR")),
        ],
    )
    def test_a_reward_by_value_needs_one_in_the_currency(self, reason, feedback):
        rules = reward_rules("purchase=0.05*value", currency="EUR")
        assert reason in answer(self.SHOWN, feedback, rules).unattributed

    def test_nothing_is_remembered_of_a_purchase_that_earned_nothing(self):
        rules = reward_rules("purchase=0.05*value", currency="EUR")
        dollars = event("purchase", "a", value=5.0, currency="USD")
        held, _ = after(self.SHOWN, dollars, rules=rules)
        assert [each.bought for each in held.open] == [(), ()]

    def test_each_item_has_its_own_reason(self):
        several = event("purchase", "z", "a", "y", "z")
        found = answer(self.SHOWN, several, RULES)
        assert (len(found.rewards), list(found.unattributed)) == (1, ["organic", "organic"])

    @pytest.mark.parametrize("kind", ["search", "skip", "remove_from_cart"])
    def test_a_type_that_is_worth_nothing_is_no_feedback(self, kind):
        assert list(answer(self.SHOWN, event(kind, "z"), RULES).unattributed) == []
        assert list(answer(Waiting(), event(kind, "z"), RULES).unattributed) == []

    def test_a_user_without_slates_gives_reasons_too(self):
        assert (
            list(answer(Waiting(), event("purchase", "a", "b", "a"), RULES).unattributed) == ["organic"] * 2
        )
        named = event("click", "a", slate_id="events-0-1")
        assert list(answer(Waiting(), named, RULES).unattributed) == ["unknown_slate"]

    def test_an_impression_that_names_no_slate_may_show_anything(self):
        assert list(answer(self.SHOWN, event("impression", "z"), RULES).unattributed) == []


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


SKEW_MS = RULES.skew_ms
FEEDBACK = st.lists(
    st.tuples(
        st.sampled_from(["impression", "click", "view", "add_to_cart", "purchase"]),
        st.lists(ITEM_IDS, min_size=1, max_size=2),
        st.integers(T, T + 2 * SKEW_MS),
        st.none() | st.sampled_from([f"events-0-{n}" for n in range(3)]),
    ),
    max_size=8,
).map(
    lambda rows: [
        event(kind, *items, time=time, event_id=f"e{n}", slate_id=named, order_id=f"o{n}")
        for n, (kind, items, time, named) in enumerate(rows)
    ]
)
THREE = waiting_in(
    profile(slate(0, *"abc"), slate(1, *"cd", time=T + SKEW_MS), slate(2, *"efa", time=T + 50))
)


def places(answers):
    return sorted(
        (each.slate.slate_id, position)
        for found in answers
        for each in found.exposed
        for position in each.positions
    )


@given(FEEDBACK, st.randoms(use_true_random=False))
def test_feedback_in_any_order_proves_the_same_rewards_and_impressions(feedback, random):
    """Impressions behind clicks, purchases ahead of their clicks, clicks older than their slates."""
    shuffled = random.sample(feedback, len(feedback))
    (one, first), (other, second) = (
        after(THREE, *order, exposing="impressions") for order in (feedback, shuffled)
    )
    rewards = [
        sorted((each for found in answers for each in found.rewards), key=lambda each: each.reward_id)
        for answers in (first, second)
    ]
    assert rewards[0] == rewards[1]
    assert places(first) == places(second)
    assert [(each.seen, each.answered) for each in one.open] == [
        (each.seen, each.answered) for each in other.open
    ]


@given(FEEDBACK, st.sampled_from(["acted", "impressions"]))
def test_each_place_is_exposed_once_and_every_reward_of_an_exposed_place(feedback, exposing):
    held, answers = after(THREE, *feedback, exposing=exposing)
    found = places(answers)
    assert len(set(found)) == len(found)
    rewarded = {(each.slate_id, each.position) for one in answers for each in one.rewards}
    assert rewarded <= set(found)
    for each in held.open:
        seen = int.from_bytes(each.seen, "little")
        assert [position for slate_id, position in found if slate_id == each.slate_id] == [
            position for position in range(1, 17) if seen >> (position - 1) & 1
        ]


@given(FEEDBACK)
def test_feedback_on_n_items_gives_n_rewards_or_reasons(feedback):
    for each, found in zip(feedback, after(THREE, *feedback)[1], strict=True):
        if each.type != "impression":
            items = {item.item_id for item in each.items}
            assert len(found.rewards) + len(found.unattributed) == len(items)


def test_a_purchase_that_is_logged_before_its_click_earns_its_reward_and_so_does_the_click():
    bought = event("purchase", "a", time=T + 2000, event_id="buy")
    clicked = event("click", "a", time=T + 1000, event_id="click")
    assert [each.reward for each in rewards_of(THREE, bought, clicked)] == [5.0, 1.0]
