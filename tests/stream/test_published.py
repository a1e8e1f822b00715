"""What was published before a cycle was cut off comes again as it was, over a log in memory."""

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError, RequestTimedOutError
from hypothesis import given, settings
from hypothesis import strategies as st

import stream.published
from state.errors import UnreadableState
from state.models import Models
from state.slates import Slates
from stream.codecs import decode_delta, decode_slate
from stream.config import Settings
from stream.published import CYCLES, Published
from stream.work import work
from tests.stream.fakes import Log, member
from tests.stream.records import DictStore, click, engine, record, records, shop_events

EVENTS = "events"
SMALL = {"processing_guarantee": "at_least_once", "cycle_max_events": 20, "chunk_records": 5}
RUN = records(shop_events(6, count=60))


def taught():
    """Models that know the shop, so that slates have items."""
    models = Models()
    first = work(0, {EVENTS: records(shop_events(5))}, DictStore(), engine())
    learn(models, [value for _, value, _ in first.deltas])
    return models


def learn(models, values):
    models.learn([decode_delta(value) for value in values])


def slates_of(run, models):
    """The slates of these records in one cycle, as they are written."""
    by_topic = {}
    for each in run:
        by_topic.setdefault(each.topic, []).append(each)
    return [value for _, value, _ in work(0, by_topic, DictStore(), engine(models)).slates]


class Store:
    """What a partition's state contains of each input topic; `stream.store.PartitionStore`."""

    def __init__(self, **applied):
        self.offsets = applied

    def applied(self, topic):
        return self.offsets.get(topic, -1)


class Reader:
    """Counts what is read from the log."""

    def __init__(self, log):
        self.log = log
        self.asked = []
        """Partitions and reach of each reading."""

    def read_topic(self, broker, topic, *, partitions, last):
        self.asked.append((sorted(partitions), last))
        return self.log.read_topic(broker, topic, partitions=partitions, last=last)


@pytest.fixture
def reader(monkeypatch):
    made = Reader(Log())
    monkeypatch.setattr(stream.published, "read_topic", made.read_topic)
    return made


def put(reader, values, partition=0):
    reader.log.topics["slates", partition] += [(b"k", value, ()) for value in values]


def kept(published):
    return sorted(question.trigger.offset for question in published._kept)


def unasked(asked):
    assert asked == [], "this slate was published"
    return Slates.of(())


# Looking for them ----------------------------------------------------------------------------------


async def test_slates_beyond_the_marker_are_kept_and_those_in_the_state_are_not(reader):
    run = [record(click("ann", f"i{n}"), n) for n in range(10)]
    put(reader, slates_of(run, taught()))
    published = Published(unasked, Settings(**SMALL))
    await published.restore({0: Store(events=6)})
    assert kept(published) == [7, 8, 9]
    assert reader.asked == [([0], CYCLES[0] * 25)]


async def test_each_input_topic_has_its_own_marker_and_a_former_one_is_nobodys(reader):
    value = {"user_id": "ann", "item_id": "a"}
    run = [each for topic in ("clicks", "purchases") for each in records([value] * 4, topic=topic)]
    run += records([value | {"type": "click"}] * 4)
    put(reader, [v for each in run for v in slates_of([each], taught())])
    published = Published(unasked, Settings(inputs="clicks,purchases", **SMALL))
    await published.restore({0: Store(clicks=1, purchases=2)})
    assert sorted((q.trigger.topic, q.trigger.offset) for q in published._kept) == [
        ("clicks", 2),
        ("clicks", 3),
        ("purchases", 3),
    ]


async def test_no_more_is_read_than_two_cycles_can_have_written(reader):
    run = [record(click("ann", f"i{n}"), n) for n in range(120)]
    put(reader, slates_of(run, taught()))
    published = Published(unasked, Settings(**SMALL))
    await published.restore({0: Store(events=100)})
    assert reader.asked == [([0], 50)]
    assert kept(published) == list(range(101, 120))


async def test_where_all_of_these_were_cut_off_more_is_read_of_that_partition_alone(reader):
    """Whoever fails again and again leaves ever more slates of the same records behind the first ones."""
    run = [record(click("ann", f"i{n}"), n) for n in range(20)]
    values = slates_of(run, taught())
    put(reader, values)
    for _ in range(20):
        put(reader, values[10:14])
    put(reader, values, partition=1)
    published = Published(unasked, Settings(**SMALL))
    await published.restore({0: Store(events=9), 1: Store(events=19), 2: Store()})
    assert reader.asked == [([0, 1, 2], 50), ([0], CYCLES[1] * 25)]
    assert kept(published) == list(range(10, 20))


async def test_a_slate_of_a_newer_version_stops_the_worker(reader):
    (value,) = slates_of(RUN[:1], taught())
    put(reader, [value.replace(b'"schema_version":1', b'"schema_version":9')])
    with pytest.raises(UnreadableState):
        await Published(unasked, Settings(**SMALL)).restore({0: Store()})


# Standing in for decisions -------------------------------------------------------------------------


async def restored(reader, values, **applied):
    put(reader, values)
    models = taught()
    published = Published(engine(models).decide, Settings(**SMALL))
    await published.restore({0: Store(**applied)})
    return published, models


async def test_a_published_slate_comes_again_whatever_the_models_have_learned(reader):
    values = slates_of(RUN, taught())
    published, models = await restored(reader, values)
    learn(models, [v for _, v, _ in work(0, {EVENTS: RUN}, DictStore(), engine()).deltas])
    assert slates_of(RUN, models) != values
    again = work(0, {EVENTS: RUN}, DictStore(), engine(models)._replace(decide=published))
    assert [value for _, value, _ in again.slates] == values
    assert len(values) > 30
    assert published._kept == {}


async def test_what_the_state_makes_of_it_is_what_the_published_slate_says(reader):
    first = work(0, {EVENTS: RUN}, DictStore(), engine(taught()))
    published, models = await restored(reader, [value for _, value, _ in first.slates])
    learn(models, [v for _, v, _ in first.deltas])
    again = work(0, {EVENTS: RUN}, DictStore(), engine(models)._replace(decide=published))
    assert again.changelog == first.changelog
    assert again.rewards == first.rewards
    assert first.rewards


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(0, 59)), st.integers(1, 60))
def test_what_was_not_published_is_decided_and_all_stand_in_log_order(missing, cut):
    values = slates_of(RUN, taught())
    models = taught()
    learn(models, [v for _, v, _ in work(0, {EVENTS: RUN}, DictStore(), engine()).deltas])
    decided = slates_of(RUN, models)
    published = Published(engine(models).decide, Settings(**SMALL))
    there = [value for value in values if decode_slate(value).trigger.offset not in missing]
    published._kept = {stream.published._answered(decode_slate(value)): value for value in there}
    expected = [
        now if decode_slate(then).trigger.offset in missing else then
        for then, now in zip(values, decided, strict=True)
    ]
    store, found = DictStore(), []
    for part in (RUN[:cut], RUN[cut:]):
        if part:
            result = work(0, {EVENTS: part}, store, engine(models)._replace(decide=published))
            store.apply(result)
            found += [value for _, value, _ in result.slates]
    assert found == expected
    assert published._kept == {}


async def test_an_id_that_has_to_be_escaped_comes_again_to_the_byte(reader):
    ids = ['a"b', "a\\b", "ä/\u2028", "\U0001f6d2"]
    odd = [record(click("ann", item), n) for n, item in enumerate(ids)]
    models = Models()
    learn(models, [v for _, v, _ in work(0, {EVENTS: odd}, DictStore(), engine()).deltas])
    values = slates_of(odd, models)
    assert len(decode_slate(values[0]).items) == len(ids) - 1  # not the one that was clicked
    put(reader, values)
    published = Published(unasked, Settings(**SMALL))
    await published.restore({0: Store()})
    again = work(0, {EVENTS: odd}, DictStore(), engine()._replace(decide=published))
    assert [value for _, value, _ in again.slates] == values


async def test_the_slate_of_another_event_at_the_same_place_is_not_taken(reader):
    """A topic was deleted and created again: its offsets, and with them the slates' ids, begin anew."""
    published, models = await restored(
        reader, slates_of([record(click("ann", "i1", event_id="e1"), 0)], taught())
    )
    for other in (
        record(click("bob", "i1", event_id="e1"), 0),
        record(click("ann", "i1", event_id="e2"), 0),
        record(click("ann", "i1", event_id="e1"), 0, time=7_000_000_000_000),
        record(click("ann", "i1", event_id="e1", tenant="t"), 0),
    ):
        kept_before = dict(published._kept)
        again = work(0, {EVENTS: [other]}, DictStore(), engine(models)._replace(decide=published))
        assert [v for _, v, _ in again.slates] == slates_of([other], models)
        published._kept = kept_before


async def test_what_is_passed_is_let_go_and_other_partitions_keep_theirs(reader):
    run = [record(click("ann", f"i{n}"), n) for n in range(6)]
    elsewhere = [record(click("bob", "i1"), n, partition=1) for n in range(2)]
    put(reader, slates_of(elsewhere, taught()), partition=1)
    put(reader, slates_of(run, taught()))
    published = Published(engine(taught()).decide, Settings(**SMALL))
    await published.restore({0: Store(), 1: Store()})
    work(0, {EVENTS: run[3:4]}, DictStore(), engine()._replace(decide=published))
    assert kept(published) == [0, 1, 4, 5]
    assert {q.trigger.partition for q in published._kept if q.trigger.offset < 2} == {1}


def test_with_nothing_kept_the_other_decides_and_its_slates_are_handed_on():
    decided = Slates.of(())
    asked = [object()]
    published = Published(lambda given: decided if given is asked else None, Settings())
    assert published(asked) is decided


# In the loop ---------------------------------------------------------------------------------------


async def begun(make, **settings):
    models = taught()
    rig = make(engine=engine(models, writer="me"), **(SMALL | settings))
    await rig.begin()
    return rig, models


async def cut_off(rig, run, generation=1):
    """Let a cycle end between its outputs and its changelog, and the next assignment begin."""
    rig.publisher.between.append(RequestTimedOutError())
    await rig.put(run, generation=generation)
    while rig.source.rejoins < generation:
        await asyncio.sleep(0)
    await rig.begin(generation=generation + 1)


async def test_a_cycle_cut_off_before_its_changelog_repeats_its_slates_to_the_byte(make):
    rig, models = await begun(make)
    await rig.put(RUN[:10])
    await rig.idle()
    before = len(rig.log.values("slates"))
    await cut_off(rig, RUN[10:30])
    learn(models, rig.log.values("deltas"))
    first = rig.log.values("slates")[before:]
    assert len(first) > 10
    await rig.put(RUN[10:20], generation=2)
    await rig.idle()
    await rig.put(RUN[20:40], generation=2)
    await rig.idle()
    again = rig.log.values("slates")[before + len(first) :]
    assert again[: len(first)] == first
    assert len(again) > len(first)
    assert rig.published._kept == {}


async def test_a_cycle_that_is_cut_off_again_and_again_still_repeats_its_first_slates(make):
    rig, models = await begun(make)
    for generation in range(1, 9):
        await cut_off(rig, RUN[:20] if generation == 1 else RUN[:6], generation)
        learn(models, rig.log.values("deltas")[-1:])
    await rig.put(RUN[:20], generation=9)
    await rig.idle()
    versions = {}
    for value in rig.log.values("slates"):
        versions.setdefault(decode_slate(value).slate_id, set()).add(value)
    assert len(versions) > 10
    assert all(len(found) == 1 for found in versions.values())


async def test_a_closed_partition_drops_its_slates_and_the_next_opening_finds_them_again(make):
    rig, _ = await begun(make)
    await cut_off(rig, RUN[:10])
    held = dict(rig.published._kept)
    assert held
    await rig.loop.revoked()
    assert rig.published._kept == {}
    await rig.begin(generation=3)
    assert rig.published._kept == held


async def test_slates_that_cannot_be_read_end_the_assignment(make, monkeypatch):
    rig, _ = await begun(make)
    await rig.loop.revoked()

    async def fail(stores):
        raise KafkaConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(rig.published, "restore", fail)
        await rig.loop.assigned((0,), member(2))
        while not rig.source.rejoins:
            await asyncio.sleep(0)
    assert rig.partitions.opened == frozenset()
    await rig.begin(generation=3)


async def test_exactly_once_reads_no_slates(make, monkeypatch):
    rig = make()
    monkeypatch.setattr(stream.published, "read_topic", lambda *_, **__: pytest.fail("read"))
    await rig.begin()
    await rig.put(RUN[:10])
    await rig.idle()
    assert rig.published is None
    assert rig.offsets()
