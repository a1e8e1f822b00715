"""How far behind its input a worker is: in records, and in seconds by sampling the ends of the topics.

The broker is asked over a connection of our own: what faust's consumer is asked waits until its running
fetch is over, and that one waits for us while the queue is full.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stream.connection import Where, arguments
from stream.knock import why_not
from stream.transport import Passed

log = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 10.0
"""How long the broker may take to answer; then the lag is unknown."""
MOST_SAMPLES: Final = 1024
"""Samples kept per partition; beyond, every second one is dropped, so that older ones are coarser."""


class Lag(NamedTuple):
    """How far behind one partition is."""

    records: int
    """Between what comes next and the last stable offset. Offsets, so control records and aborted ones in
    between are counted with them."""
    seconds: float
    """Since the record that comes next was first seen to be in the topic. It may have been there for up to
    one poll longer; what waited before the worker started counts from its first look."""


NO_LAG: Final = Lag(0, 0.0)


class Samples:
    """When a partition's end first passed which offset."""

    def __init__(self) -> None:
        self._samples: list[tuple[float, int]] = []
        """Time and end, both rising."""

    def add(self, now: float, end: int) -> None:
        """Note where the partition ends now."""
        if not self._samples or end > self._samples[-1][1]:
            self._samples.append((now, end))
        if len(self._samples) > MOST_SAMPLES:
            del self._samples[1::2]

    def seconds(self, now: float, following: int) -> float:
        """Time since the end passed the offset that follows next; forgets what is older."""
        waiting = next((i for i, (_, end) in enumerate(self._samples) if end > following), None)
        if waiting is None:
            self._samples.clear()
            return 0.0
        del self._samples[:waiting]
        return now - self._samples[0][0]


class Ends(Protocol):
    """Where partitions end."""

    async def ends(self, tps: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Last stable offset by partition."""
        ...

    async def why(self) -> str | None:
        """Why the broker refuses us; None if it does not, or does not answer."""
        ...

    async def stop(self) -> None:
        """Let go of the connection."""
        ...


class BrokerEnds:
    """`Ends`, as the broker knows them."""

    def __init__(self, where: Where, client_id: str) -> None:
        self._where = where
        self._settings: dict[str, Any] = {
            **arguments(where),
            "client_id": client_id,
            "isolation_level": "read_committed",
            "enable_auto_commit": False,
        }
        self._consumer: AIOKafkaConsumer = None

    async def ends(self, tps: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Ask; connects the first time."""
        if self._consumer is None:
            consumer = AIOKafkaConsumer(**self._settings)
            try:
                await consumer.start()
            except BaseException:
                await consumer.stop()
                raise
            self._consumer = consumer
        found: Mapping[TopicPartition, int] = await self._consumer.end_offsets(tps)
        return found

    async def why(self) -> str | None:
        """Connect once more, and be told."""
        return await why_not(self._where)

    async def stop(self) -> None:
        """Disconnect."""
        if self._consumer is not None:
            await self._consumer.stop()
            self._consumer = None


class Held(Protocol):
    """The partitions of state that a worker holds (`stream.partitions.Partitions`)."""

    @property
    def opened(self) -> frozenset[int]:
        """Partitions that are open."""
        ...

    def expected(self, topic: str, partition: int) -> int:
        """Offset of the input record that comes next."""
        ...


class Gauges(Protocol):
    """Where lag is published (`stream.metrics`)."""

    def set_lag(self, topic: str, partition: int, records: int, seconds: float) -> None:
        """Publish a partition's lag."""
        ...

    def forget_lag(self, topic: str, partition: int) -> None:
        """Publish no lag for a partition: it is not ours, or its lag is not known."""
        ...


def following(
    held: Held, topics: Iterable[str], passed: Mapping[TopicPartition, Passed]
) -> dict[TopicPartition, int]:
    """Offset that comes next, by input partition.

    The state knows the last record that was processed. Behind it there may be records that are never
    delivered, the end marks of upstream transactions and what they aborted; the consumer's position has
    passed them. It counts only once everything the consumer delivered has been processed, since it also
    passes what still waits here.
    """
    found = {}
    for tp in (TopicPartition(topic, partition) for partition in held.opened for topic in topics):
        # A partition that is just being opened does not know yet what it expects.
        with contextlib.suppress(KeyError):
            found[tp] = held.expected(tp.topic, tp.partition)
    for tp, read in passed.items():
        if tp in found and found[tp] >= read.delivered:
            found[tp] = max(found[tp], read.position)
    return found


class LagWatch:
    """Looks at the input topics' ends now and then, and says how far behind the worker is.

    Args:
        ends: of the partitions.
        probe: an input partition to ask for while the worker has none, to know that the broker answers.
        next_offsets: offset that comes next, by open input partition, whenever it is called.
        gauges: where the lag is published.
        clock: seconds, never backwards.
    """

    def __init__(
        self,
        *,
        ends: Ends,
        probe: TopicPartition,
        next_offsets: Callable[[], Mapping[TopicPartition, int]],
        gauges: Gauges,
        clock: Callable[[], float],
    ) -> None:
        self._ends = ends
        self._probe = probe
        self._next_offsets = next_offsets
        self._gauges = gauges
        self._clock = clock
        self._samples: dict[TopicPartition, Samples] = {}
        self.lags: Mapping[TopicPartition, Lag] | None = None
        """By input partition that is open; None: not known."""
        self.problem = ""
        """Why it is not known."""

    @property
    def records(self) -> int | None:
        """Lag of all partitions together; None: not known."""
        return None if self.lags is None else sum(lag.records for lag in self.lags.values())

    @property
    def seconds(self) -> float | None:
        """Lag of the partition that is furthest behind; None: not known."""
        return None if self.lags is None else max((lag.seconds for lag in self.lags.values()), default=0.0)

    def covers(self, partitions: Collection[int]) -> bool:
        """Whether the lag of all these partitions is known."""
        return self.lags is not None and {tp.partition for tp in self.lags} >= set(partitions)

    async def run(self, poll_seconds: float, looked: Callable[[], object]) -> None:
        """Look for ever, and call `looked` each time; a broker that does not answer is asked again."""
        try:
            while True:
                await self.look()
                looked()
                await asyncio.sleep(poll_seconds)
        finally:
            await self._ends.stop()

    async def look(self) -> None:
        """Ask once, and publish."""
        asked = list(self._next_offsets()) or [self._probe]
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                ends = await self._ends.ends(asked)
        except (KafkaError, TimeoutError, OSError) as error:
            refusal = await self._ends.why()
            silence = f"the broker does not answer: {type(error).__name__}: {error}".rstrip(": ")
            self._unknown(refusal or silence, is_news=bool(refusal) and refusal != self.problem)
            return
        if self.problem:
            log.info("the broker answers again: lag is known")
            self.problem = ""
        # What comes next is read after the ends, so that what is processed meanwhile is no lag.
        now = self._clock()
        positions = self._next_offsets()
        self._publish(
            {tp: self._lag(tp, now, end, positions[tp]) for tp, end in ends.items() if tp in positions}
        )

    def _lag(self, tp: TopicPartition, now: float, end: int, following: int) -> Lag:
        samples = self._samples.setdefault(tp, Samples())
        samples.add(now, end)
        seconds = samples.seconds(now, following)
        return Lag(end - following, seconds) if end > following else NO_LAG

    def _publish(self, lags: Mapping[TopicPartition, Lag]) -> None:
        self._forget(self.lags.keys() - lags.keys() if self.lags else ())
        for tp, lag in lags.items():
            self._gauges.set_lag(tp.topic, tp.partition, lag.records, lag.seconds)
        self._samples = {tp: self._samples[tp] for tp in lags}
        self.lags = lags

    def _unknown(self, problem: str, *, is_news: bool) -> None:
        if is_news or not self.problem:
            log.warning("lag is not known: %s", problem)
        self.problem = problem
        self._forget(self.lags or ())
        self.lags = None

    def _forget(self, tps: Iterable[TopicPartition]) -> None:
        for tp in tps:
            self._gauges.forget_lag(tp.topic, tp.partition)
