"""A cycle between its step and the end of its commit: what it will have changed.

The next cycle is decided on top of it. Should its commit fail, both are dropped together: nothing here has
reached the local state yet.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka import TopicPartition

from stream.config import Settings
from stream.transaction import Written
from stream.work import Profiles, Record, Result, Row

Runs = Mapping[int, Mapping[str, Sequence[Record]]]
"""Records by partition, by topic."""


class Stepped:
    """One decided cycle.

    Args:
        runs: its records.
        results: what they change, by partition.
        acks: acknowledge its chunks.
    """

    def __init__(
        self, runs: Runs, results: Mapping[int, Result], acks: Sequence[Callable[[], Any]] = ()
    ) -> None:
        self.results = results
        self.acks = acks
        self.records = sum(len(run) for by_topic in runs.values() for run in by_topic.values())
        self.offsets = {
            TopicPartition(topic, partition): run[-1].offset + 1
            for partition, by_topic in runs.items()
            for topic, run in by_topic.items()
        }
        """Input positions after it."""

    def expected(self, topic: str, partition: int) -> int:
        """Offset of the input record that comes next; 0 where the cycle has none of this partition."""
        offset: int = self.offsets.get(TopicPartition(topic, partition), 0)
        return offset

    def over(self, partition: int, profiles: Profiles) -> Profiles:
        """The profiles of a partition as they will be after the cycle, `profiles` being those before it."""
        result = self.results.get(partition)
        return profiles if result is None else _Over(dict(result.changelog), profiles)

    def outputs(self, topics: Settings) -> list[Written]:
        """Slates, rewards, deltas and dead letters, where there are any."""
        return [
            Written(topic, partition, rows)
            for partition, result in self.results.items()
            for topic, rows in (
                (topics.slates_topic, result.slates),
                (topics.rewards_topic, result.rewards),
                (topics.deltas_topic, result.deltas),
                (topics.dlq_topic, result.dead_letters),
            )
            if rows
        ]

    def changelogs(self, topics: Settings) -> list[Written]:
        """One entry per partition of state, in the order of `results`."""
        return [
            Written(topics.profiles_topic, partition, [_plain(row) for row in result.changelog])
            for partition, result in self.results.items()
        ]


NOTHING = Stepped({}, {})
"""No cycle is being committed."""


class _Over(NamedTuple):
    """Rows that are not in the store yet, over the store; `stream.work.Profiles`."""

    rows: Mapping[bytes, bytes]
    below: Profiles

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Encoded profiles by key, None for a new user."""
        rows = self.rows
        missing = [key for key in keys if key not in rows]
        found = dict(zip(missing, self.below.get(missing), strict=True)) if missing else {}
        return [rows.get(key) or found.get(key) for key in keys]


def _plain(row: tuple[bytes, bytes]) -> Row:
    key, value = row
    return key, value, ()
