import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from state.attribution import RewardRules, attribute, open_slate
from state.event import EVENT_TYPES, Event, EventItem, Inbound, Origin
from state.profile import NEW_PROFILE
from state.session import fold_event
from state.slate import Slate, SlateItem, Span, Trigger
from state.slates import Slates
from state.step import DEFAULT_SLATE_TYPES, StepRules, delta_of, step

T = 1_763_831_000_000
RULES = StepRules()
ITEMS = tuple(f"i{n}" for n in range(6))


def inbound(offset, user="ann", item="i0", kind="click", **fields):
    time = T + 1000 * offset
    event = {
        "event_id": f"e{offset}",
        "type": kind,
        "user_id": user,
        "time": time,
        "items": (EventItem(item),),
    }
    return Inbound(Event(**(event | fields)), Origin("events", 0, offset, time))


def one_by_one(choose):
    """`Decide` by a function that chooses one slate."""
    return lambda asked: Slates.of([choose(profile, inbound) for profile, inbound in asked])


def choose(profile, inbound):
    """A slate that depends on the profile, so that a wrong one shows."""
    event, origin = inbound
    turn = sum(profile.counts) % len(ITEMS)
    items = ITEMS[turn:] + ITEMS[:turn]
    return Slate(
        slate_id=f"events-0-{origin.offset}",
        user_id=event.user_id,
        tenant=event.tenant,
        scenario=event.scenario,
        time=origin.time,
        trigger=Trigger(event.event_id, event.time, origin.topic, origin.partition, origin.offset),
        policy="fixed",
        policy_version="1",
        seed=origin.offset,
        candidates=len(items),
        candidates_hash="0" * 16,
        items=tuple(SlateItem(item, i + 1, 1.0, 0.5, ()) for i, item in enumerate(items)),
    )


decide = one_by_one(choose)


@one_by_one
def never(profile, inbound):
    pytest.fail(f"no slate was asked for by {inbound}")


def test_an_event_changes_its_user_and_asks_for_a_slate():
    outcome = step([inbound(0)], {}, decide, RULES)
    assert list(outcome.profiles) == ["ann"]
    assert outcome.profiles["ann"].items == ("i0",)
    (slate,) = outcome.slates
    assert slate.trigger.offset == 0
    assert [lesson.item_id for lesson in outcome.learned] == ["i0"]
    assert outcome.duplicates == 0


def test_the_slate_is_decided_on_the_profile_that_contains_its_event():
    seen = []

    def noting(profile, inbound):
        seen.append(profile.items)
        return choose(profile, inbound)

    step([inbound(0, item="a"), inbound(1, item="b")], {}, one_by_one(noting), RULES)
    assert seen == [("a",), ("a", "b")]


def test_users_that_did_nothing_are_not_written_again():
    known = step([inbound(0, "ann"), inbound(1, "bob")], {}, decide, RULES).profiles
    outcome = step([inbound(2, "bob")], known, decide, RULES)
    assert list(outcome.profiles) == ["bob"]
    assert sum(outcome.profiles["bob"].counts) == 2


def test_tenants_share_no_profile():
    outcome = step([inbound(0), inbound(1, tenant="north")], {}, decide, RULES)
    assert list(outcome.profiles) == ["ann", "north|ann"]


def test_a_slate_awaits_feedback_in_the_profile_it_was_decided_on():
    outcome = step([inbound(0)], {}, decide, RULES)
    assert [each.slate_id for each in outcome.profiles["ann"].open_slates] == ["events-0-0"]


def test_feedback_is_joined_to_what_was_shown_before_it_not_to_its_own_answer():
    first = step([inbound(0, item="i9")], {}, decide, RULES)
    shown = first.slates[0]
    clicked = shown.items[2].item_id
    outcome = step([inbound(1, item=clicked)], first.profiles, decide, RULES)
    (reward,) = outcome.rewards
    assert (reward.slate_id, reward.position, reward.propensity) == (shown.slate_id, 3, 0.5)
    assert clicked in [item.item_id for item in outcome.slates[0].items]


def test_the_first_event_of_a_user_is_feedback_on_nothing():
    assert step([inbound(0)], {}, decide, RULES).rewards == []


def test_a_duplicate_changes_nothing_and_asks_for_nothing():
    once = step([inbound(0)], {}, decide, RULES)
    again = step([inbound(1, event_id="e0")], once.profiles, never, RULES)
    assert again == ({}, Slates.of(()), [], [], 1)


def test_a_duplicate_within_one_run_counts_once():
    outcome = step([inbound(0), inbound(1, event_id="e0"), inbound(2)], {}, decide, RULES)
    assert outcome.duplicates == 1
    assert [slate.trigger.offset for slate in outcome.slates] == [0, 2]
    assert sum(outcome.profiles["ann"].counts) == 2


def test_the_same_event_id_of_another_user_is_no_duplicate():
    outcome = step([inbound(0), inbound(1, "bob", event_id="e0")], {}, decide, RULES)
    assert outcome.duplicates == 0


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_only_the_types_that_change_a_mind_ask_for_a_slate(kind):
    outcome = step([inbound(0, kind=kind)], {}, decide, RULES)
    assert bool(outcome.slates) == (kind in DEFAULT_SLATE_TYPES)
    assert sum(outcome.profiles["ann"].counts) == 1


def test_the_types_that_ask_for_a_slate_can_be_chosen():
    rules = StepRules(slate_types=frozenset({"purchase"}))
    outcome = step([inbound(0), inbound(1, kind="purchase")], {}, decide, rules)
    assert [slate.trigger.offset for slate in outcome.slates] == [1]


def test_a_purchase_of_fifty_items_teaches_fifty_lessons_and_gets_one_slate():
    items = tuple(EventItem(f"p{n}") for n in range(50))
    outcome = step([inbound(0, kind="purchase", items=items)], {}, decide, RULES)
    assert len(outcome.learned) == 50
    assert len(outcome.slates) == 1
    assert len(outcome.profiles["ann"].items) == 32


def test_events_minutes_late_are_folded_at_their_place():
    late = inbound(600, item="late", time=T + 1500)
    outcome = step([inbound(0, item="a"), inbound(3, item="c"), late], {}, decide, RULES)
    assert outcome.profiles["ann"].items == ("a", "late", "c")
    assert len(outcome.slates) == 3


# Against the definition, and against the cut ---------------------------------------------------------


def random_inbounds(seed, count=60):
    draw = random.Random(seed)
    return [
        inbound(
            offset,
            user=f"u{draw.randrange(4)}",
            item=f"i{draw.randrange(9)}",
            kind=draw.choice(EVENT_TYPES),
            event_id=f"e{draw.randrange(count)}",
        )
        for offset in range(count)
    ]


def by_the_book(inbounds):
    """One event at a time, rewards first: the definition of the step."""
    profiles, slates, rewards = {}, [], []
    for each in inbounds:
        event = each.event
        before = profiles.get(event.key, NEW_PROFILE)
        folded = fold_event(before, event, RULES.session)
        if folded.duplicate:
            continue
        rewards += attribute(before, event, RULES.reward)
        profile = folded.profile
        if event.type in RULES.slate_types:
            slates.append(choose(profile, each))
            profile = open_slate(profile, slates[-1], RULES.reward)
        profiles[event.key] = profile
    return profiles, slates, rewards


@given(seed=st.integers(0, 2**32), lengths=st.lists(st.integers(1, 20), min_size=8))
def test_the_result_does_not_depend_on_how_the_log_is_cut(seed, lengths):
    inbounds = random_inbounds(seed)
    profiles, slates, rewards, duplicates = {}, [], [], 0
    start = 0
    for length in [*lengths, len(inbounds)]:
        outcome = step(inbounds[start : start + length], profiles, decide, RULES)
        start += length
        profiles.update(outcome.profiles)
        slates += outcome.slates
        rewards += outcome.rewards
        duplicates += outcome.duplicates
    assert (profiles, slates, rewards) == by_the_book(inbounds)
    assert duplicates == len(inbounds) - sum(sum(p.counts) for p in profiles.values())


def test_the_random_log_of_these_tests_has_everything_in_it():
    inbounds = random_inbounds(1)
    outcome = step(inbounds, {}, decide, RULES)
    assert outcome.rewards
    assert outcome.duplicates
    assert len(outcome.slates) < len(inbounds) - outcome.duplicates


@given(seed=st.integers(0, 2**32))
def test_an_audit_that_looks_up_what_was_published_finds_the_same_profiles(seed):
    """No models are needed to check a worker's state: the decision log is enough."""
    inbounds = random_inbounds(seed)
    original = step(inbounds, {}, decide, RULES)
    published = {slate.trigger.offset: slate for slate in original.slates}

    @one_by_one
    def look_up(profile, inbound):
        return published[inbound.origin.offset]

    audited = step(inbounds, {}, look_up, RULES)
    assert audited.profiles == original.profiles
    assert audited.rewards == original.rewards


def test_an_audit_notices_a_slate_that_was_not_the_published_one():
    inbounds = random_inbounds(1)
    original = step(inbounds, {}, decide, RULES)

    @one_by_one
    def wrong(profile, inbound):
        slate = choose(profile, inbound)
        return replace(slate, items=slate.items[:1])

    assert step(inbounds, {}, wrong, RULES).profiles != original.profiles


def test_profiles_given_are_left_as_they_are():
    known = dict(step([inbound(0)], {}, decide, RULES).profiles)
    copy = dict(known)
    step([inbound(1)], known, decide, RULES)
    assert known == copy


def test_rules_of_reward_reach_the_join():
    no_reward = StepRules(reward=RewardRules(by_type={}))
    first = step([inbound(0, item="i9")], {}, decide, no_reward)
    clicked = first.slates[0].items[0].item_id
    assert step([inbound(1, item=clicked)], first.profiles, decide, no_reward).rewards == []


# The delta -------------------------------------------------------------------------------------------


def test_a_delta_says_what_was_learned_with_every_item_named_once():
    run = [
        inbound(0, item="a"),
        inbound(1, "bob", "b"),
        inbound(2, item="a"),
        inbound(3, kind="search", items=()),
    ]
    outcome = step(run, {}, decide, RULES)
    spans = [Span("events", 0, 5)]
    delta = delta_of(outcome, spans, partition=3, events=4, dead_letters=2)
    assert delta.items == ("a", "b")
    assert delta.item == (0, 1, 0)
    assert delta.time == (T, T + 1000, T + 2000)
    assert delta.type == (EVENT_TYPES.index("click"),) * 3
    assert delta.session == tuple(lesson.session_key for lesson in outcome.learned)
    assert delta.session[0] == delta.session[2] != delta.session[1]
    assert (delta.partition, delta.spans, delta.events, delta.dead_letters) == (3, (spans[0],), 4, 2)
    assert (delta.slates, delta.duplicates) == (4, 0)


def test_a_delta_of_nothing_learned_still_accounts_for_the_log():
    outcome = step([inbound(0, kind="impression")], {}, never, RULES)
    delta = delta_of(outcome, [Span("events", 0, 0)], partition=0, events=1, dead_letters=0)
    assert (delta.items, delta.item, delta.session, delta.time, delta.type) == ((), (), (), (), ())
    assert (delta.events, delta.slates) == (1, 0)
