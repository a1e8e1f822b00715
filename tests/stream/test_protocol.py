import asyncio
import itertools
from collections import namedtuple

import pytest
from aiokafka import TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatch

import stream.protocol
from state.errors import Refused
from stream.protocol import (
    FENCED,
    FENCED_INSTANCE_ID,
    REFUSALS,
    Requests,
    _commit_request,
    _TxnOffsetCommitResponseV3,
)
from stream.transport import Membership

MEMBER = Membership(7, "m1", None)
CLICKS0, CLICKS1, BUYS0 = (
    TopicPartition("clicks", 0),
    TopicPartition("clicks", 1),
    TopicPartition("purchases", 0),
)
SLATES0, SLATES1 = TopicPartition("slates", 0), TopicPartition("slates", 1)
VERSIONS = {0: (0, 7), 24: (0, 0), 25: (0, 0), 26: (0, 0), 28: (0, 5)}

Answer = namedtuple("Answer", "error_code errors topics", defaults=(0, (), ()))


class Cluster:
    """Who leads which partition."""

    def __init__(self, leaders):
        self.leaders = leaders

    def leader_for_partition(self, tp):
        return self.leaders.get(tp, 1)


class Client:
    """Brokers in memory: they note what they are asked, and answer as told."""

    def __init__(self, answers, leaders):
        self.cluster = Cluster(leaders)
        self.asked = []
        self.refreshed = 0
        self._answers = iter(answers)

    async def send(self, node, request, *, group=ConnectionGroup.DEFAULT):
        self.asked.append((node, group, request.prepare(VERSIONS)))
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer(self.asked[-1][2]) if callable(answer) else answer

    async def _wait_on_metadata(self, topic):
        pass

    def force_metadata_update(self):
        self.refreshed += 1


class Producer:
    """What `Requests` needs of a started producer."""

    def __init__(self, answers, leaders):
        self.client = Client(answers, leaders)
        self._sender = self
        self._txn_manager = namedtuple("Manager", "transactional_id producer_id producer_epoch")("tx", 258, 3)
        self.dead = []

    async def _find_coordinator(self, kind, key):
        return {CoordinationType.TRANSACTION: 5, CoordinationType.GROUP: 6}[kind]

    def _coordinator_dead(self, kind):
        self.dead.append(kind)


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(stream.protocol, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(stream.protocol, "MOST_RETRY_SECONDS", 0.0)


def made(*answers, leaders=(), patience_seconds=20.0):
    producer = Producer(answers, dict(leaders))
    return Requests(producer, patience_seconds=patience_seconds), producer


def errors(*codes):
    return Answer(errors=[("slates", list(enumerate(codes)))])


def commit_errors(*codes):
    """Errors by topic and partition, as they come off the wire."""
    partitions = [(partition, code, {}) for partition, code in enumerate(codes)]
    return _TxnOffsetCommitResponseV3(throttle_time_ms=0, errors=[("clicks", partitions, {})], tags={})


def batch(*values):
    builder = BatchBuilder(1 << 20, 0, is_transactional=1)
    for value in values:
        builder.append(timestamp=None, key=b"k", value=value)
    return builder


def acknowledge(base=100, codes=()):
    """Answer a Produce request: an offset, or an error by partition."""

    def answer(request):
        return Answer(
            topics=[
                (topic, [(p, dict(codes).get((topic, p), 0), base, -1, 0) for p, _ in partitions])
                for topic, partitions in request.topics
            ]
        )

    return answer


# The commit of offsets -----------------------------------------------------------------------------


def request_bytes(offsets, membership):
    return _commit_request(("tx", 258, 3), "shop", offsets, membership).prepare({28: (0, 5)})


def test_the_request_is_what_kafka_calls_txn_offset_commit_version_3():
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


def test_the_request_header_is_the_flexible_one():
    header = request_bytes({CLICKS0: 42}, MEMBER).build_request_header(9, "c")
    assert header.encode() == b"\x00\x1c\x00\x03\x00\x00\x00\x09\x00\x01c\x00"


def test_several_partitions_are_grouped_by_topic_and_a_static_member_is_named():
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


def test_a_broker_without_version_3_is_refused_rather_than_sent_an_unfenced_commit():
    with pytest.raises(NotImplementedError):
        _commit_request(("tx", 258, 3), "shop", {CLICKS0: 1}, MEMBER).prepare({28: (0, 2)})


def test_the_response_is_read_with_its_tags():
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


@pytest.mark.parametrize("code", [22, 25, 27, FENCED_INSTANCE_ID])
async def test_a_stale_member_is_refused_at_once(code):
    requests, producer = made(commit_errors(code))
    with pytest.raises(Refused, match=f"error {code} for clicks-0 as .*generation=7"):
        await requests.commit_offsets("shop", {CLICKS0: 42}, MEMBER)
    assert len(producer.client.asked) == 1


def test_the_refusals_are_those_that_mean_somebody_else_owns_the_partitions():
    assert kafka_errors.IllegalGenerationError.errno == 22
    assert kafka_errors.UnknownMemberIdError.errno == 25
    assert kafka_errors.RebalanceInProgressError.errno == 27
    assert {22, 25, 27, FENCED_INSTANCE_ID} == REFUSALS


async def test_one_refusal_among_accepted_partitions_refuses_all():
    requests, _ = made(commit_errors(0, 25))
    with pytest.raises(Refused):
        await requests.commit_offsets("shop", {CLICKS0: 42, CLICKS1: 43}, MEMBER)


async def test_an_accepted_commit_goes_to_the_groups_coordinator_once():
    requests, producer = made(commit_errors(0, 0))
    await requests.commit_offsets("shop", {CLICKS0: 42, CLICKS1: 43}, MEMBER)
    ((node, _, request),) = producer.client.asked
    assert node == 6
    assert request.encode() == request_bytes({CLICKS0: 42, CLICKS1: 43}, MEMBER).encode()


# Errors of any request -----------------------------------------------------------------------------


@pytest.mark.parametrize("code", [3, 14, 15, 16])
async def test_a_coordinator_that_moved_or_loads_is_looked_for_and_asked_again(code):
    requests, producer = made(commit_errors(code), commit_errors(0))
    await requests.commit_offsets("shop", {CLICKS0: 42}, MEMBER)
    assert len(producer.client.asked) == 2
    assert set(producer.dead) == {CoordinationType.GROUP, CoordinationType.TRANSACTION}
    assert producer.client.refreshed == 1


async def test_while_the_last_transactions_markers_are_written_the_same_coordinator_is_asked_again():
    requests, producer = made(errors(51, 51), errors(51, 51), errors(0, 0))
    await requests.add_partitions([SLATES0, SLATES1])
    assert len(producer.client.asked) == 3
    assert producer.dead == []
    assert producer.client.refreshed == 0


@pytest.mark.parametrize("code", sorted(FENCED))
async def test_a_newer_epoch_is_a_fenced_producer(code):
    requests, _ = made(Answer(error_code=code))
    with pytest.raises(kafka_errors.ProducerFenced):
        await requests.end()


@pytest.mark.parametrize(
    ("code", "error"),
    [(48, kafka_errors.InvalidTxnState), (53, kafka_errors.TransactionalIdAuthorizationFailed)],
)
async def test_what_another_attempt_will_not_change_is_raised(code, error):
    requests, producer = made(Answer(error_code=code))
    with pytest.raises(error):
        await requests.add_group("shop")
    assert len(producer.client.asked) == 1


async def test_a_connection_that_breaks_is_tried_again():
    broken = (kafka_errors.NodeNotReadyError(), kafka_errors.KafkaConnectionError("cut"))
    requests, producer = made(*broken, Answer())
    await requests.end()
    assert len(producer.client.asked) == 3


async def test_an_error_of_the_library_that_is_final_is_raised():
    requests, _ = made(kafka_errors.IncompatibleBrokerVersion("too old"))
    with pytest.raises(kafka_errors.IncompatibleBrokerVersion):
        await requests.end()


async def test_patience_ends():
    answers = itertools.repeat(kafka_errors.NodeNotReadyError())
    producer = Producer(answers, {})
    with pytest.raises(TimeoutError):
        await Requests(producer, patience_seconds=0.01).end()
    assert len(producer.client.asked) > 1


async def test_a_broker_that_never_answers_is_not_waited_for_without_end():
    requests, producer = made()

    async def send(*_, **__):
        await asyncio.Event().wait()

    producer.client.send = send
    requests._patience_seconds = 0.01
    with pytest.raises(TimeoutError):
        await requests.end()


# Requests to the transaction's coordinator ---------------------------------------------------------


async def test_partitions_group_and_end_go_to_the_transactions_coordinator_on_its_own_connection():
    requests, producer = made(errors(0, 0), Answer(), Answer())
    await requests.add_partitions([SLATES0, BUYS0, SLATES1])
    await requests.add_group("shop")
    await requests.end()
    assert {(node, group) for node, group, _ in producer.client.asked} == {(5, ConnectionGroup.COORDINATION)}
    partitions, group, end = [request.to_object() for _, _, request in producer.client.asked]
    identity = {"transactional_id": "tx", "producer_id": 258, "producer_epoch": 3}
    topics = [
        {"topic": "slates", "partitions": [0, 1]},
        {"topic": "purchases", "partitions": [0]},
    ]
    assert partitions == identity | {"topics": topics}
    assert group == identity | {"group_id": "shop"}
    assert end == identity | {"transaction_result": True}


# Data ----------------------------------------------------------------------------------------------


def written(request):
    """Sequence and values of each batch of a Produce request, by partition."""
    found = {}
    for topic, partitions in request.topics:
        for partition, data in partitions:
            read = DefaultRecordBatch(bytes(data))
            assert (read.producer_id, read.producer_epoch) == (258, 3)
            found[topic, partition] = (read.base_sequence, [record.value for record in read])
    return found


async def test_batches_are_written_as_the_producer_and_their_first_offsets_returned():
    requests, producer = made(acknowledge(base=40))
    offsets = await requests.produce({SLATES0: batch(b"1", b"2"), BUYS0: batch(b"3")})
    assert offsets == {SLATES0: 40, BUYS0: 40}
    ((node, group, request),) = producer.client.asked
    assert (node, group) == (1, ConnectionGroup.DEFAULT)
    assert isinstance(request, tuple(ProduceRequest._CLASSES))
    assert (request.transactional_id, request.required_acks) == ("tx", -1)
    assert written(request) == {("slates", 0): (0, [b"1", b"2"]), ("purchases", 0): (0, [b"3"])}


async def test_each_partitions_sequence_goes_on_with_its_records():
    requests, producer = made(acknowledge(), acknowledge(), acknowledge())
    await requests.produce({SLATES0: batch(b"1", b"2")})
    await requests.produce({SLATES0: batch(b"3"), SLATES1: batch(b"4")})
    await requests.produce({SLATES0: batch(b"5")})
    sequences = [
        {tp: sequence for tp, (sequence, _) in written(request).items()}
        for _, _, request in producer.client.asked
    ]
    assert sequences == [{("slates", 0): 0}, {("slates", 0): 2, ("slates", 1): 0}, {("slates", 0): 3}]


async def test_sequences_begin_again_after_the_largest_number():
    requests, producer = made(acknowledge(), acknowledge())
    requests._sequences[SLATES0] = 0x7FFFFFFF
    await requests.produce({SLATES0: batch(b"1", b"2")})
    await requests.produce({SLATES0: batch(b"3")})
    first, second = (written(request)["slates", 0][0] for _, _, request in producer.client.asked)
    assert (first, second) == (0x7FFFFFFF, 1)


async def test_each_leader_gets_its_partitions():
    requests, producer = made(acknowledge(), acknowledge(), leaders={SLATES0: 1, SLATES1: 2})
    await requests.produce({SLATES0: batch(b"1"), SLATES1: batch(b"2")})
    assert {node: list(written(request)) for node, _, request in producer.client.asked} == {
        1: [("slates", 0)],
        2: [("slates", 1)],
    }


async def test_only_what_was_not_acknowledged_is_written_again_and_with_its_sequence():
    moved = {("slates", 1): kafka_errors.NotLeaderForPartitionError.errno}
    requests, producer = made(acknowledge(10, moved), acknowledge(20))
    offsets = await requests.produce({SLATES0: batch(b"1"), SLATES1: batch(b"2")})
    assert offsets == {SLATES0: 10, SLATES1: 20}
    assert written(producer.client.asked[1][2]) == {("slates", 1): (0, [b"2"])}


async def test_a_partition_without_leader_is_waited_for():
    requests, producer = made(acknowledge(), leaders={SLATES0: -1})
    writing = asyncio.create_task(requests.produce({SLATES0: batch(b"1")}))
    while not producer.client.refreshed:
        await asyncio.sleep(0)
    assert producer.client.asked == []
    producer.client.cluster.leaders[SLATES0] = 3
    assert await writing == {SLATES0: 100}


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (10, kafka_errors.MessageSizeTooLargeError),
        (45, kafka_errors.OutOfOrderSequenceNumber),
        (46, kafka_errors.DuplicateSequenceNumber),
        (47, kafka_errors.ProducerFenced),
    ],
)
async def test_a_batch_that_is_not_taken_fails_the_write(code, error):
    requests, _ = made(acknowledge(codes={("slates", 0): code}))
    with pytest.raises(error):
        await requests.produce({SLATES0: batch(b"1"), SLATES1: batch(b"2")})
