"""What the replica makes of its topics, over a consumer in memory; the real one is in `tests/kafka`."""

import asyncio
import errno
import logging
import os
from dataclasses import replace

import numpy as np
import pytest

import stream.replica
from state.catalogue import CatalogueItem
from state.errors import UnreadableState
from state.models import Models
from state.posterior.beliefs import PRIOR
from state.posterior.config import LearningConfig
from state.posterior.posterior import Posterior
from state.retrieval.blend import Query, retrieve
from state.retrieval.config import ModelConfig
from state.retrieval.source import CandidateSource
from stream.codecs import encode_delta
from stream.followed import FollowedTopics
from stream.replica import Replica
from tests.state.posterior.made import delta, rewards
from tests.state.retrieval.shops import make_delta, make_interactions
from tests.stream.fakes import until
from tests.stream.logs import D0, D1, ITEMS, R0, R1, SHOWN, Consumer, feedback, following
from tests.stream.records import T, record

CONFIG = ModelConfig(max_sessions=1024)
LEARNING = LearningConfig()
TOPICS = FollowedTopics("deltas", "items", "rewards")
INTERACTIONS = make_interactions(3)


def deltas_in(tp, count=4, *, start=0):
    """Records of one partition's deltas; each partition has a part of the interactions."""
    part = INTERACTIONS[tp.partition :: 2]
    size = -(-len(part) // count)
    return [
        record(encode_delta(make_delta(part[i * size : (i + 1) * size])), start + i, topic=tp.topic)
        for i in range(count)
    ]


def item(item_id, offset=0, key=None, **fields):
    value = None if fields.get("gone") else {"item_id": item_id, **fields}
    return record(value, offset, topic="items", key=item_id.encode() if key is None else key)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "worker-0" / "models-1.npz"


@pytest.fixture
def make(path, monkeypatch):
    def replica(consumer=None, **changes):
        if consumer is not None:
            monkeypatch.setattr(stream.replica, "AIOKafkaConsumer", consumer)
        arguments = {"topics": TOPICS, "config": CONFIG, "learning": LEARNING, "snapshot": path}
        return Replica("b:1", **(arguments | {"snapshot_seconds": 3600.0} | changes))

    return replica


def same(left, right):
    """Whether two models retrieve the same for every session of one item."""
    if left.item_ids != right.item_ids:
        return False
    for item_id in left.item_ids:
        found, expected = (retrieve(m, Query((item_id,), now=T, size=50)) for m in (left, right))
        if (
            found.items.tolist() != expected.items.tolist()
            or found.scores.tolist() != expected.scores.tolist()
        ):
            return False
    return True


async def test_the_models_are_the_fold_of_all_partitions(make):
    logs = {D0: deltas_in(D0), ITEMS: []}
    replica = make(Consumer(logs))
    async with following(replica):
        expected = Models(CONFIG)
        part = INTERACTIONS[::2]
        expected.learn([make_delta(part)])
        assert replica.models.n_items == expected.n_items > 10
        assert same(replica.models, expected)
        assert replica.offsets == {D0: 4, ITEMS: 0}


async def test_every_partition_of_deltas_is_followed(make):
    replica = make(Consumer({D0: deltas_in(D0), D1: deltas_in(D1), ITEMS: []}))
    async with following(replica):
        assert replica.offsets == {D0: 4, D1: 4, ITEMS: 0}
        assert replica.models.n_sessions == len({session for _, session, _, _ in INTERACTIONS})


async def test_what_comes_later_is_folded_too(make):
    logs = {D0: deltas_in(D0), ITEMS: []}
    replica = make(Consumer(logs))
    async with following(replica):
        logs[ITEMS].append(item("new"))
        await until(lambda: "new" in replica.models.catalogue)
        assert replica.offsets[ITEMS] == 1


async def test_it_has_caught_up_when_the_position_passed_the_control_records_at_the_end(make):
    replica = make(Consumer({D0: deltas_in(D0), ITEMS: []}, control_records=1))
    async with following(replica):
        assert replica.caught_up.is_set()
        assert replica.offsets[D0] == 4  # of records, so that a snapshot repeats none


async def test_its_lag_is_what_is_committed_and_not_folded_by_topic(make):
    consumer = Consumer({D0: deltas_in(D0), D1: deltas_in(D1), ITEMS: []})
    replica = make(consumer)
    assert replica.lag() == {}
    async with following(replica):
        assert replica.lag() == {"deltas": 0, "items": 0}
        consumer.stable = {D0: 9, D1: 7, ITEMS: 2}
        assert replica.lag() == {"deltas": 5 + 3, "items": 2}
    assert replica.lag() == {}


async def test_before_the_first_fetch_its_lag_reaches_to_where_the_topics_ended(make, monkeypatch):
    consumer = Consumer({D0: deltas_in(D0), ITEMS: []})
    replica = make(consumer)
    seen = []
    fetch = consumer.getmany

    async def looking(**limits):
        seen.append(replica.lag())
        return await fetch(**limits)

    monkeypatch.setattr(consumer, "getmany", looking)
    async with following(replica):
        assert seen[0] == {"deltas": 4, "items": 0}


async def test_what_was_fetched_ahead_keeps_nobody_else_from_running(make, monkeypatch):
    """The consumer hands it over without waiting."""
    logs = {D0: [], ITEMS: [item(f"i{n}", n) for n in range(40)]}
    consumer = Consumer(logs)
    replica = make(consumer)
    turns = []

    async def at_once(timeout_ms, max_records):
        start = consumer.positions[ITEMS]
        consumer.positions[ITEMS] = min(40, start + 10)
        return {ITEMS: logs[ITEMS][start : start + 10]} if start < 40 else await asyncio.Event().wait()

    monkeypatch.setattr(consumer, "getmany", at_once)
    task = asyncio.create_task(replica.run())
    while replica.folded["items"] < 40:
        await asyncio.sleep(0)
        turns.append(replica.folded["items"])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert {10, 20, 30, 40} <= set(turns)


async def test_records_folded_are_counted_by_topic(make):
    logs = {D0: deltas_in(D0), D1: deltas_in(D1), ITEMS: [item("a"), item("b", 1)]}
    replica = make(Consumer(logs))
    assert replica.folded == {"deltas": 0, "items": 0, "rewards": 0}
    async with following(replica):
        assert replica.folded == {"deltas": 8, "items": 2, "rewards": 0}


async def test_it_reads_committed_records_without_a_group(make):
    consumer = Consumer({D0: [], ITEMS: []})
    replica = make(consumer)
    async with following(replica):
        assert consumer.settings["isolation_level"] == "read_committed"
        assert consumer.settings["bootstrap_servers"] == "b:1"
        assert "group_id" not in consumer.settings
    assert consumer.stopped


async def test_an_error_comes_out_of_run_and_the_consumer_is_closed(make):
    consumer = Consumer({D0: [], ITEMS: []})
    consumer.failure = ConnectionError("gone")
    with pytest.raises(ConnectionError):
        await make(consumer).run()
    assert consumer.stopped


async def test_a_delta_that_cannot_be_read_stops_the_worker(make):
    replica = make(Consumer({D0: [record(b"{", topic="deltas")], ITEMS: []}))
    with pytest.raises(UnreadableState):
        await replica.run()


# Catalogue -------------------------------------------------------------------------------------------


def test_items_are_added_replaced_and_withdrawn(make):
    replica = make()
    replica._fold_items([item("a", title="A"), item("b", available=False), item("c")])
    assert replica.models.catalogue["a"] == CatalogueItem(item_id="a", title="A")
    assert not replica.models.catalogue["b"].available
    replica._fold_items([item("a", title="A2"), item("c", gone=True)])
    assert replica.models.catalogue["a"].title == "A2"
    assert set(replica.models.catalogue) == {"a", "b"}


def test_an_item_that_cannot_be_read_is_counted_and_what_is_known_of_it_stays(make, caplog):
    replica = make()
    replica._fold_items([item("a", title="A")])
    bad = record(b"{", 1, topic="items", key=b"a")
    with caplog.at_level(logging.WARNING):
        replica._fold_items([bad, item("b"), record({"item_id": "x"}, 2, topic="items", key=b"y")])
    assert replica.skipped_items == 2
    assert set(replica.models.catalogue) == {"a", "b"}
    assert "items: item a left out: not_json" in caplog.text
    assert "item y left out: wrong_id" in caplog.text


def test_a_tombstone_with_a_key_that_is_no_text_withdraws_nothing(make):
    replica = make()
    replica._fold_items([item("a"), record(None, 1, topic="items", key=b"\xff"), record(None, 2, key=None)])
    assert set(replica.models.catalogue) == {"a"}


# Snapshots -------------------------------------------------------------------------------------------


async def saved(make):
    """A replica that followed both topics and wrote its snapshot."""
    replica = make(Consumer({D0: deltas_in(D0), ITEMS: [item("i1"), item("i2", 1), item("i3", 2)]}))
    async with following(replica):
        await replica.save()
    return replica


async def test_a_restart_goes_on_from_the_snapshot(make):
    first = await saved(make)
    second = make()
    assert second.offsets == first.offsets == {D0: 4, ITEMS: 3}
    assert second.models.catalogue == first.models.catalogue
    assert same(second.models, first.models)


async def test_after_a_restart_only_the_tail_is_read(make):
    first = await saved(make)
    logs = {D0: [record(b"not read again", i, topic="deltas") for i in range(4)], ITEMS: []}
    logs[D0] += deltas_in(D0, start=4)[:1]
    logs[ITEMS] = [record(b"{", i, topic="items", key=b"x") for i in range(3)]
    second = make(Consumer(logs))
    async with following(second):
        assert second.offsets == {D0: 5, ITEMS: 3}
        assert second.skipped_items == 0
        assert second.models.n_items == first.models.n_items


async def test_what_retention_removed_since_the_snapshot_is_passed_over(make):
    await saved(make)
    consumer = Consumer({D0: deltas_in(D0, start=10), ITEMS: [item("i4", 3)]})
    consumer.starts[D0] = 10
    second = make(consumer)
    async with following(second):
        assert second.offsets == {D0: 14, ITEMS: 4}


async def test_a_snapshot_beyond_the_end_of_its_topic_is_an_error_that_names_the_file(make, path):
    await saved(make)
    second = make(Consumer({D0: [], ITEMS: []}))
    with pytest.raises(UnreadableState, match=f"(?s){path}.*created again; delete the file"):
        await second.run()


async def test_snapshots_are_written_from_time_to_time_once_caught_up(make, path):
    replica = make(Consumer({D0: deltas_in(D0), ITEMS: []}), snapshot_seconds=0.0)
    assert not path.exists()
    async with following(replica):
        await until(path.exists)
    assert make().offsets == {D0: 4, ITEMS: 0}


DAMAGES = {
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "not an archive": lambda data: b"x" * 100,
    "one bit": lambda data: data[:5000] + bytes([data[5000] ^ 1]) + data[5001:],
    "the directory at its end": lambda data: data[:-30],
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_snapshot_is_left_out_with_a_warning(make, path, caplog, damage):
    await saved(make)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with caplog.at_level(logging.WARNING):
        second = make()
    assert "left out, reading the topics instead" in caplog.text
    assert (second.offsets, second.models.n_items, second.models.catalogue) == ({}, 0, {})


async def test_a_snapshot_learned_under_other_parameters_is_left_out(make, caplog):
    await saved(make)
    with caplog.at_level(logging.WARNING):
        second = make(config=ModelConfig(max_sessions=2048))
    assert "left out" in caplog.text
    assert (second.offsets, second.models.n_items) == ({}, 0)


async def test_a_snapshot_of_other_topics_is_left_out(make, caplog):
    await saved(make)
    with caplog.at_level(logging.WARNING):
        second = make(topics=FollowedTopics("other.deltas", "other.items", "other.rewards"))
    assert "learned from the topic" in caplog.text
    assert (second.offsets, second.models.n_items) == ({}, 0)


async def test_no_snapshot_is_no_warning(make, caplog):
    with caplog.at_level(logging.WARNING):
        replica = make()
    assert caplog.text == ""
    assert replica.models.n_items == 0


async def test_a_kill_while_writing_leaves_the_last_snapshot_whole(make, path, monkeypatch):
    first = await saved(make)
    before = path.read_bytes()

    def killed(file, **arrays):
        file.write(b"half of a snaps")
        raise KeyboardInterrupt

    monkeypatch.setattr(stream.replica.np, "savez", killed)
    with pytest.raises(KeyboardInterrupt):
        stream.replica._write(path, {})
    assert path.read_bytes() == before
    assert make().offsets == first.offsets


async def test_a_full_disk_costs_a_snapshot_and_nothing_else(make, path, monkeypatch, caplog):
    first = await saved(make)
    before = path.read_bytes()

    def full(file, **arrays):
        file.write(b"half of a snaps")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(stream.replica.np, "savez", full)
    with caplog.at_level(logging.WARNING):
        await first.save()
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]  # the half gave its room back
    for part in (str(path), "the last one stays", "No space left on device", "FRESHSLATE_DATA_DIR"):
        assert part in caplog.text
    assert make().offsets == first.offsets


async def test_nothing_to_read_is_caught_up_without_waiting_for_a_record(make):
    consumer = Consumer({D0: [], D1: [], ITEMS: []})
    polled = []
    poll = consumer.getmany

    async def getmany(**arguments):
        polled.append(arguments["timeout_ms"])
        return await poll(**arguments)

    consumer.getmany = getmany
    replica = make(consumer)
    async with following(replica):
        assert replica.caught_up.is_set()
        await until(lambda: polled)
        assert polled[0] == stream.replica._POLL_MS


async def test_a_snapshot_leaves_no_half_file_behind(make, path):
    await saved(make)
    await saved(make)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


async def test_a_snapshot_holds_the_moment_it_was_taken(make, monkeypatch):
    """Folding goes on while the file is written."""
    replica = await saved(make)
    write = stream.replica._write

    def later(path, arrays):
        replica._fold_items([item("i9")])
        replica._offsets[ITEMS] = 99
        write(path, arrays)

    monkeypatch.setattr(stream.replica, "_write", later)
    await replica.save()
    second = make()
    assert "i9" not in second.models.catalogue
    assert second.offsets[ITEMS] == 3


# The posterior ----------------------------------------------------------------------------------------


async def test_exposures_and_rewards_of_all_partitions_are_folded(make):
    replica = make(Consumer(feedback(partitions=(R0, R1))))
    replica.journal.worker = "a"
    told = []
    replica.believe(lambda beliefs: told.append((beliefs, replica.caught_up.is_set())))
    async with following(replica):
        expected = Posterior(LEARNING)
        expected.learn([delta(SHOWN)])
        expected.reward(rewards(SHOWN))
        (beliefs, was_ready), *_ = told
        assert replica.beliefs is told[-1][0]
        assert (was_ready, beliefs.version) == (False, expected.matured)
        assert np.allclose(beliefs.by_scenario[""].mean, expected.beliefs().by_scenario[""].mean, rtol=1e-4)
        assert replica.folded["rewards"] == len(rewards(SHOWN))
        # That it believes anew is in the journal, as a run of no records.
        assert [run for run in replica.journal.said().runs if run.first == run.end]


async def test_new_beliefs_are_told_when_more_has_matured_and_only_then(make):
    logs, told = feedback(), []
    replica = make(Consumer(logs))
    replica.believe(told.append)
    async with following(replica):
        assert len(told) == 1
        last = SHOWN[-1]
        for n, minutes in ((30, 0), (31, 20)):
            shown = last._replace(slate=f"new{n}", time=last.time + minutes * 60_000)
            logs[D0].append(record(encode_delta(delta([shown])), n, topic="deltas", time=shown.time))
            await until(lambda end=n + 1: replica.offsets[D0] == end)
        await until(lambda: len(told) > 1)
        assert [each.version for each in told] == [told[0].version, told[0].version + 20]


async def test_nothing_is_told_before_something_matured(make):
    replica = make(Consumer({D0: deltas_in(D0), ITEMS: [], R0: []}))
    replica.journal.worker = "a"
    told = []
    replica.believe(told.append)
    async with following(replica):
        assert (told, replica.beliefs) == ([], PRIOR)
        assert all(run.first < run.end for run in replica.journal.said().runs)


async def test_the_posterior_goes_on_from_the_snapshot(make):
    logs = feedback()
    replica = make(Consumer(logs))
    async with following(replica):
        await replica.save()
    again = make(Consumer({tp: [record(b"not read", r.offset) for r in run] for tp, run in logs.items()}))
    assert again.offsets == replica.offsets
    for name, array in replica.posterior.snapshot().items():
        assert np.array_equal(array, again.posterior.snapshot()[name]), name
    told = []
    again.believe(told.append)
    async with following(again):
        assert told[0].version == replica.beliefs.version


async def test_a_snapshot_that_an_older_program_wrote_without_rewards_is_left_out(make, path, caplog):
    replica = make(Consumer(feedback()))
    async with following(replica):
        await replica.save()
    with np.load(path) as stored:
        kept = {name: stored[name] for name in stored.files if not name.startswith("posterior.")}
    with path.open("wb") as file:
        np.savez(file, **kept)
    again = make(Consumer(feedback()))
    assert "it holds no posterior: an older program wrote it" in caplog.text
    assert again.offsets == {}
    async with following(again):
        assert again.beliefs.version == replica.beliefs.version


async def test_a_snapshot_learned_with_another_maturity_is_left_out(make, caplog):
    replica = make(Consumer(feedback()))
    async with following(replica):
        await replica.save()
    assert make(learning=LearningConfig(maturity_seconds=60)).offsets == {}
    assert "the posterior was learned with" in caplog.text


async def test_rewards_of_before_the_first_delta_that_is_left_are_not_read(make):
    """Their exposures are gone."""
    consumer = Consumer(feedback())
    half = len(consumer.logs[D0]) // 2
    consumer.logs[D0] = consumer.logs[D0][half:]
    consumer.starts[D0] = half
    since = SHOWN[150].time
    consumer.logs[D0] = [replace(each, timestamp=since) for each in consumer.logs[D0]]
    replica = make(consumer)
    async with following(replica):
        kept = [each for each in consumer.logs[R0] if each.timestamp >= since - 60_000]
        assert replica.folded["rewards"] == len(kept)
        assert 0 < len(kept) < len(consumer.logs[R0])


async def test_a_reward_that_cannot_be_read_stops_the_worker(make):
    replica = make(Consumer({D0: [], ITEMS: [], R0: [record(b"{", topic="rewards")]}))
    with pytest.raises(UnreadableState):
        await replica.run()


# Plugged-in sources ----------------------------------------------------------------------------------


class Listens(CandidateSource):
    """Writes down what it is taught."""

    def __init__(self):
        self.heard = []
        self.restored = None
        self.failing = False

    def score(self, queries):
        return []

    def learn(self, deltas):
        self.heard += [item_id for delta in deltas for item_id in delta.items]

    def upsert_item(self, item):
        self.heard.append(f"+{item.item_id}")

    def withdraw_item(self, item_id):
        self.heard.append(f"-{item_id}")

    def snapshot(self):
        if self.failing:
            message = "out of order"
            raise RuntimeError(message)
        return f"{len(self.heard)} heard".encode()

    def restore(self, state):
        self.restored = state.decode()


async def test_a_source_learns_what_the_models_learn(make):
    logs = {D0: deltas_in(D0), ITEMS: [item("new", 0), item("gone", 1, gone=True)]}
    replica, source = make(Consumer(logs)), Listens()
    replica.teach({"mine": source})
    async with following(replica):
        learned = [each for each in source.heard if each[0] not in "+-"]
        assert {*learned, "new"} == set(replica.models.item_ids)
        assert [each for each in source.heard if each[0] in "+-"] == ["+new", "-gone"]


async def test_a_source_goes_on_from_the_snapshot(make):
    logs = {D0: deltas_in(D0), ITEMS: []}
    replica, first = make(Consumer(logs)), Listens()
    replica.teach({"mine": first})
    async with following(replica):
        await replica.save()
    again, second = make(Consumer(logs)), Listens()
    again.teach({"mine": second})
    assert second.restored == f"{len(first.heard)} heard"
    async with following(again):
        assert second.heard == []
        assert same(again.models, replica.models)


@pytest.mark.parametrize("known", [{}, {"other": Listens()}])
async def test_a_source_that_the_snapshot_does_not_know_reads_all_of_it(make, known, caplog):
    logs = {D0: deltas_in(D0), ITEMS: []}
    replica = make(Consumer(logs))
    replica.teach(known)
    async with following(replica):
        await replica.save()
    again, source = make(Consumer(logs)), Listens()
    again.teach({"mine": source})
    assert again.models.n_items == 0
    assert "reading the topics instead: candidate source mine" in caplog.text
    async with following(again):
        assert set(source.heard) == set(again.models.item_ids)
        assert same(again.models, replica.models)


async def test_a_source_that_cannot_say_what_it_learned_costs_no_snapshot(make, path, caplog):
    logs = {D0: deltas_in(D0), ITEMS: []}
    replica, source = make(Consumer(logs)), Listens()
    source.failing = True
    replica.teach({"mine": source})
    async with following(replica):
        await replica.save()
    assert "candidate source mine is not in the snapshot" in caplog.text
    assert make(Consumer(logs)).models.n_items == replica.models.n_items


async def test_the_journal_has_every_run_and_a_snapshot_hands_on_what_nobody_was_told(make):
    logs = {D0: deltas_in(D0), ITEMS: [item("new", 0)]}
    first = make(Consumer(logs))
    first.journal.worker = "w1"
    async with following(first):
        said = first.journal.said()
        assert {(run.topic, run.first, run.end) for run in said.runs} >= {(1, 0, 1)}
        assert said.offsets == ((4,), (1,), ())
        await first.save()
    second = make(Consumer(logs))
    second.journal.worker = "w2"
    told = second.journal.said()
    assert (told.parent, told.number, told.runs) == ("w1", said.number, said.runs)
