import random
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.event import EventRules
from state.profile import PROFILE_VERSION
from state.reward import reward_rules
from state.step import StepRules
from stream.codecs import (
    Marker,
    decode_delta,
    decode_marker,
    decode_profile,
    decode_reward,
    decode_slate,
    encode_profile,
)
from stream.store import MARKER
from stream.work import times_of, work
from tests.state.shown import profile as profile_of
from tests.state.shown import slate
from tests.stream.records import (
    WRITER,
    DictStore,
    T,
    click,
    cuts,
    engine,
    record,
    records,
    shop_events,
)

ENGINE = engine()


def run(values, store=None, **place):
    """One cycle over records of one topic."""
    place = {"topic": "events", "partition": 0} | place
    made = records(values, **place)
    return work(place["partition"], {place["topic"]: made}, DictStore() if store is None else store, ENGINE)


def delta_of(result):
    ((_, value, _),) = result.deltas
    return decode_delta(value)


def test_an_event_becomes_a_profile_a_marker_a_slate_and_a_delta():
    result = run([click("ann", "shoe", event_id="e1")], partition=3, start=17)
    rows = dict(result.changelog)
    assert set(rows) == {b"ann", MARKER + b"events"}
    profile = decode_profile(rows[b"ann"])
    assert (profile.version, profile.items) == (PROFILE_VERSION, ("shoe",))
    assert decode_marker(rows[MARKER + b"events"]) == Marker(17, WRITER)
    assert result.markers == {"events": Marker(17, WRITER)}
    ((key, value, headers),) = result.slates
    slate = decode_slate(value)
    assert (key, headers, slate.user_id, slate.slate_id) == (b"ann", (), "ann", "events-3-17")
    assert result.deltas[0][0] == b"3"
    assert delta_of(result).items == ("shoe",)
    assert (result.events, result.duplicates, result.rewards, result.dead_letters) == (1, 0, [], [])


def test_users_of_another_tenant_have_their_own_key():
    result = run([click("ann", "shoe", tenant="north")])
    assert result.slates[0][0] == b"north|ann"
    assert b"north|ann" in dict(result.changelog)


def test_what_is_known_of_a_user_goes_on():
    store = DictStore()
    store.apply(run([click("ann", "shoe")], store))
    result = run([click("ann", "sock")], store, start=1)
    assert decode_profile(dict(result.changelog)[b"ann"]).items == ("shoe", "sock")


def test_feedback_on_a_published_slate_becomes_a_reward():
    published = work(
        0,
        {"events": [record(click("ann", "shoe"))]},
        DictStore(),
        engine(models_of(("sock", 1), ("shoe", 1))),
    )
    slate = decode_slate(published.slates[0][1])
    store = DictStore(published.changelog)
    result = run([click("ann", slate.items[0].item_id)], store, start=1)
    ((key, value, _),) = result.rewards
    reward = decode_reward(value)
    assert key == b"ann"
    assert (reward.slate_id, reward.position, reward.type) == (slate.slate_id, 1, "click")
    assert reward.propensity == slate.items[0].propensity


def models_of(*clicks):
    """Models that have seen (item, session) clicks."""
    from state.models import Models
    from tests.state.retrieval.shops import make_delta

    models = Models()
    models.learn([make_delta([(item, session, T, 2) for item, session in clicks])])
    return models


BAD = {
    "not JSON": (b"{", "not_json"),
    "wrong types": (b'{"type": "click", "user_id": "u", "items": 3}', "wrong_type"),
    "no user": (b'{"type": "click", "item_id": "a"}', "missing_user"),
    "no item": (b'{"type": "click", "user_id": "u"}', "missing_item"),
    "unknown type": (b'{"type": "teleport", "user_id": "u", "item_id": "a"}', "unknown_type"),
    "far future": (
        b'{"type": "click", "user_id": "u", "item_id": "a", "time": 1900000000000}',
        "time_in_future",
    ),
    "far past": (b'{"type": "click", "user_id": "u", "item_id": "a", "time": 1300000000000}', "time_too_old"),
    "1 MB": (
        b'{"type": "click", "user_id": "u", "item_id": "a", "x": "' + b"x" * (1 << 20) + b'"}',
        "too_large",
    ),
    "no value": (None, "null_value"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_record_is_a_dead_letter_with_its_own_bytes_and_the_next_is_served(name):
    value, reason = BAD[name]
    headers = [("trace", b"\xff\x00")]
    bad = record(value, 5, topic="events", partition=2, key=b"\xfe", headers=headers)
    result = work(2, {"events": [bad, record(click("ann", "shoe"), 6, partition=2)]}, DictStore(), ENGINE)
    ((key, dead, found),) = result.dead_letters
    assert (key, dead, list(found[:1])) == (b"\xfe", value, headers)
    said = dict(found)
    assert said["dlq.reason"] == reason.encode()
    assert (said["dlq.source.topic"], said["dlq.source.partition"], said["dlq.source.offset"]) == (
        b"events",
        b"2",
        b"5",
    )
    assert said["dlq.app_version"] == b"9.9.9"
    assert len(result.slates) == result.events == 1
    assert bytes(result.invalid["events"]) == b"\1\0"
    assert result.last_error.reason == reason


def test_a_cycle_of_dead_letters_alone_still_moves_the_marker_and_covers_the_log():
    result = run([b"{", None], start=40)
    assert dict(result.changelog).keys() == {MARKER + b"events"}
    assert result.markers["events"].offset == 41
    delta = delta_of(result)
    assert (delta.events, delta.dead_letters, delta.slates) == (0, 2, 0)
    assert [(s.first_offset, s.last_offset) for s in delta.spans] == [(40, 41)]


def test_the_delta_accounts_for_every_record_of_the_run():
    event = click("ann", "shoe", event_id="e1")
    result = run([event, b"{", event, {**event, "type": "impression", "event_id": "e2"}], start=7)
    delta = delta_of(result)
    assert (delta.events, delta.duplicates, delta.dead_letters, delta.slates) == (3, 1, 1, 1)
    assert [(s.topic, s.first_offset, s.last_offset) for s in delta.spans] == [("events", 7, 10)]


def test_the_same_input_gives_the_same_bytes():
    values = shop_events(3)
    first, again = run(values), run(values)
    assert first[:-1] == again[:-1]
    assert str(first.last_error) == str(again.last_error)


def test_a_repeated_cycle_writes_identical_slates_so_a_retry_can_be_told():
    first, again = run(shop_events(4)), run(shop_events(4))
    assert [value for _, value, _ in first.slates] == [value for _, value, _ in again.slates]
    assert first.dead_letters == again.dead_letters


# Several input topics ------------------------------------------------------------------------------

THREE = {"clicks": "click", "purchases": "purchase", "impressions": "impression"}


def test_several_topics_are_merged_by_record_time():
    def at(topic, offset, time, item):
        return record({"user_id": "ann", "item_id": item}, offset, topic=topic, time=T + time)

    runs = {
        "clicks": [at("clicks", 0, 0, "a"), at("clicks", 1, 20, "c")],
        "purchases": [at("purchases", 8, 10, "b"), at("purchases", 9, 30, "d")],
    }
    result = work(0, runs, DictStore(), ENGINE)
    profile = decode_profile(dict(result.changelog)[b"ann"])
    assert profile.items == ("a", "b", "c", "d")
    assert [decode_slate(value).trigger.topic for _, value, _ in result.slates] == [
        "clicks",
        "purchases",
        "clicks",
        "purchases",
    ]
    assert result.markers == {"clicks": Marker(1, WRITER), "purchases": Marker(9, WRITER)}
    spans = {(s.topic, s.first_offset, s.last_offset) for s in delta_of(result).spans}
    assert spans == {("clicks", 0, 1), ("purchases", 8, 9)}


def test_within_a_topic_the_log_order_stays_whatever_the_times():
    def at(offset, time):
        return record({"user_id": "ann", "item_id": f"i{offset}"}, offset, topic="clicks", time=T + time)

    other = record({"user_id": "bob", "item_id": "x"}, 0, topic="purchases", time=T + 15)
    result = work(0, {"clicks": [at(0, 30), at(1, 10), at(2, 20)], "purchases": [other]}, DictStore(), ENGINE)
    offsets = [decode_slate(value).trigger.offset for key, value, _ in result.slates if key == b"ann"]
    assert offsets == [0, 1, 2]


def test_the_dead_letters_of_each_topic_are_counted_apart():
    runs = {
        "clicks": [
            record(b"{", 0, topic="clicks"),
            record({"user_id": "u", "item_id": "a"}, 1, topic="clicks"),
        ],
        "purchases": [record(None, 4, topic="purchases")],
    }
    invalid = work(0, runs, DictStore(), ENGINE).invalid
    assert {topic: bytes(flags) for topic, flags in invalid.items()} == {
        "clicks": b"\1\0",
        "purchases": b"\1",
    }


def test_a_record_in_another_format_that_is_passed_over_is_a_dead_letter_and_no_fault_of_the_topic():
    values = [
        {"event": "Product Viewed", "userId": "ann", "properties": {"sku": "shoe"}},
        {"type": "page", "userId": "ann"},
        {"event": "Product Viewed"},
    ]
    web = engine(events=EventRules(formats={"web": "segment"}))
    log = records(values, topic="web")
    result = work(0, {"web": log}, DictStore(), web)
    assert [inbound.event.type for inbound in result.inbounds] == ["view"]
    assert result.rejected == [("web", "passed_over"), ("web", "missing_user")]
    assert [value for _, value, _ in result.dead_letters] == [log[1].value, log[2].value]
    assert bytes(result.invalid["web"]) == b"\0\1"
    assert result.last_error.reason == "missing_user"


def forget(user):
    return {"type": "forget", "user_id": user}


def test_a_user_who_is_forgotten_has_tombstones_behind_the_profile_and_the_slates_before():
    store = DictStore()
    store.apply(run([click("ann", "shoe"), click("bob", "shoe")], store))
    result = run([click("ann", "sock"), forget("ann"), click("bob", "sock")], store, start=2)
    rows = dict(result.changelog)
    assert rows[b"ann"] is None
    assert decode_profile(rows[b"bob"]).items == ("shoe", "sock")
    assert [(key, value is None) for key, value, _ in result.slates] == [
        (b"ann", False),
        (b"ann", True),
        (b"bob", False),
    ]
    assert delta_of(result).events == 3


def test_a_user_who_comes_back_in_the_same_cycle_begins_anew():
    store = DictStore()
    store.apply(run([click("ann", "shoe")], store))
    result = run([forget("ann"), click("ann", "sock")], store, start=1)
    assert decode_profile(dict(result.changelog)[b"ann"]).items == ("sock",)
    assert [value is None for _, value, _ in result.slates] == [True, False]


# Cuts ----------------------------------------------------------------------------------------------


def worked(log, lengths):
    """The whole log in cycles of these lengths: store, slates, rewards, dead letters, spans."""
    store, slates, rewards, dead, spans, learned = DictStore(), [], [], [], [], []
    start = 0
    for length in lengths:
        cycle = log[start : start + length]
        start += length
        runs = {topic: list(run) for topic, run in groupby(cycle, key=lambda each: each.topic)}
        result = work(0, runs, store, FROZEN)
        store.apply(result)
        slates += result.slates
        rewards += result.rewards
        dead += result.dead_letters
        delta = delta_of(result)
        spans += [(s.topic, s.first_offset, s.last_offset) for s in delta.spans]
        learned += zip(
            [delta.items[i] for i in delta.item], delta.session, delta.time, delta.type, strict=True
        )
    return store, slates, rewards, dead, learned, spans


FROZEN = engine(models_of(*[(f"i{n}", n // 3 + 1) for n in range(14)]))
LOG = records(shop_events(11, count=150), step=2)


@pytest.fixture(scope="module")
def whole():
    return worked(LOG, [len(LOG)])


def test_the_log_of_these_tests_has_everything_in_it(whole):
    store, slates, rewards, dead, learned, _ = whole
    assert len(store) > 5
    assert len(slates) > 80
    assert len(rewards) > 10
    assert len(dead) > 2
    assert len(learned) > 80
    assert len(slates) + len(dead) < len(LOG)  # duplicates and impressions ask for none


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_how_the_log_is_cut_into_cycles_changes_nothing(whole, seed):
    lengths = cuts(random.Random(seed), len(LOG))
    found = worked(LOG, lengths)
    assert found[:-1] == whole[:-1]


@pytest.mark.parametrize("length", [1, 7, 150])
def test_the_spans_of_all_cycles_cover_the_log_without_overlap(length):
    lengths = cuts(random.Random(length), len(LOG), most=length)
    spans = worked(LOG, lengths)[-1]
    offsets = [each.offset for each in LOG]
    covered = [offset for _, first, last in spans for offset in offsets if first <= offset <= last]
    assert covered == offsets


def test_event_rules_of_the_engine_decide_what_is_valid():
    strict = engine(events=EventRules(max_items=1))
    two = {"type": "purchase", "user_id": "u", "items": [{"item_id": "a"}, {"item_id": "b"}]}
    assert work(0, {"events": [record(two)]}, DictStore(), strict).last_error.reason == "too_many_items"
    assert work(0, {"events": [record(two)]}, DictStore(), ENGINE).last_error is None


# What the metrics need --------------------------------------------------------------------------------


def test_a_result_carries_the_events_and_what_they_led_to():
    result = run([click("ann", "shoe", event_id="e1"), b"{", click("ann", "shoe", event_id="e1")], start=4)
    assert [(inbound.origin.offset, inbound.event.type) for inbound in result.inbounds] == [
        (4, "click"),
        (6, "click"),
    ]
    assert (result.events, result.duplicates) == (2, 1)
    assert [slate.slate_id for slate in result.outcome.slates] == ["events-0-4"]
    assert result.rejected == [("events", "not_json")]


def test_the_laps_are_the_clocks_in_the_order_of_the_parts():
    ticks = iter((100.0, 101.0, 103.0, 106.0, 110.0))
    made = work(
        0, {"events": records([click("ann", "shoe")])}, DictStore(), ENGINE, clock=lambda: next(ticks)
    )
    assert made.laps == (1.0, 2.0, 3.0, 4.0)


def test_without_a_clock_no_time_passes():
    assert run([click("ann", "shoe")]).laps == (0.0, 0.0, 0.0, 0.0)


# Bad input, from the wire to the reason --------------------------------------------------------------

REWARDED = reward_rules("click=1 purchase=0.05*value", currency="EUR")


def after_a_slate(value):
    """The cycle of a record of a user who was shown items `a` and `b` 50 s before."""
    store = DictStore({b"ann": encode_profile(profile_of(slate(7, "a", "b", time=T)))})
    rewarding = ENGINE._replace(step=StepRules(reward=REWARDED))
    return work(0, {"events": [record(value, offset=50)]}, store, rewarding)


def purchase(rest):
    return f'{{"event_id":"p1","type":"purchase","user_id":"ann","item_id":"a",{rest}}}'.encode()


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ('"value":NaN', "not_json"),
        ('"value":Infinity', "not_json"),
        ('"value":1e999', "wrong_type"),
        ('"value":"NaN"', "wrong_type"),
        ('"value":1e13', "wrong_value"),
        ('"value":-1e13', "wrong_value"),
        ('"items":[{"item_id":"a","price":-1}]', "wrong_value"),
        ('"items":[{"item_id":"a","price":1e999}]', "wrong_type"),
        ('"items":[{"item_id":"a","price":1,"quantity":-2}]', "wrong_value"),
        ('"items":[{"item_id":"a","price":1,"quantity":0}]', "wrong_value"),
    ],
)
def test_numbers_that_are_none_are_dead_letters_and_no_feedback(rest, reason):
    result = after_a_slate(purchase(rest))
    assert result.rejected == [("events", reason)]
    assert (result.rewards, list(result.outcome.unattributed)) == ([], [])


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ('"value":-5', "negative_value"),
        ('"value":5,"currency":"USD"', "currency_mismatch"),
        ('"currency":"EUR"', "no_value"),
        ('"value":5,"slate_id":"events-0-999"', "unknown_slate"),
        (f'"value":5,"time":{T - 60_000}', "before_slate"),
        (f'"value":5,"time":{T - 60_000},"slate_id":"events-0-7"', "before_slate"),
    ],
)
def test_feedback_that_is_valid_and_earns_nothing_has_a_reason(rest, reason):
    result = after_a_slate(purchase(rest))
    assert (result.dead_letters, result.rewards) == ([], [])
    assert list(result.outcome.unattributed) == [reason]


def test_a_refund_with_a_negative_value_is_one_and_a_click_with_one_is_not():
    refund = purchase('"value":-5').replace(b'"purchase"', b'"refund"')
    assert list(after_a_slate(refund).outcome.unattributed) == ["refund_without_purchase"]
    clicked = purchase('"value":-5').replace(b'"purchase"', b'"click"')
    assert list(after_a_slate(clicked).outcome.unattributed) == ["negative_value"]


def test_the_largest_purchase_is_worth_the_clip():
    result = after_a_slate(purchase('"items":[{"item_id":"a","price":1e12,"quantity":1e6}]'))
    reward = decode_reward(result.rewards[0][1])
    assert (reward.reward, reward.value) == (REWARDED.clip, 1e18)
    assert reward.reward_version == REWARDED.version
    assert b"corrects" not in result.rewards[0][1]


def test_what_was_seen_is_in_the_delta():
    result = after_a_slate(purchase('"value":5'))
    assert delta_of(result).exposures.position == (1,)


def test_the_times_of_records_are_those_of_the_log():
    assert times_of([record({"type": "view"}, 0), record({"type": "view"}, 1)]) == [T, T + 1000]
