"""What a run of record batches comes to: built as a broker stores them, and read by the library."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import FetchError, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException, TopicAuthorizationFailedError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from stream.batches import Fetched, fetched

TP = TopicPartition("profiles", 0)
ABORT = b"\x00\x00\x00\x00"


def batch(base, *rows, producer=-1, control=False):
    """One batch at this offset; a producer makes it transactional."""
    made = DefaultRecordBatchBuilder(2, 0, producer >= 0, producer, 0, 0, 1 << 20)
    for n, (key, value) in enumerate(rows):
        made.append(n, 0, key, value, [])
    raw = bytearray(made.build())
    raw[0:8] = base.to_bytes(8, "big")
    if control:
        raw[22] |= 0x20  # the lowest byte of the attributes; under the CRC, which these are not checked for
    return bytes(raw)


class Fetcher:
    """As much of aiokafka's fetcher as is used."""

    def __init__(self):
        self._records = {}
        self._wait_consume_future = "fetch on"
        self.notified = []
        self.waiters = []
        self.position = 0

    def _notify(self, future):
        self.notified.append(future)

    def _create_fetch_waiter(self):
        self.waiters.append(asyncio.get_running_loop().create_future())
        return self.waiters[-1]

    # The assignment of the consumer, too.
    active = True
    paused = False

    def state_value(self, tp):
        return self

    def consumed_to(self, position):
        self.position = position


@pytest.fixture
def consumer():
    return SimpleNamespace(_fetcher=Fetcher())


def put(consumer, raw, *, start=0, aborted=(), check_crcs=True):
    fetcher = consumer._fetcher
    records = PartitionRecords(
        TP, MemoryRecords(raw), list(aborted), start, None, None, check_crcs, isolation_level=1
    )
    fetcher.position = start
    fetcher._records[TP] = FetchResult(TP, assignment=fetcher, partition_records=records, backoff=0)


def unpacked(consumer):
    (found,) = asyncio.run(fetched(consumer, 0))
    return found.unpack()


def test_a_run_holds_the_latest_value_of_each_key_and_counts_every_record(consumer):
    put(consumer, batch(0, (b"a", b"1"), (b"b", b"2"), (b"a", b"3")) + batch(3, (b"b", None)))
    run = unpacked(consumer)
    assert run.rows == {b"a": b"3", b"b": None}
    assert (run.records, run.position) == (4, 4)


def test_a_compacted_topic_has_gaps(consumer):
    put(consumer, batch(5, (b"a", b"1")) + batch(90, (b"b", b"2")), start=3)
    run = unpacked(consumer)
    assert (run.rows, run.position) == ({b"a": b"1", b"b": b"2"}, 91)


def test_records_before_the_position_are_left_out(consumer):
    put(consumer, batch(0, (b"a", b"1"), (b"b", b"2")), start=1)
    assert unpacked(consumer).rows == {b"b": b"2"}


def test_aborted_records_and_control_records_are_left_out_but_passed(consumer):
    raw = (
        batch(0, (b"a", b"1"), producer=7)
        + batch(1, (b"a", b"gone"), producer=8)
        + batch(2, (ABORT, b""), producer=8, control=True)
        + batch(3, (b"b", b"2"), producer=8)
    )
    put(consumer, raw, aborted=[(8, 1)], check_crcs=False)
    run = unpacked(consumer)
    assert run.rows == {b"a": b"1", b"b": b"2"}
    assert (run.records, run.position) == (2, 4)


def test_a_batch_that_is_not_what_its_crc_says_is_an_error(consumer):
    raw = bytearray(batch(0, (b"a", b"1" * 100)))
    raw[-20] ^= 1
    put(consumer, bytes(raw))
    with pytest.raises(CorruptRecordException):
        unpacked(consumer)


async def test_a_release_moves_the_position_and_lets_the_consumer_fetch_on(consumer):
    put(consumer, batch(0, (b"a", b"1")))
    (found,) = await fetched(consumer, 0)
    found.unpack()
    assert consumer._fetcher._records  # nothing is fetched while this is worked on
    found.release()
    assert consumer._fetcher._records == {}
    assert consumer._fetcher.position == 1
    assert consumer._fetcher.notified == ["fetch on"]


async def test_what_was_replaced_meanwhile_is_not_released(consumer):
    put(consumer, batch(0, (b"a", b"1")))
    (found,) = await fetched(consumer, 0)
    found.unpack()
    consumer._fetcher._records.clear()
    found.release()
    assert consumer._fetcher.position == 0


async def test_what_does_not_fit_the_position_is_dropped(consumer):
    put(consumer, batch(0, (b"a", b"1")))
    consumer._fetcher.position = 40
    assert await fetched(consumer, 0) == []
    assert consumer._fetcher._records == {}


async def test_nothing_fetched_is_waited_for_but_not_for_ever(consumer):
    assert await fetched(consumer, 0.001) == []
    assert consumer._fetcher.waiters[0].cancelled()
    waiting = asyncio.create_task(fetched(consumer, 60))
    while len(consumer._fetcher.waiters) < 2:
        await asyncio.sleep(0)
    put(consumer, batch(0, (b"a", b"1")))
    consumer._fetcher.waiters[1].set_result(None)
    (found,) = await waiting
    assert isinstance(found, Fetched)
    assert found.tp == TP


async def test_a_fetch_that_failed_for_good_is_raised(consumer):
    consumer._fetcher._records[TP] = FetchError(error=TopicAuthorizationFailedError(TP.topic), backoff=0)
    with pytest.raises(TopicAuthorizationFailedError):
        await fetched(consumer, 0)
    assert consumer._fetcher._records == {}
