"""Decisions about partitions, over a changelog in memory; restore from Kafka itself is in `tests/kafka`."""

import logging

import pytest
from aiokafka.errors import KafkaConnectionError

import stream.partitions
from state.errors import InvalidEvent, Refused, StopWorker, TooManyDeadLetters
from state.step import Outcome
from stream.codecs import Marker, encode_marker
from stream.config import Settings
from stream.partitions import Partitions
from stream.store import MARKER, Changelog
from stream.work import Laps, Result
from tests.stream.fakes import Log, MemoryChangelog, tp

EVENTS = "events"


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def make(tmp_path, log):
    made = []

    def partitions(**settings):
        settings = Settings(data_dir=tmp_path, dead_letter_window=10, **settings)
        found = Partitions(settings, tmp_path / "own", writer="me")
        found._changelog = MemoryChangelog(log)
        made.append(found)
        return found

    yield partitions
    for found in made:
        found.close()


@pytest.fixture
def partitions(make):
    return make()


def applied(log, offset, partition=0, topic=EVENTS):
    """Write a marker to the changelog: records up to `offset` are in the state."""
    row = (MARKER + topic.encode(), encode_marker(offset, "former"), ())
    log.topics["profiles", partition].append(row)


def result(flags, error=None):
    empty = ((), {}, (), (), (), (), (), Outcome({}, (), (), (), 0))
    return Result(*empty, invalid={EVENTS: flags}, rejected=(), laps=Laps(0, 0, 0, 0), last_error=error)


def test_the_changelog_is_the_profiles_topic_of_the_broker_in_the_settings(tmp_path):
    found = Partitions(Settings(broker="b:1", topic_prefix="shop.", data_dir=tmp_path), tmp_path, writer="me")
    assert isinstance(found._changelog, Changelog)
    assert found._changelog.topic == "shop.profiles"
    assert found._changelog._settings["bootstrap_servers"] == "b:1"


async def test_opening_restores_every_partition_at_once(partitions, log):
    applied(log, 4, partition=0)
    applied(log, 9, partition=2)
    await partitions.open({0, 2})
    assert partitions.opened == {0, 2}
    assert partitions._changelog.restored == [[0, 2]]
    assert (partitions.expected(EVENTS, 0), partitions.expected(EVENTS, 2)) == (5, 10)
    assert partitions.store(2).applied(EVENTS) == 9


async def test_opening_says_how_many_records_were_read_and_how_many_are_left(partitions, log, monkeypatch):
    applied(log, 4, partition=0)
    applied(log, 9, partition=2)
    left = []
    restore = partitions._changelog.restore

    async def looking(stores):
        left.append(partitions.restore_left)
        count = await restore(stores)
        left.append(partitions.restore_left)
        return count

    monkeypatch.setattr(partitions._changelog, "restore", looking)
    assert partitions.restore_left is None
    assert await partitions.open({0, 2}) == 2
    assert left == [2, 0]
    assert partitions.restore_left is None
    assert await partitions.open(()) == 0


async def test_a_restore_that_failed_leaves_nothing_to_be_told(partitions):
    partitions._changelog.fails = KafkaConnectionError()
    with pytest.raises(KafkaConnectionError):
        await partitions.open({0})
    assert partitions.restore_left is None
    assert partitions.usage() == (0, 0, 0)


async def test_opening_nothing_does_not_even_connect(partitions):
    await partitions.open(set())
    assert not partitions._changelog.running


async def test_each_partition_has_a_folder_of_its_own(partitions, tmp_path):
    await partitions.open({0, 1})
    assert sorted(path.name for path in (tmp_path / "own").iterdir()) == ["p0", "p1"]


async def test_a_second_opening_reads_the_tail_only(partitions, log):
    applied(log, 4)
    await partitions.open({0})
    partitions.close()
    assert partitions.opened == frozenset()
    applied(log, 8)
    await partitions.open({0})
    assert partitions.store(0).position == 2
    assert partitions.expected(EVENTS, 0) == 9


async def test_a_failed_restore_leaves_nothing_open(partitions):
    partitions._changelog.fails = KafkaConnectionError()
    with pytest.raises(KafkaConnectionError):
        await partitions.open({0, 1})
    assert partitions.opened == frozenset()
    partitions._changelog.fails = None
    await partitions.open({0, 1})  # the folders are free again
    assert partitions.opened == {0, 1}


async def test_a_damaged_copy_ends_the_assignment_and_the_next_opening_rebuilds_it(partitions, log, tmp_path):
    for n in range(500):
        log.topics["profiles", 0].append((b"u%03d" % n, b"%d" % n * 100, ()))
    await partitions.open({0, 1})
    partitions.close()
    (table,) = (tmp_path / "own" / "p0").glob("*.sst")
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 0xFF
    table.write_bytes(content)
    keys = [b"u%03d" % n for n in range(500)]
    await partitions.open({0, 1})
    with pytest.raises(Refused, match="damaged"):
        partitions.store(0).get(keys)
    partitions.close()
    assert not (tmp_path / "own" / "p0").exists()
    assert (tmp_path / "own" / "p1").exists()
    assert await partitions.open({0, 1}) == 500
    assert partitions.store(0).get(keys) == [b"%d" % n * 100 for n in range(500)]


# What comes next -----------------------------------------------------------------------------------


async def test_an_untouched_topic_is_read_from_where_its_log_starts(partitions, log):
    log.bounds[tp(EVENTS, 0)] = (30, 50)
    await partitions.open({0})
    assert partitions.expected(EVENTS, 0) == 30


async def test_the_record_after_the_marker_comes_next(partitions, log):
    applied(log, 41)
    log.bounds[tp(EVENTS, 0)] = (30, 50)
    await partitions.open({0})
    assert partitions.expected(EVENTS, 0) == 42
    partitions.store(0).apply([], {EVENTS: Marker(44, "me")}, 2)
    assert partitions.expected(EVENTS, 0) == 45


async def test_every_input_topic_has_its_own_place(make, log):
    partitions = make(inputs="clicks,purchases")
    applied(log, 7, topic="clicks")
    await partitions.open({0})
    assert (partitions.expected("clicks", 0), partitions.expected("purchases", 0)) == (8, 0)


async def test_an_input_that_was_created_again_stops_the_worker_and_says_what_to_do(partitions, log):
    applied(log, 41)
    log.bounds[tp(EVENTS, 0)] = (0, 41)
    with pytest.raises(StopWorker, match=r"events-0 ends at offset 41, but offset 42 .* topic profiles too"):
        await partitions.open({0})


async def test_an_input_read_to_its_end_is_no_alarm(partitions, log):
    applied(log, 41)
    log.bounds[tp(EVENTS, 0)] = (42, 42)
    await partitions.open({0})
    assert partitions.expected(EVENTS, 0) == 42


async def test_input_lost_to_retention_stops_the_worker(partitions, log):
    applied(log, 41)
    log.bounds[tp(EVENTS, 0)] = (50, 90)
    with pytest.raises(StopWorker, match=r"8 records of events-0 \(offsets 42 to 49\) .* retention"):
        await partitions.open({0})


async def test_the_worker_goes_on_behind_lost_input_if_told_so(make, log, caplog):
    partitions = make(on_lost_input="continue")
    applied(log, 41)
    log.bounds[tp(EVENTS, 0)] = (50, 90)
    with caplog.at_level(logging.ERROR):
        await partitions.open({0})
    assert "8 records of events-0" in caplog.text
    assert partitions.expected(EVENTS, 0) == 50


async def test_a_jump_over_control_records_is_harmless(partitions):
    await partitions.open({0})
    await partitions.check_log_start(EVENTS, 0, 7)
    assert partitions.expected(EVENTS, 0) == 0


async def test_a_jump_over_removed_records_stops_the_worker(partitions, log):
    await partitions.open({0})
    log.bounds[tp(EVENTS, 0)] = (9, 20)
    with pytest.raises(StopWorker, match=r"2 records of events-0 \(offsets 7 to 8\)"):
        await partitions.check_log_start(EVENTS, 0, 7)


async def test_a_jump_over_removed_records_moves_on_if_told_so(make, log):
    partitions = make(on_lost_input="continue")
    await partitions.open({0})
    log.bounds[tp(EVENTS, 0)] = (9, 20)
    await partitions.check_log_start(EVENTS, 0, 7)
    assert partitions.expected(EVENTS, 0) == 9


# A former owner's open transaction -----------------------------------------------------------------


@pytest.fixture
def ended(monkeypatch, partitions):
    """Transactional ids whose transaction was ended, which the changelog then shows."""
    found = []

    async def end(transactional_id, broker):
        found.append(transactional_id)
        partitions._changelog.open.clear()

    monkeypatch.setattr(stream.partitions, "end_transaction_of", end)
    return found


async def test_the_transaction_of_a_dead_writer_is_ended(partitions, ended):
    partitions._changelog.open = {0: 5}
    partitions._changelog.writer = "frozen"
    await partitions.open({0, 1})
    assert ended == ["frozen"]
    assert partitions.opened == {0, 1}


@pytest.mark.parametrize("writer", [None, "me"])
async def test_a_transaction_without_a_known_other_writer_is_waited_for(partitions, ended, writer):
    changelog = partitions._changelog
    changelog.open, changelog.writer = {0: 5}, writer
    asked = []
    wait = changelog.wait_until_stable

    async def until_third(partitions, timeout_seconds):
        asked.append(timeout_seconds)
        if len(asked) == 3:
            changelog.open.clear()
        return await wait(partitions, timeout_seconds)

    changelog.wait_until_stable = until_third
    await partitions.open({0})
    assert (ended, len(asked)) == ([], 3)


async def test_a_living_writer_means_that_it_is_us_who_are_late(make, monkeypatch):
    partitions = make(session_timeout_seconds=0.03, heartbeat_seconds=0.01)

    async def end(*_):
        pytest.fail("a living owner must not be fenced")

    monkeypatch.setattr(stream.partitions, "end_transaction_of", end)
    changelog = partitions._changelog
    changelog.open, changelog.writer, changelog.moves = {0: 5}, "owner", True
    with pytest.raises(Refused, match=r"partitions \[0\] are being written by another worker"):
        await partitions.open({0})
    assert partitions.opened == frozenset()


# Dead letters --------------------------------------------------------------------------------------

ERROR = InvalidEvent("not_json", "no")


async def test_too_many_dead_letters_stop_the_worker(partitions):
    partitions.count_dead_letters(3, result(b"\0" * 5 + b"\1" * 4))
    with pytest.raises(TooManyDeadLetters) as caught:
        partitions.count_dead_letters(3, result(b"\1" * 5, ERROR))
    assert (caught.value.topic, caught.value.partition, caught.value.last) == (EVENTS, 3, ERROR)


async def test_each_partition_is_judged_for_itself(partitions):
    for partition in range(5):
        partitions.count_dead_letters(partition, result(b"\1" * 9, ERROR))
    with pytest.raises(TooManyDeadLetters):
        partitions.count_dead_letters(4, result(b"\1", ERROR))


async def test_a_new_assignment_counts_dead_letters_afresh(partitions):
    """The records of a refused cycle are read again, and must not count twice."""
    partitions.count_dead_letters(0, result(b"\1" * 9, ERROR))
    partitions.close()
    partitions.count_dead_letters(0, result(b"\1" * 9, ERROR))
    assert partitions._limits[EVENTS, 0].window == b"\1" * 9


async def test_stopping_closes_and_disconnects(partitions):
    await partitions.open({0})
    store = partitions.store(0)
    assert partitions._changelog.running
    await partitions.stop()
    assert not partitions._changelog.running
    assert partitions.opened == frozenset()
    assert not store._open
    await partitions.stop()
