import asyncio

import pytest
from aiokafka import TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.record.default_records import DefaultRecordBatch

from state.errors import Refused
from stream.topics import BATCH_BYTES
from stream.transaction import MAX_BATCH_BYTES, Publisher, TransactionalPublisher, Written
from stream.transport import Membership

MEMBER = Membership(7, "m1", None)
CLICKS0 = TopicPartition("clicks", 0)


class Wire:
    """In place of a producer's requests: notes them in order, and answers with offsets."""

    def __init__(self):
        self.log = []
        self.next = {}
        self.fails = {}
        """Error by request."""

    async def _note(self, name, *arguments):
        await asyncio.sleep(0)
        self.log.append((name, *arguments))
        if name in self.fails:
            raise self.fails[name]

    async def produce(self, batches):
        await self._note("data", {tuple(tp): batch.record_count() for tp, batch in batches.items()})
        offsets = {tp: self.next.get(tp, 100) for tp in batches}
        self.next |= {tp: offsets[tp] + batch.record_count() for tp, batch in batches.items()}
        return offsets

    async def add_partitions(self, partitions):
        await self._note("add", {tuple(tp) for tp in partitions})

    async def add_group(self, group_id):
        await self._note("group", group_id)

    async def commit_offsets(self, group_id, offsets, membership):
        await self._note("offsets", group_id, offsets, membership)

    async def end(self):
        await self._note("end")

    @property
    def sent(self):
        return [what for name, *what in self.log if name == "data"]

    @property
    def names(self):
        return [name for name, *_ in self.log]


@pytest.fixture
def publisher():
    made = Publisher("nowhere:1", client_id="c")
    made._requests = Wire()
    return made


@pytest.fixture
def transactional():
    made = TransactionalPublisher(
        "nowhere:1", client_id="c", transactional_id="tx", group_id="shop", timeout_seconds=4.5
    )
    made._requests = Wire()
    return made


# Batches -------------------------------------------------------------------------------------------


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


async def test_every_row_is_written_and_the_last_offset_of_each_entry_returned(publisher):
    packed = publisher._packed(
        [Written("slates", 0, rows(3)), Written("slates", 1, rows(9, size=MAX_BATCH_BYTES // 4))]
    )
    assert await publisher._write(packed) == [102, 108]
    # A request takes one batch of each partition.
    assert publisher.requests.sent == [
        [{("slates", 0): 3, ("slates", 1): 3}],
        [{("slates", 1): 3}],
        [{("slates", 1): 3}],
    ]


async def test_a_failed_batch_fails_the_write(publisher):
    publisher.requests.fails["data"] = kafka_errors.NotEnoughReplicasError()
    with pytest.raises(kafka_errors.NotEnoughReplicasError):
        await publisher._write(publisher._packed([Written("slates", p, rows(1)) for p in range(3)]))


async def test_a_publisher_that_is_not_started_says_so():
    with pytest.raises(RuntimeError, match="not started"):
        _ = Publisher("nowhere:1", client_id="c").requests


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


async def test_at_least_once_writes_the_changelog_last_so_its_marker_stands_for_all(publisher):
    last = await publisher.publish(
        [Written("slates", 0, rows(2)), Written("deltas", 0, rows(1))],
        [Written("profiles", 0, rows(4)), Written("profiles", 1, rows(5))],
        {CLICKS0: 9},
        MEMBER,
    )
    assert publisher.requests.log == [
        ("data", {("slates", 0): 2, ("deltas", 0): 1}),
        ("data", {("profiles", 0): 4, ("profiles", 1): 5}),
    ]
    assert last == [103, 104]
    assert list(publisher.took) == ["write"]


async def test_at_least_once_writes_no_changelog_when_an_output_was_not_acknowledged(publisher):
    publisher.requests.fails["data"] = kafka_errors.NotEnoughReplicasError()
    with pytest.raises(kafka_errors.NotEnoughReplicasError):
        await publisher.publish(
            [Written("slates", 0, rows(1))], [Written("profiles", 0, rows(1))], {}, MEMBER
        )
    assert publisher.requests.sent == [[{("slates", 0): 1}]]


async def test_at_least_once_never_splits_a_changelog_entry(publisher):
    """Half of a cycle's profiles without its marker would be counted twice after a crash."""
    profiles = Written("profiles", 0, rows(9, size=MAX_BATCH_BYTES // 4))
    with pytest.raises(RuntimeError, match="9 rows for profiles-0 do not fit 1 batch"):
        await publisher.publish([Written("slates", 0, rows(1))], [profiles], {}, MEMBER)
    assert publisher.requests.log == []


# Exactly once --------------------------------------------------------------------------------------

ROWS = (
    [Written("slates", 0, rows(2))],
    [Written("profiles", 0, rows(4)), Written("profiles", 1, rows(5))],
    {CLICKS0: 9},
)


async def test_a_negative_generation_is_refused_before_anything_is_sent(transactional):
    with pytest.raises(Refused, match="no generation"):
        await transactional.publish(*ROWS, Membership(-1, "", None))
    assert transactional.requests.log == []


async def test_data_first_then_the_offsets_then_the_end(transactional):
    last = await transactional.publish(*ROWS, MEMBER)
    assert transactional.requests.log == [
        ("add", {("profiles", 0), ("profiles", 1), ("slates", 0)}),
        ("group", "shop"),
        ("data", {("profiles", 0): 4, ("profiles", 1): 5, ("slates", 0): 2}),
        ("offsets", "shop", {CLICKS0: 9}, MEMBER),
        ("end",),
    ]
    assert last == [103, 104]
    assert list(transactional.took) == ["write", "offsets", "end"]


@pytest.mark.parametrize(
    ("failing", "before"),
    [
        ("add", ["add", "group"]),
        ("group", ["add", "group"]),
        ("data", ["add", "group", "data"]),
        ("offsets", ["add", "group", "data", "offsets"]),
    ],
)
async def test_nothing_comes_after_a_step_that_failed(transactional, failing, before):
    transactional.requests.fails[failing] = kafka_errors.ProducerFenced()
    with pytest.raises(kafka_errors.ProducerFenced):
        await transactional.publish(*ROWS, MEMBER)
    assert transactional.requests.names == before
    assert transactional.took == {}


async def test_rows_that_do_not_fit_leave_no_request_behind(transactional):
    too_large = Written("slates", 0, [(b"k", b"v" * BATCH_BYTES, ())])
    with pytest.raises(RuntimeError, match="does not fit"):
        await transactional.publish([too_large], [], {}, MEMBER)
    await asyncio.sleep(0)
    assert transactional.requests.sent == []


async def test_batches_of_a_transaction_say_so(transactional, publisher):
    (inside,) = transactional._packed([Written("slates", 0, rows(1))])
    (outside,) = publisher._packed([Written("slates", 0, rows(1))])
    attributes = 22  # offset of the last byte of a batch's attributes
    assert inside.batches[0]._build()[attributes] == 0b10000
    assert outside.batches[0]._build()[attributes] == 0


async def test_requests_wait_as_long_as_the_transaction_lives(transactional):
    assert transactional._settings["transaction_timeout_ms"] == 4500
    assert transactional._patience_seconds == 4.5


@pytest.mark.parametrize("packing", ["none", "gzip", "lz4", "zstd"])
def test_what_is_written_is_packed_as_the_settings_say_and_comes_out_the_same(packing):
    publisher = Publisher("nowhere:1", client_id="c", compression=packing)
    rows = [(b"u1", b"profile " * 100, [("h", b"1")]), (b"u2", None, [])]
    (batch,) = publisher._batches(rows)
    packed = bytes(batch._build())
    assert (len(packed) < 400) == (packing != "none")
    read = list(DefaultRecordBatch(packed))
    assert [(record.key, record.value, list(record.headers)) for record in read] == rows
