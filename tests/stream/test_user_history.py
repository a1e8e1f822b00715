"""One user's past, folded from what workers left."""

import base64

import pytest

from state.event import EventRules, Origin
from state.profile import NEW_PROFILE
from stream.codecs import decode_delta, decode_event, decode_profile, decode_slate, encode_profile
from stream.config import Settings
from stream.refold import deltas_of
from stream.user_history import FORGOTTEN, NoSuchPast, check_time, fold_user, is_of, slate_id_of
from stream.work import work
from tests.stream.pasts import SETTINGS, Worker, World
from tests.stream.records import DictStore, T, click, engine, record, records

USER = "u3"
ALWAYS = 1 << 60


def world_of(cycles=6):
    world = World()
    inputs = {partition: list(log) for partition, log in world.inputs.items()}
    worker = Worker(world, "a")
    for _ in range(cycles):
        worker.fold()
        worker.cycle(0)
    return world, inputs[0]


def mine(log, user=USER):
    return {"events": [each for each in log if is_of(each, user, user, SETTINGS)]}


def cycles_of(world):
    return [pair for pair in deltas_of(SETTINGS, world.shared) if pair[1].partition == 0]


def folded(world, log, at=ALWAYS):
    return fold_user(SETTINGS, USER, mine(log), cycles_of(world), world.slates, at)


def test_the_profile_is_what_the_workers_wrote_cycle_by_cycle():
    world, log = world_of()
    history = folded(world, log)
    written = [value for _, key, value in world.changelog if key == USER.encode()]
    assert list(history.written) == written
    assert len(written) > 2
    assert encode_profile(history.profile) == written[-1]
    assert history.last == len(written) - 1


def test_a_moment_cuts_a_cycle_in_two():
    world, log = world_of()
    runs = mine(log)["events"]
    taken = [each for each in runs if each.offset < 6 * 11]
    before = folded(world, log, at=taken[-2].timestamp)
    after = folded(world, log, at=taken[-1].timestamp)
    assert after.events == before.events + 1
    assert set(after.decided) >= set(before.decided)


def test_a_slate_was_asked_for_with_the_profile_that_contains_its_event():
    world, log = world_of()
    history = folded(world, log)
    assert history.decided
    for slate_id, decided in history.decided.items():
        profile, inbound = decided.asked
        assert slate_id == slate_id_of(inbound.origin)
        assert (
            profile.items[-1] in {item.item_id for item in inbound.event.items}
            or inbound.event.type != "click"
        )
        assert decode_slate(world.slates[slate_id]).user_id == USER
        assert (
            decided.delta.spans[0].first_offset <= inbound.origin.offset <= decided.delta.spans[0].last_offset
        )


def test_a_slate_that_the_log_lost_leaves_the_rest_of_the_profile():
    world, log = world_of()
    whole = folded(world, log)
    world.slates.clear()
    bare = folded(world, log)
    assert bare.profile.open_slates == ()
    assert bare.profile.items == whole.profile.items


def test_events_that_no_worker_took_are_told():
    world, log = world_of(cycles=0)
    with pytest.raises(NoSuchPast, match="no worker had taken the events of 'u3'"):
        folded(world, log)


def test_a_record_is_of_a_user_by_key_whatever_the_spelling():
    escaped = record(b'{"type": "click", "user_id": "\\u0075\\u0033", "item_id": "i1"}')
    assert is_of(escaped, "u3", "u3", SETTINGS)
    assert not is_of(record(b'{"type": "click", "user_id": "u4", "item_id": "u3"}'), "u3", "u3", SETTINGS)
    assert not is_of(record(b'{"user_id": "u3"'), "u3", "u3", SETTINGS)
    assert not is_of(record(None), "u3", "u3", SETTINGS)
    tenant = record(b'{"type": "click", "user_id": "u3", "item_id": "i1", "tenant": "other"}')
    assert not is_of(tenant, "u3", "u3", SETTINGS)
    assert is_of(
        tenant, decode_event(tenant.value, Origin("events", 0, 0, T), EventRules()).key, "u3", SETTINGS
    )


def test_a_record_in_another_format_is_of_a_user_also_where_no_bytes_say_so():
    data = base64.b64encode(b'{"user_id": "u3", "item_id": "i1"}').decode()
    event = {"specversion": "1.0", "type": "shop.click", "data_base64": data}
    other = Settings(inputs=("events", "web"), input_formats=("web=cloudevents",))
    assert is_of(record(event, topic="web"), "u3", "u3", other)
    assert not is_of(record(event, topic="web"), "u4", "u4", other)
    assert not is_of(record(event), "u3", "u3", other)


def test_a_time_before_the_log_and_one_before_the_user_are_told_apart():
    log = {"events": [record({}, 5)]}
    check_time("u", log, T + 5000, T)
    with pytest.raises(NoSuchPast, match="is before the log, whose first record"):
        check_time("u", log, T - 1, T)
    with pytest.raises(NoSuchPast, match="its first event is of"):
        check_time("u", log, T + 1000, T)


def test_the_profile_of_the_last_moment_can_be_read():
    world, log = world_of()
    assert decode_profile(folded(world, log).written[-1]).counts


def test_a_user_who_was_forgotten_begins_anew():
    log = records(
        [click(USER, "i1"), click(USER, "i2"), {"type": "forget", "user_id": USER}, click(USER, "i3")]
    )
    store, cycles, written = DictStore(), [], []
    for start, end in ((0, 2), (2, 3), (3, 4)):
        result = work(0, {"events": log[start:end]}, store, engine())
        store.apply(result)
        cycles += [(record(value), decode_delta(value)) for _, value, _ in result.deltas]
        written.append(dict(result.changelog)[USER.encode()] or FORGOTTEN)
    history = fold_user(SETTINGS, USER, {"events": log}, cycles, {}, ALWAYS)
    assert written[1] == FORGOTTEN
    assert list(history.written) == written
    assert history.profile.items == ("i3",)
    until = fold_user(SETTINGS, USER, {"events": log}, cycles, {}, log[2].timestamp)
    assert (until.profile, until.written[until.last]) == (NEW_PROFILE, FORGOTTEN)
