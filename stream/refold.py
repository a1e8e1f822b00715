"""The shared models as a worker had them when it decided: what it folded, folded again.

Every delta names the runs of records that its worker folded since the one before (`stream/journal.py`). Put
one after the other, and behind them those of the worker whose snapshot it began with, they are the order in
which these models came to be. Where the log does not name a run, because it is of an older version or of a
long start, its records are folded in the order of their timestamps, and counted.
"""

import bisect
import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from aiokafka import TopicPartition
from msgspec import UNSET

from state.models import Models
from state.posterior.beliefs import Beliefs
from state.retrieval.plugged import Plugged
from state.slate import Delta, Folded, FoldedRun
from stream.codecs import decode_delta
from stream.config import Settings
from stream.connection import connection
from stream.followed import followed_topics, learning_config
from stream.learners import ExampleLearner
from stream.reading import read_topic
from stream.replica import Replica
from stream.work import Record
from stream.worker import model_config

NO_SNAPSHOT: Final = Path("/nonexistent/no-snapshot.npz")

Shared: TypeAlias = Mapping[TopicPartition, Sequence[Record]]
"""Records of the followed topics, in offset order."""


class Numbered(NamedTuple):
    """A run, and which of its worker's runs it is, from 1."""

    number: int
    run: FoldedRun


class Orders:
    """In which order workers folded, from what their deltas say.

    Args:
        deltas: All that the log holds, in any order.
    """

    def __init__(self, deltas: Iterable[Delta]) -> None:
        self._runs: dict[str, dict[int, FoldedRun]] = {}
        self._parents: dict[str, str] = {}
        for delta in deltas:
            said = delta.folded
            if said is UNSET:
                continue
            runs = self._runs.setdefault(said.worker, {})
            runs.update(enumerate(said.runs, said.number - len(said.runs) + 1))
            if said.parent is not UNSET:
                self._parents[said.worker] = said.parent

    def until(self, target: Folded, *, since: int = 0) -> list[Numbered]:
        """The runs after run `since` up to what `target` says, oldest first, as far back as the log says."""
        path: list[Numbered] = []
        worker: str | None = target.worker
        seen: set[str] = set()
        starts: dict[tuple[int, int], int] = {}
        for number in range(target.number, since, -1):
            while worker is not None and number not in self._runs.get(worker, {}):
                seen.add(worker)
                worker = self._parents.get(worker)
                worker = None if worker in seen else worker
            if worker is None:
                break
            run = self._runs[worker][number]
            place = run.topic, run.partition
            if run.end > starts.get(place, run.end):
                break  # a run of another life: what is between was never said
            starts[place] = run.first
            path.append(Numbered(number, run))
        return path[::-1]


class Refold:
    """Models that are folded again, up to one moment after the other of one worker.

    Args:
        settings: Of the workers.
        shared: Records of `deltas`, `items` and `rewards`.
        orders: In which workers folded them.
        plugged: Candidate sources beside those of the models, to be taught the same.
        learners: Of policies, to be taught the same.
    """

    def __init__(
        self,
        settings: Settings,
        shared: Shared,
        orders: Orders,
        *,
        plugged: Sequence[Plugged] = (),
        learners: Mapping[str, ExampleLearner] | None = None,
    ) -> None:
        self._topics = followed_topics(settings)
        self._shared = shared
        self._orders = orders
        self._number = 0
        self._replica = Replica(
            connection(settings),
            topics=followed_topics(settings),
            config=model_config(settings),
            learning=learning_config(settings),
            snapshot=NO_SNAPSHOT,
            snapshot_seconds=1.0,
        )
        self._replica.teach({each.name: each.source for each in plugged}, learners)
        # From the beginning, as a worker does once it has caught up.
        self._replica.caught_up.set()
        self.assumed = 0
        """Records folded in the order of their timestamps, because the log does not name their runs."""
        self.folded = 0
        """Records folded altogether."""

    @property
    def models(self) -> Models:
        """What was folded."""
        return self._replica.models

    @property
    def beliefs(self) -> Beliefs:
        """What the worker believed."""
        return self._replica.beliefs

    def until(self, target: Folded) -> None:
        """Fold on to what a worker had folded; targets of one worker come in the order of their numbers."""
        path = self._orders.until(target, since=self._number)
        known = len(path) == target.number - self._number
        if self._number == 0 or not known:
            self._by_time(self._before(path, target))
        for _, run in path:
            if run.first == run.end:  # a worker had caught up
                self._replica.believe_anew()
            else:
                self._fold(TopicPartition(self._topics[run.topic], run.partition), run.first, run.end)
        self._number = target.number

    def until_time(self, time: int) -> None:
        """Fold all records with a timestamp before `time`, epoch milliseconds, in the order of timestamps."""
        ends = {
            tp: next((record.offset for record in records if record.timestamp >= time), _end(records))
            for tp, records in self._shared.items()
        }
        self._by_time(ends)

    def _before(self, path: Sequence[Numbered], target: Folded) -> dict[TopicPartition, int]:
        """Up to where no run of the path says when a record was folded, by partition."""
        ends = {
            TopicPartition(self._topics[topic], partition): offset
            for topic, offsets in enumerate(target.offsets[: len(self._topics)])
            for partition, offset in enumerate(offsets)
        }
        for _, run in reversed(path):
            ends[TopicPartition(self._topics[run.topic], run.partition)] = run.first
        return ends

    def _by_time(self, ends: Mapping[TopicPartition, int]) -> None:
        """Fold what is not folded yet, up to these offsets, in the order of timestamps."""
        runs = [
            [(record.timestamp, topic, tp, record.offset) for record in self._between(tp, end)]
            for topic, tp, end in sorted((self._topics.index(tp.topic), tp, end) for tp, end in ends.items())
        ]
        for tp, run in groupby(heapq.merge(*runs), key=_place):
            offsets = [offset for *_, offset in run]
            self.assumed += self._fold(tp, offsets[0], offsets[-1] + 1)

    def _between(self, tp: TopicPartition, end: int) -> Sequence[Record]:
        return self._records(tp, self._replica.offsets.get(tp, 0), end)

    def _records(self, tp: TopicPartition, first: int, end: int) -> Sequence[Record]:
        records = self._shared.get(tp, ())
        start = bisect.bisect_left(records, first, key=_offset)
        return records[start : bisect.bisect_left(records, end, key=_offset)]

    def _fold(self, tp: TopicPartition, first: int, end: int) -> int:
        records = self._records(tp, first, end)
        if records:
            self._replica.fold(tp, records)
        self.folded += len(records)
        return len(records)


async def read_shared(settings: Settings) -> dict[TopicPartition, list[Record]]:
    """All records of `deltas`, `items` and `rewards`, in memory.

    Raises:
        aiokafka.errors.KafkaError: The broker does not answer.
    """
    shared: dict[TopicPartition, list[Record]] = {}
    for topic in followed_topics(settings):
        async for record in read_topic(connection(settings), topic):
            shared.setdefault(TopicPartition(topic, record.partition), []).append(record)
    return shared


def deltas_of(settings: Settings, shared: Shared) -> Iterator[tuple[Record, Delta]]:
    """The deltas among the shared records, partition by partition.

    Raises:
        UnreadableState: One is of a newer version.
    """
    for tp, records in shared.items():
        if tp.topic == settings.deltas_topic:
            for record in records:
                yield record, decode_delta(record.value or b"")


def _place(row: tuple[int, int, TopicPartition, int]) -> TopicPartition:
    return row[2]


def _offset(record: Record) -> int:
    return int(record.offset)


def _end(records: Sequence[Record]) -> int:
    return _offset(records[-1]) + 1 if records else 0
