import random
from base64 import b64decode
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from state.attribution import answer, open_slate
from state.event import EVENT_TYPES, FORGET, HEARTBEAT_TENANT, Event, EventItem, Inbound, Origin
from state.exposure import HOWS
from state.policy.context import CONTEXT_SIZE
from state.profile import NEW_PROFILE
from state.reward import RewardRules
from state.session import fold_event
from state.slate import Slate, SlateItem, Span, Trigger
from state.slates import Slates
from state.step import DEFAULT_SLATE_TYPES, StepRules, delta_of, step
from state.waiting import waiting_in, with_waiting
from stream.codecs import encode_profile
from tests.state.shown import pool

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
        pool=pool(*reversed(items)) if origin.offset % 3 else UNSET,
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
    assert again == ({}, Slates.of(()), [], [], 1, [], [], [])


def test_a_duplicate_within_one_run_counts_once():
    outcome = step([inbound(0), inbound(1, event_id="e0"), inbound(2)], {}, decide, RULES)
    assert outcome.duplicates == 1
    assert [slate.trigger.offset for slate in outcome.slates] == [0, 2]
    assert sum(outcome.profiles["ann"].counts) == 2


def test_a_user_who_is_forgotten_is_as_new_and_nobody_else_notices():
    run = random_inbounds(5)
    wish = inbound(len(run), "u1", kind=FORGET, items=())
    without = step(run, {}, decide, RULES)
    outcome = step([*run, wish], {}, decide, RULES)
    assert outcome.profiles == {**without.profiles, "u1": NEW_PROFILE}
    assert outcome.forgotten[-1] == ("u1", len(without.slates))
    assert outcome._replace(profiles=without.profiles, forgotten=without.forgotten) == without


def test_feedback_before_a_user_is_forgotten_is_joined_and_feedback_after_it_is_not():
    first = step([inbound(0, item="i9")], {}, decide, RULES)
    wish = inbound(2, kind=FORGET, items=())
    run = [inbound(1, item="i1"), wish, inbound(3, item="i2")]
    outcome = step(run, first.profiles, decide, RULES)
    assert [reward.event_id for reward in outcome.rewards] == ["e1"]
    assert sum(outcome.profiles["ann"].counts) == 1
    assert [each.slate_id for each in outcome.profiles["ann"].open_slates] == ["events-0-3"]


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
            kind=draw.choice((*EVENT_TYPES, "click", "purchase", "refund"))
            if draw.random() > 0.02
            else FORGET,
            event_id=f"e{draw.randrange(count)}",
            order_id=draw.choice((None, "o1")),
            slate_id=draw.choice((None, None, f"events-0-{max(0, offset - draw.randrange(9))}")),
            time=T + 1000 * (offset - draw.randrange(20)),
        )
        for offset in range(count)
    ]


class Book(NamedTuple):
    """What a log leads to."""

    profiles: dict
    slates: list
    rewards: list
    exposed: list
    unattributed: list
    forgotten: list
    """User and how many slates came before."""
    duplicates: list


def by_the_book(inbounds, rules=RULES):
    """One event at a time, rewards first: the definition of the step."""
    book = Book({}, [], [], [], [], [], [])
    for each in inbounds:
        event = each.event
        before = book.profiles.get(event.key, NEW_PROFILE)
        folded = fold_event(before, event, rules.session)
        if folded.duplicate:
            book.duplicates.append(1)
            continue
        if event.type == FORGET:
            book.forgotten.append((event.key, len(book.slates)))
        found = answer(waiting_in(before), event, rules.reward, rules.exposing)
        book.rewards.extend(found.rewards)
        book.exposed.extend(found.exposed)
        book.unattributed.extend(found.unattributed)
        profile = with_waiting(folded.profile, found.waiting)
        if event.type in rules.slate_types:
            book.slates.append(choose(profile, each))
            profile = open_slate(profile, book.slates[-1], rules.reward)
        book.profiles[event.key] = profile
    return book


@given(
    seed=st.integers(0, 2**32),
    lengths=st.lists(st.integers(1, 20), min_size=8),
    exposing=st.sampled_from(["acted", "impressions"]),
)
def test_the_result_does_not_depend_on_how_the_log_is_cut(seed, lengths, exposing):
    inbounds = random_inbounds(seed)
    rules = StepRules(exposing=exposing)
    book = Book({}, [], [], [], [], [], [])
    start = 0
    for length in [*lengths, len(inbounds)]:
        outcome = step(inbounds[start : start + length], book.profiles, decide, rules)
        start += length
        book.profiles.update(outcome.profiles)
        book.forgotten.extend((key, before + len(book.slates)) for key, before in outcome.forgotten)
        book.slates.extend(outcome.slates)
        book.rewards.extend(outcome.rewards)
        book.exposed.extend(outcome.exposed)
        book.unattributed.extend(outcome.unattributed)
        book.duplicates.extend([1] * outcome.duplicates)
    assert book == by_the_book(inbounds, rules)


def test_the_random_logs_of_these_tests_have_everything_in_them():
    logs = [random_inbounds(seed) for seed in range(40)]
    outcomes = [step(inbounds, {}, decide, RULES) for inbounds in logs]
    rewards = [reward for outcome in outcomes for reward in outcome.rewards]
    assert {"click", "refund"} <= {reward.type for reward in rewards}
    assert {bool(reward.features) for reward in rewards} == {True, False}
    assert {each.how for outcome in outcomes for each in outcome.exposed} == set(HOWS)
    reasons = {"organic", "unknown_slate", "duplicate_order", "refund_without_purchase"}
    assert reasons <= {reason for outcome in outcomes for reason in outcome.unattributed}
    assert any(profile.touched for outcome in outcomes for profile in outcome.profiles.values())
    assert any(NEW_PROFILE in outcome.profiles.values() for outcome in outcomes)
    assert any(outcome.profiles[key] != NEW_PROFILE for outcome in outcomes for key, _ in outcome.forgotten)
    for inbounds, outcome in zip(logs, outcomes, strict=True):
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
    assert audited.exposed == original.exposed


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


def test_a_delta_says_what_was_seen_with_every_slate_named_once():
    outcome = step([inbound(n, item="i9" if n < 2 else "i1") for n in range(3)], {}, decide, RULES)
    exposures = delta_of(outcome, (), partition=0, events=3, dead_letters=0).exposures
    assert exposures.slates == ("events-0-0", "events-0-1")
    assert exposures.times == (T, T + 1000)
    assert exposures.policies == ("fixed/1", "fixed/1")
    deepest = next(item.position for item in outcome.slates[1].items if item.item_id == "i1")
    assert exposures.slate == (0,) * len(ITEMS) + (1,) * deepest
    assert exposures.position == (*range(1, len(ITEMS) + 1), *range(1, deepest + 1))
    rows = b64decode(exposures.context)
    assert len(rows) == CONTEXT_SIZE * len(exposures.position)
    # Only the second of these slates publishes its pool, and so its contexts.
    assert [row > 0 for row in rows[::CONTEXT_SIZE]] == [False] * len(ITEMS) + [True] * deepest


def test_a_delta_of_nothing_seen_has_no_exposures():
    outcome = step([inbound(0)], {}, decide, RULES)
    assert delta_of(outcome, (), partition=0, events=1, dead_letters=0).exposures is UNSET


def test_what_exposes_a_slate_can_be_chosen():
    rules = StepRules(exposing="impressions")
    run = [inbound(0, item="i9"), inbound(1, item="i9"), inbound(2, kind="impression", items=())]
    run[2] = run[2]._replace(event=replace(run[2].event, slate_id="events-0-1"))
    outcome = step(run, {}, decide, rules)
    assert [(each.slate.slate_id, each.how) for each in outcome.exposed] == [("events-0-1", "impression")]


def beat(offset):
    return inbound(offset, user="0", kind="search", tenant=HEARTBEAT_TENANT, items=())


def test_a_heartbeat_gets_a_slate_whatever_shoppers_get_and_leaves_nothing_behind():
    rules = StepRules(slate_types=frozenset({"purchase"}))
    outcome = step([beat(n) for n in range(50)], {}, decide, rules)
    assert len(outcome.slates) == 50
    assert (outcome.learned, outcome.rewards, outcome.exposed, outcome.unattributed) == ([], [], [], [])
    (profile,) = outcome.profiles.values()
    assert (profile.items, profile.open_slates, profile.touched) == ((), (), ())
    assert len(encode_profile(profile)) < 200


def test_heartbeats_between_shoppers_events_change_nothing_for_shoppers():
    shoppers = [inbound(n, user=f"u{n % 3}", item=f"i{n % 5}") for n in range(0, 60, 2)]
    mixed = sorted([*shoppers, *(beat(n) for n in range(1, 60, 2))], key=lambda each: each.origin.offset)
    alone, both = (step(events, {}, decide, RULES) for events in (shoppers, mixed))
    assert both.profiles.keys() - alone.profiles.keys() == {f"{HEARTBEAT_TENANT}|0"}
    assert {key: both.profiles[key] for key in alone.profiles} == alone.profiles
    assert (both.rewards, both.learned, both.exposed) == (alone.rewards, alone.learned, alone.exposed)
    assert len(alone.rewards) > 10
    assert both.slates.of_shoppers() == alone.slates
