"""Record batches as a consumer fetched them: a topic read much faster than record by record.

aiokafka makes a `ConsumerRecord` of each record, nearly half of what a record of the changelog cost.
Here its own decoder runs over a whole fetch, with its rules for `read_committed` (aborted transactions and
control records are left out) and its check of each batch's CRC. It reaches into `aiokafka.consumer.fetcher`,
one more reason why `aiokafka` is pinned to one minor version.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition


class Run(NamedTuple):
    """Consecutive records of one partition, by key."""

    rows: dict[bytes, bytes | None]
    """The latest value of each key; None is a tombstone."""
    records: int
    """How many there were."""
    position: int
    """Offset after them, and after the control records that follow."""


class Fetched:
    """What one fetch brought of one partition, not unpacked yet."""

    def __init__(self, consumer: AIOKafkaConsumer, tp: TopicPartition, result: Any) -> None:
        self.tp = tp
        self._fetcher = consumer._fetcher
        self._result = result

    def unpack(self) -> Run:
        """Decode the batches; in any thread, once.

        Raises:
            aiokafka.errors.CorruptRecordException: a batch is not what its CRC says.
        """
        batches = self._result._partition_records
        # What the library makes of a record: here nothing, the decoder's own value will do.
        batches._consumer_record = _as_decoded
        rows: dict[bytes, bytes | None] = {}
        count = 0
        for record in batches:
            rows[record.key] = record.value
            count += 1
        return Run(rows, count, batches.next_fetch_offset)

    def release(self) -> None:
        """Move the consumer's position on, so that it fetches what comes next; in the event loop."""
        if self._fetcher._records.get(self.tp) is self._result:
            self._result._update_position()
            del self._fetcher._records[self.tp]
            self._fetcher._notify(self._fetcher._wait_consume_future)


def _as_decoded(_: TopicPartition, record: Any) -> Any:
    return record


async def fetched(consumer: AIOKafkaConsumer, timeout_seconds: float) -> Sequence[Fetched]:
    """What a consumer with assigned partitions has fetched; waits for it, nothing after the timeout.

    Raises:
        aiokafka.errors.KafkaError: a fetch failed in a way that asking again does not help.
    """
    fetcher = consumer._fetcher
    if not fetcher._records:
        waiter = fetcher._create_fetch_waiter()
        done, _ = await asyncio.wait([waiter], timeout=timeout_seconds)
        if not done:
            waiter.cancel()
            return []
        waiter.result()
    found = []
    for tp, result in list(fetcher._records.items()):
        if hasattr(result, "check_raise"):
            del fetcher._records[tp]
            fetcher._notify(fetcher._wait_consume_future)
            result.check_raise()
        elif result.check_assignment(tp):
            found.append(Fetched(consumer, tp, result))
        else:
            del fetcher._records[tp]
    return found
