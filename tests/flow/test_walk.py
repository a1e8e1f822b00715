"""What the product promises, walked through in one process and without a broker."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.reranking.rules import Rules
from state.slate import Delta
from tests.flow.walk import Walk
from tests.stream.records import click, cuts, records, shop_events


def session(user, *items, **fields):
    return [click(user, item, event_id=f"{user}-{item}", **fields) for item in items]


# A click changes the slate ---------------------------------------------------------------------------


def test_in_an_empty_shop_the_first_click_is_answered_by_nothing():
    walk = Walk()
    walk.send(*session("ann", "tent"))
    assert walk.latest("ann") == []


def test_a_click_of_one_user_changes_what_another_gets():
    walk = Walk()
    walk.send(*session("bob", "lamp"))
    assert walk.latest("bob") == []
    walk.send(*session("ann", "tent", "stove"))
    walk.send(*session("bob", "tent"))
    assert "stove" in walk.latest("bob")


def test_a_click_in_another_partition_changes_it_too():
    walk = Walk()
    walk.send(*session("ann", "tent", "stove"), partition=3)
    walk.send(*session("bob", "tent"), partition=0)
    assert "stove" in walk.latest("bob")


def test_what_follows_an_item_ranks_above_what_is_merely_popular():
    walk = Walk()
    for n in range(8):
        walk.send(*session(f"fan{n}", f"hit{n % 2}"))
    for n in range(4):
        walk.send(*session(f"camper{n}", "tent", "stove"))
    walk.send(*session("bob", "tent"))
    (*_, slate) = walk.slates
    scores = {item.item_id: item.score for item in slate.items}
    assert max(scores, key=scores.get) == "stove"
    sources = {item.item_id: {source.name for source in item.sources} for item in slate.items}
    assert sources["hit0"] == {"popularity"}
    assert len(sources["stove"]) > 1


def test_the_next_click_of_the_same_user_changes_the_slate_again():
    walk = Walk()
    for n in range(3):
        walk.send(*session(f"camper{n}", "tent", "stove"))
        walk.send(*session(f"reader{n}", "novel", "lamp"))
    walk.send(*session("bob", "tent"))
    tops = [max(walk.slates[-1].items, key=lambda item: item.score).item_id]
    walk.send(*session("bob", "novel"))
    tops.append(max(walk.slates[-1].items, key=lambda item: item.score).item_id)
    assert tops == ["stove", "lamp"]


def test_a_bought_item_leaves_the_slate():
    walk = Walk()
    for n in range(3):
        walk.send(*session(f"camper{n}", "tent", "stove", "lamp"))
    walk.send(*session("bob", "tent"))
    assert "stove" in walk.latest("bob")
    walk.send({"type": "purchase", "user_id": "bob", "item_id": "stove"})
    walk.send(*session("bob", "lamp"))
    assert "stove" not in walk.latest("bob")
    assert "tent" in walk.latest("bob")


def test_an_item_that_was_just_announced_can_be_shown_and_a_withdrawn_one_cannot():
    walk = Walk()
    walk.catalogue("tent", "stove", "new")
    walk.send(*session("ann", "tent", "stove"))
    walk.send(*session("bob", "tent"))
    assert set(walk.latest("bob")) == {"stove", "new"}
    walk.models.withdraw_item("stove")
    walk.send(*session("eve", "tent"))
    assert walk.latest("eve") == ["new"]


def test_an_event_that_arrives_late_still_teaches():
    walk = Walk()
    late = click("ann", "stove", event_id="late", time=1_763_831_000_000 - 600_000)
    walk.send(*session("ann", "tent"), late)
    walk.send(*session("bob", "tent"))
    assert "stove" in walk.latest("bob")


def test_a_click_on_a_published_item_is_a_reward_with_its_propensity():
    walk = Walk()
    walk.send(*session("ann", "tent", "stove"))
    walk.send(*session("bob", "tent"))
    slate = walk.slates[-1]
    walk.send(click("bob", slate.items[0].item_id, slate_id=slate.slate_id, position=1))
    (reward,) = walk.rewards
    assert (reward.slate_id, reward.position) == (slate.slate_id, 1)
    assert reward.propensity == slate.items[0].propensity
    assert reward.policy_version == slate.policy_version


def test_what_one_tenant_did_is_kept_apart_in_its_profiles():
    walk = Walk()
    walk.send(*session("ann", "tent"), *session("ann", "novel", tenant="north"))
    items = {key: profile.items for key, profile in walk.users()}
    assert items == {b"ann": ("tent",), b"north|ann": ("novel",)}


# Every record counts once ----------------------------------------------------------------------------

VALUES = [shop_events(seed, count=150) for seed in range(3)]


@pytest.fixture(scope="module")
def busy():
    """Three partitions of mixed input, in uneven cycles."""
    walk, draw = Walk(), random.Random(2)
    for partition, values in enumerate(VALUES):
        start = 0
        for length in cuts(draw, len(values)):
            walk.send(*values[start : start + length], partition=partition)
            start += length
    return walk


def test_every_record_is_an_event_or_a_dead_letter(busy):
    events = sum(delta.events for delta in busy.deltas)
    assert busy.read == sum(map(len, VALUES))
    assert events + len(busy.dead_letters) == busy.read
    assert sum(delta.dead_letters for delta in busy.deltas) == len(busy.dead_letters) > 0


def test_every_event_is_a_duplicate_or_changes_its_profile_once(busy):
    folded = sum(sum(profile.counts) for _, profile in busy.users())
    duplicates = sum(delta.duplicates for delta in busy.deltas)
    assert folded + duplicates == sum(delta.events for delta in busy.deltas)
    assert duplicates > 0


def test_every_event_that_asks_for_a_slate_gets_exactly_one(busy):
    impressions = sum(profile.counts[0] for _, profile in busy.users())
    events = sum(delta.events - delta.duplicates for delta in busy.deltas)
    places = Counter(slate.slate_id for slate in busy.slates)
    assert len(busy.slates) == events - impressions == sum(delta.slates for delta in busy.deltas)
    assert set(places.values()) == {1}


def test_the_deltas_cover_the_log_of_every_partition_without_overlap(busy):
    for partition, values in enumerate(VALUES):
        spans = [span for delta in busy.deltas if delta.partition == partition for span in delta.spans]
        covered = [o for span in spans for o in range(span.first_offset, span.last_offset + 1)]
        assert covered == list(range(len(values)))


def test_a_dead_letter_can_be_found_in_its_log(busy):
    for key, value, headers in busy.dead_letters:
        said = dict(headers)
        partition, offset = int(said["dlq.source.partition"]), int(said["dlq.source.offset"])
        assert VALUES[partition][offset] == value
        assert key == b"k"


def test_no_slate_goes_without_propensities(busy):
    for slate in busy.slates:
        assert all(0 < item.propensity <= 1 for item in slate.items)
        assert [item.position for item in slate.items] == list(range(1, len(slate.items) + 1))


def test_every_reward_answers_a_published_slate(busy):
    published = {slate.slate_id: slate for slate in busy.slates}
    assert busy.rewards
    for reward in busy.rewards:
        slate = published[reward.slate_id]
        item = slate.items[reward.position - 1]
        assert (item.item_id, item.propensity) == (reward.item_id, reward.propensity)


# Replay ----------------------------------------------------------------------------------------------


def walked(lengths, *, learning, start=()):
    walk = Walk(learning=learning)
    walk.models.learn(start)
    values, at = shop_events(9, count=120), 0
    for length in lengths:
        walk.send(*values[at : at + length])
        at += length
    return walk


def taught():
    """Deltas of a shop that has seen something."""
    walk = Walk()
    walk.send(*[value for value in shop_events(4) if isinstance(value, dict)])
    return walk.deltas


TAUGHT = taught()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_with_frozen_models_the_cut_into_cycles_changes_nothing(seed):
    whole = walked([120], learning=False, start=TAUGHT)
    cut = walked(cuts(random.Random(seed), 120), learning=False, start=TAUGHT)
    assert any(slate.items for slate in whole.slates)
    assert cut.slates == whole.slates
    assert cut.rewards == whole.rewards
    assert dict(cut.users()) == dict(whole.users())
    assert cut.dead_letters == whole.dead_letters


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_learning_models_end_up_the_same_whatever_the_cut(seed):
    """Slates differ, since cycles learn at other moments; what was learned does not."""
    whole = walked([120], learning=True)
    cut = walked(cuts(random.Random(seed), 120), learning=True)

    def lessons(deltas: list[Delta]):
        return [
            (delta.items[item], session, time, code)
            for delta in deltas
            for item, session, time, code in zip(
                delta.item, delta.session, delta.time, delta.type, strict=True
            )
        ]

    assert lessons(cut.deltas) == lessons(whole.deltas)
    assert cut.models.item_ids == whole.models.item_ids
    assert cut.models.n_sessions == whole.models.n_sessions
    assert cut.models.n_rules == whole.models.n_rules


def test_a_replay_of_the_same_cycles_publishes_the_same_bytes():
    lengths = cuts(random.Random(3), 120)
    first, again = walked(lengths, learning=True), walked(lengths, learning=True)
    assert first.slates == again.slates
    assert first.rewards == again.rewards
    assert any(slate.items for slate in first.slates)


def test_several_input_topics_of_a_partition_share_their_users():
    walk = Walk()
    events = [{"user_id": "ann", "item_id": item} for item in ("tent", "stove")]
    walk.process(0, {"clicks": records(events, topic="clicks")})
    walk.process(
        0, {"purchases": records([{"user_id": "ann", "item_id": "lamp"}], topic="purchases", start=5)}
    )
    profile = dict(walk.users())[b"ann"]
    assert profile.items == ("tent", "stove", "lamp")
    assert profile.counts[2] == 2
    assert profile.counts[5] == 1


# Business rules --------------------------------------------------------------------------------------


def test_rules_hold_from_the_next_slate_on_and_feedback_is_joined_to_what_they_left():
    walk = Walk()
    walk.catalogue(*(f"i{n}" for n in range(0, 14, 2)), category="shoes/trail")
    walk.catalogue(*(f"i{n}" for n in range(1, 14, 2)), category="tents")
    for _ in range(4):
        walk.cycle(40)
    free, rewards = len(walk.slates), len(walk.rewards)
    rules = Rules(category_limits={"shoes": 2}, exclude=frozenset({"i1"}))
    walk.engine.decide.follow(rules)
    for _ in range(6):
        walk.cycle(40)
    assert any(sum(int(item.item_id[1:]) % 2 == 0 for item in s.items) > 2 for s in walk.slates[:free])
    under = {slate.slate_id: slate for slate in walk.slates[free:]}
    for slate in under.values():
        shown = [item.item_id for item in slate.items]
        assert slate.rules.version == rules.version
        assert sum(int(item_id[1:]) % 2 == 0 for item_id in shown) <= 2
        assert "i1" not in shown
    joined = [reward for reward in walk.rewards[rewards:] if reward.slate_id in under]
    assert len(joined) > 10
    for reward in joined:
        item = under[reward.slate_id].items[reward.position - 1]
        assert (item.item_id, item.propensity) == (reward.item_id, reward.propensity)
