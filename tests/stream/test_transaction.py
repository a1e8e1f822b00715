import asyncio
import inspect

import aiokafka.producer.sender as aiokafka_sender
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.producer.transaction_manager import TransactionManager, TransactionState
from aiokafka.structs import OffsetAndMetadata, RecordMetadata

from state.errors import Refused
from stream.topics import BATCH_BYTES
from stream.transaction import (
    FENCED_INSTANCE_ID,
    MAX_BATCH_BYTES,
    RETRY_SECONDS,
    Publisher,
    TransactionalPublisher,
    Written,
    _FencedCommitHandler,
    _FencedSender,
    _TxnOffsetCommitResponseV3,
)
from stream.transport import Membership

MEMBER = Membership(7, "m1", None)
CLICKS0, CLICKS1, BUYS0 = (
    TopicPartition("clicks", 0),
    TopicPartition("clicks", 1),
    TopicPartition("purchases", 0),
)


class Sender:
    """What a handler needs of the library's sender, with a real transaction manager in a transaction."""

    _retry_backoff = 0.1

    def __init__(self, offsets):
        self._txn_manager = TransactionManager("tx", 60_000)
        self._txn_manager.set_pid_and_epoch(258, 3)
        self._txn_manager.begin_transaction()
        self.waiting = self._txn_manager.add_offsets_to_txn(offsets, "shop")
        self.dead = []

    def _coordinator_dead(self, kind):
        self.dead.append(kind)


def handler(offsets, membership=MEMBER):
    offsets = {tp: OffsetAndMetadata(offset, "") for tp, offset in offsets.items()}
    sender = Sender(offsets)
    return _FencedCommitHandler(sender, offsets, "shop", membership), sender


def request_bytes(offsets, membership):
    built, _ = handler(offsets, membership)
    return built.create_request().prepare({28: (0, 5)})


def response(*errors):
    """Errors by topic and partition, as they come off the wire."""
    return _TxnOffsetCommitResponseV3(
        throttle_time_ms=0,
        errors=[(tp.topic, [(tp.partition, code, {})], {}) for tp, code in errors],
        tags={},
    )


# The request ---------------------------------------------------------------------------------------


async def test_the_request_is_what_kafka_calls_txn_offset_commit_version_3():
    request = request_bytes({CLICKS0: 42}, MEMBER)
    assert (request.API_KEY, request.API_VERSION, request.FLEXIBLE_VERSION) == (28, 3, True)
    expected = (
        b"\x03tx"  # transactional_id: compact string, length + 1
        b"\x05shop"  # group_id
        b"\x00\x00\x00\x00\x00\x00\x01\x02"  # producer_id int64
        b"\x00\x03"  # producer_epoch int16
        b"\x00\x00\x00\x07"  # generation_id int32
        b"\x03m1"  # member_id
        b"\x00"  # group_instance_id: null
        b"\x02"  # topics: compact array of one
        b"\x07clicks"
        b"\x02"  # partitions: one
        b"\x00\x00\x00\x00"  # partition
        b"\x00\x00\x00\x00\x00\x00\x00\x2a"  # offset
        b"\xff\xff\xff\xff"  # leader epoch: unknown
        b"\x01"  # metadata: empty
        b"\x00\x00\x00"  # tags of partition, topic, request
    )
    assert request.encode() == expected


async def test_the_request_header_is_the_flexible_one():
    header = request_bytes({CLICKS0: 42}, MEMBER).build_request_header(9, "c")
    assert header.encode() == b"\x00\x1c\x00\x03\x00\x00\x00\x09\x00\x01c\x00"


async def test_several_partitions_are_grouped_by_topic_and_a_static_member_is_named():
    encoded = request_bytes({BUYS0: 5, CLICKS1: 4, CLICKS0: 3}, Membership(1, "m", "pod-0")).encode()
    partition = "0000000{p}" + "{o:016x}" + "ffffffff" + "01" + "00"
    tail = (
        b"\x06pod-0\x03\x07clicks\x03"
        + bytes.fromhex(partition.format(p=0, o=3) + partition.format(p=1, o=4))
        + b"\x00\x0apurchases\x02"
        + bytes.fromhex(partition.format(p=0, o=5))
        + b"\x00\x00"
    )
    assert encoded.endswith(tail)


async def test_a_broker_without_version_3_is_refused_rather_than_sent_an_unfenced_commit():
    built, _ = handler({CLICKS0: 1})
    with pytest.raises(NotImplementedError):
        built.create_request().prepare({28: (0, 2)})


async def test_the_response_is_read_with_its_tags():
    wire = (
        b"\x00\x00\x00\x05"  # throttle
        b"\x02\x07clicks\x03"
        b"\x00\x00\x00\x00\x00\x00\x00"
        b"\x00\x00\x00\x01\x00\x16\x00"
        b"\x00\x00"
    )
    decoded = _TxnOffsetCommitResponseV3.decode(wire)
    assert decoded.throttle_time_ms == 5
    assert [(t, [p[:2] for p in ps]) for t, ps, _ in decoded.errors] == [("clicks", [(0, 0), (1, 22)])]


# The answer ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [22, 25, 27, FENCED_INSTANCE_ID])
async def test_a_stale_member_is_refused_and_the_transaction_can_only_be_aborted(code):
    built, sender = handler({CLICKS0: 42})
    assert built.handle_response(response((CLICKS0, code))) is None
    assert sender._txn_manager.state == TransactionState.ABORTABLE_ERROR
    with pytest.raises(Refused, match=f"error {code} for clicks-0 as .*generation=7"):
        await sender.waiting
    with pytest.raises(Refused):
        await sender._txn_manager.wait_for_transaction_end()


def test_the_refusals_are_those_that_mean_somebody_else_owns_the_partitions():
    assert kafka_errors.IllegalGenerationError.errno == 22
    assert kafka_errors.UnknownMemberIdError.errno == 25
    assert kafka_errors.RebalanceInProgressError.errno == 27
    assert {22, 25, 27, FENCED_INSTANCE_ID} == _FencedCommitHandler.REFUSALS


async def test_one_refusal_among_accepted_partitions_refuses_all():
    built, sender = handler({CLICKS0: 42, CLICKS1: 43})
    built.handle_response(response((CLICKS0, 0), (CLICKS1, 25)))
    with pytest.raises(Refused):
        await sender.waiting
    await asyncio.gather(sender._txn_manager.wait_for_transaction_end(), return_exceptions=True)


async def test_an_accepted_commit_completes_the_offsets():
    built, sender = handler({CLICKS0: 42, CLICKS1: 43})
    assert built.handle_response(response((CLICKS0, 0), (CLICKS1, 0))) is None
    await asyncio.wait_for(sender.waiting, 5)
    assert sender._txn_manager.is_in_transaction()


@pytest.mark.parametrize(("code", "dead"), [(15, 1), (16, 1), (14, 0), (3, 0)])
async def test_a_coordinator_that_moved_or_loads_is_asked_again(code, dead):
    built, sender = handler({CLICKS0: 42})
    assert built.handle_response(response((CLICKS0, code))) > 0
    assert len(sender.dead) == dead
    assert sender._txn_manager.is_in_transaction()
    assert not sender.waiting.done()


@pytest.mark.parametrize(
    ("code", "error"),
    [(47, kafka_errors.ProducerFenced), (53, kafka_errors.TransactionalIdAuthorizationFailed)],
)
async def test_other_errors_are_the_librarys_to_handle(code, error):
    built, _ = handler({CLICKS0: 42})
    with pytest.raises(error):
        built.handle_response(response((CLICKS0, code)))


# Batches -------------------------------------------------------------------------------------------


class Wire:
    """In place of the producer's connection: takes batches, and answers with offsets."""

    def __init__(self, producer, monkeypatch):
        self.sent = []
        self.log = []
        self.next = {}
        monkeypatch.setattr(producer, "send_batch", self.send_batch)

    async def send_batch(self, batch, topic, *, partition):
        tp = TopicPartition(topic, partition)
        base = self.next.get(tp, 100)
        self.next[tp] = base + batch.record_count()
        self.sent.append((topic, partition, batch.record_count()))
        self.log.append(f"data {topic}")
        future = asyncio.get_running_loop().create_future()
        metadata = RecordMetadata(topic, partition, tp, base, 0, 0, 0)
        asyncio.get_running_loop().call_soon(future.set_result, metadata)
        return future


@pytest.fixture
async def publisher():
    made = Publisher("nowhere:1", client_id="c")
    made._producer = made._build()
    yield made
    await made.stop()


@pytest.fixture
async def transactional(monkeypatch):
    monkeypatch.setattr(aiokafka_sender, "BACKOFF_OVERRIDE", aiokafka_sender.BACKOFF_OVERRIDE)
    made = TransactionalPublisher(
        "nowhere:1", client_id="c", transactional_id="tx", group_id="shop", timeout_seconds=4.5
    )
    made._producer = made._build()
    yield made
    await made.stop()


def rows(count, size=10):
    return [(b"k%d" % i, b"v" * size, ()) for i in range(count)]


async def test_small_rows_go_in_one_batch(publisher):
    (batch,) = publisher._batches(rows(2000))
    assert batch.record_count() == 2000


async def test_rows_are_split_where_a_batch_is_full(publisher):
    batches = list(publisher._batches(rows(9, size=MAX_BATCH_BYTES // 4)))
    assert [batch.record_count() for batch in batches] == [3, 3, 3]
    assert all(batch.size() <= MAX_BATCH_BYTES for batch in batches)


async def test_a_row_larger_than_a_batch_that_the_topic_still_takes_goes_alone(publisher):
    large = (b"k", b"v" * (MAX_BATCH_BYTES + 1), ())
    batches = list(publisher._batches([*rows(1), large, *rows(1)]))
    assert [batch.record_count() for batch in batches] == [1, 1, 1]


@pytest.mark.parametrize("before", [0, 1])
async def test_a_row_that_the_topic_does_not_take_raises(publisher, before):
    too_large = (b"k", b"v" * BATCH_BYTES, ())
    with pytest.raises(RuntimeError, match=f"a record of {BATCH_BYTES} bytes does not fit"):
        list(publisher._batches([*rows(before), too_large]))


async def test_a_tombstone_and_headers_fit_a_batch(publisher):
    (batch,) = publisher._batches([(b"k", None, ()), (None, b"v", (("dlq.reason", b"not_json"),))])
    assert batch.record_count() == 2


async def test_every_row_is_written_and_the_last_offset_of_each_entry_returned(publisher, monkeypatch):
    wire = Wire(publisher._producer, monkeypatch)
    last = await publisher._write(
        [Written("slates", 0, rows(3)), Written("slates", 1, rows(9, size=MAX_BATCH_BYTES // 4))]
    )
    assert wire.sent == [("slates", 0, 3), ("slates", 1, 3), ("slates", 1, 3), ("slates", 1, 3)]
    assert last == [102, 108]


async def test_a_failed_batch_fails_the_write(publisher, monkeypatch):
    async def send_batch(batch, topic, *, partition):
        future = asyncio.get_running_loop().create_future()
        future.set_exception(kafka_errors.NotEnoughReplicasError())
        return future

    monkeypatch.setattr(publisher._producer, "send_batch", send_batch)
    with pytest.raises(kafka_errors.NotEnoughReplicasError):
        await publisher._write([Written("slates", p, rows(1)) for p in range(3)])


async def test_a_publisher_that_is_not_started_says_so():
    with pytest.raises(RuntimeError, match="not started"):
        _ = Publisher("nowhere:1", client_id="c").producer


async def test_stopping_twice_and_before_a_start_does_nothing():
    publisher = Publisher("nowhere:1", client_id="c")
    await publisher.stop()
    await publisher.stop()
    assert publisher._producer is None


async def test_a_broker_that_does_not_answer_is_a_kafka_error(unused_tcp_port):
    publisher = Publisher(f"localhost:{unused_tcp_port}", client_id="c")
    with pytest.raises(kafka_errors.KafkaConnectionError):
        await publisher.start()
    await publisher.stop()


# At least once -------------------------------------------------------------------------------------


async def test_at_least_once_writes_the_changelog_last_so_its_marker_stands_for_all(publisher, monkeypatch):
    wire = Wire(publisher._producer, monkeypatch)
    last = await publisher.publish(
        [Written("slates", 0, rows(2)), Written("deltas", 0, rows(1))],
        [Written("profiles", 0, rows(4)), Written("profiles", 1, rows(5))],
        {CLICKS0: 9},
        MEMBER,
    )
    assert wire.log == ["data slates", "data deltas", "data profiles", "data profiles"]
    assert last == [103, 104]


async def test_at_least_once_never_splits_a_changelog_entry(publisher, monkeypatch):
    """Half of a cycle's profiles without its marker would be counted twice after a crash."""
    wire = Wire(publisher._producer, monkeypatch)
    profiles = Written("profiles", 0, rows(9, size=MAX_BATCH_BYTES // 4))
    with pytest.raises(RuntimeError, match="9 rows for profiles-0 do not fit 1 batch"):
        await publisher.publish([], [profiles], {}, MEMBER)
    assert wire.sent == []


# Exactly once --------------------------------------------------------------------------------------


async def test_a_negative_generation_is_refused_before_anything_is_sent(transactional, monkeypatch):
    wire = Wire(transactional._producer, monkeypatch)
    with pytest.raises(Refused, match="no generation"):
        await transactional.publish([Written("slates", 0, rows(1))], [], {}, Membership(-1, "", None))
    assert wire.sent == []
    assert not transactional._producer._txn_manager.is_in_transaction()


async def test_data_first_then_the_offsets_then_the_end(transactional, monkeypatch):
    producer = transactional._producer
    wire = Wire(producer, monkeypatch)

    def step(name):
        async def note(*arguments):
            wire.log.append((name, *arguments))

        return note

    monkeypatch.setattr(producer, "begin_transaction", step("begin"))
    monkeypatch.setattr(producer, "send_offsets_to_transaction", step("offsets"))
    monkeypatch.setattr(producer, "commit_transaction", step("end"))
    last = await transactional.publish(
        [Written("slates", 0, rows(2))],
        [Written("profiles", 0, rows(4)), Written("profiles", 1, rows(5))],
        {CLICKS0: 9},
        MEMBER,
    )
    assert wire.log == [
        ("begin",),
        "data profiles",
        "data profiles",
        "data slates",
        ("offsets", {CLICKS0: OffsetAndMetadata(9, "")}, "shop"),
        ("end",),
    ]
    assert last == [103, 104]
    assert producer._sender.membership == MEMBER


async def test_offsets_are_not_committed_when_data_was_not_acknowledged(transactional, monkeypatch):
    producer = transactional._producer

    async def send_batch(batch, topic, *, partition):
        future = asyncio.get_running_loop().create_future()
        future.set_exception(kafka_errors.NotEnoughReplicasError())
        return future

    async def begin():
        return None

    async def never(*_):
        pytest.fail("the offsets must wait for the data")

    monkeypatch.setattr(producer, "send_batch", send_batch)
    monkeypatch.setattr(producer, "begin_transaction", begin)
    monkeypatch.setattr(producer, "send_offsets_to_transaction", never)
    monkeypatch.setattr(producer, "commit_transaction", never)
    with pytest.raises(kafka_errors.NotEnoughReplicasError):
        await transactional.publish([], [Written("profiles", 0, rows(1))], {CLICKS0: 9}, MEMBER)


async def test_the_librarys_sender_commits_offsets_by_the_fenced_handler(transactional, monkeypatch):
    sender = transactional._producer._sender
    assert isinstance(sender, _FencedSender)
    # The seam in the pinned library: its sender calls this method, with these arguments.
    parameters = list(inspect.signature(aiokafka_sender.Sender._do_txn_offset_commit).parameters)
    assert parameters == ["self", "offsets", "group_id"]
    done = []

    async def find(kind, group_id):
        return f"coordinator of {group_id}"

    async def do(self, node):
        done.append((node, self._offsets, self._group_id, self._membership))

    monkeypatch.setattr(sender, "_find_coordinator", find)
    monkeypatch.setattr(_FencedCommitHandler, "do", do)
    sender.membership = MEMBER
    await sender._do_txn_offset_commit({}, "shop")
    await sender._do_txn_offset_commit({CLICKS0: OffsetAndMetadata(1, "")}, "shop")
    assert done == [("coordinator of shop", {CLICKS0: OffsetAndMetadata(1, "")}, "shop", MEMBER)]


async def test_the_transaction_times_out_as_told_and_retries_soon(transactional):
    producer = transactional._producer
    assert isinstance(producer, AIOKafkaProducer)
    assert producer._txn_manager.transactional_id == "tx"
    assert producer._txn_manager.transaction_timeout_ms == 4500
    assert aiokafka_sender.BACKOFF_OVERRIDE == RETRY_SECONDS


async def test_a_refused_transaction_leaves_no_way_on_but_a_restart(transactional):
    """aiokafka would take the refused transaction for an empty one and tell the broker nothing."""
    manager = transactional._producer._txn_manager
    manager.set_pid_and_epoch(258, 3)
    manager.begin_transaction()
    manager.error_transaction(Refused("stale"))
    with pytest.raises(Refused):
        await manager.wait_for_transaction_end()
    with pytest.raises(AssertionError):
        await transactional.publish([], [Written("profiles", 0, rows(1))], {CLICKS0: 9}, MEMBER)
    before = transactional._producer
    await transactional.stop()
    transactional._producer = transactional._build()
    assert transactional._producer is not before
    assert not transactional._producer._txn_manager.has_pid()


async def test_at_least_once_there_is_one_phase_and_a_failed_publish_leaves_the_last_times(
    publisher, monkeypatch
):
    assert publisher.took == {}
    Wire(publisher._producer, monkeypatch)
    written = [Written("profiles", 0, rows(2))]
    await publisher.publish([Written("slates", 0, rows(1))], written, {}, Membership(1, "m", None))
    took = publisher.took
    assert list(took) == ["write"]
    assert took["write"] >= 0

    async def fail(batch, topic, *, partition):
        raise kafka_errors.NotEnoughReplicasError

    monkeypatch.setattr(publisher._producer, "send_batch", fail)
    with pytest.raises(kafka_errors.NotEnoughReplicasError):
        await publisher.publish([], written, {}, Membership(1, "m", None))
    assert publisher.took is took
