"""What a cycle that is still being committed has changed: the next one is decided on top of it.

Should the commit fail, both are dropped together: nothing here has reached the local state yet.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aiokafka import TopicPartition

from stream.work import Profiles, Result


class Ahead:
    """The rows and positions of one cycle, between its step and its end.

    Args:
        results: of the step, by partition.
        offsets: input positions after the cycle.
    """

    def __init__(self, results: Mapping[int, Result], offsets: Mapping[TopicPartition, int]) -> None:
        self._rows = {partition: dict(result.changelog) for partition, result in results.items()}
        self._offsets = offsets

    def expected(self, topic: str, partition: int) -> int:
        """Offset of the input record that comes next; 0 where the cycle had none of this partition."""
        return self._offsets.get(TopicPartition(topic, partition), 0)

    def over(self, partition: int, profiles: Profiles) -> Profiles:
        """Profiles as they will be after the cycle.

        Args:
            partition: of state.
            profiles: as they were before it.
        """
        rows = self._rows.get(partition)
        return profiles if not rows else _Over(rows, profiles)


class _Over(NamedTuple):
    """Rows that are not in the store yet, over the store; `stream.work.Profiles`."""

    rows: Mapping[bytes, bytes]
    below: Profiles

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Encoded profiles by key, None for a new user."""
        rows = self.rows
        missing = [key for key in keys if key not in rows]
        if len(missing) == len(keys):
            return self.below.get(keys)
        found = dict(zip(missing, self.below.get(missing), strict=True)) if missing else {}
        return [rows.get(key) or found.get(key) for key in keys]


NOTHING_AHEAD = Ahead({}, {})
"""Nothing is being committed."""
