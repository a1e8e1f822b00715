"""In which order a worker folded the shared topics, so that its decisions can be made again from the log.

Partitions reach every worker in another order, and sums and dense ids depend on it. So a worker says with
every delta what it had folded, and the runs of records that came since it last said so
(`state.slate.Folded`); `stream/refold.py` folds the same runs again.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from aiokafka import TopicPartition
from msgspec import UNSET, Struct, UnsetType

from state.slate import Folded, FoldedRun

MOST_RUNS: Final = 2000
"""Runs that wait to be said; of a longer start the first ones are forgotten. Some 40 KB in a first delta."""


class Saved(Struct, frozen=True):
    """What a snapshot keeps of a journal."""

    worker: str
    number: int
    runs: tuple[FoldedRun, ...]
    """Not yet said in a committed delta."""


class Journal:
    """Remembers the runs that no committed delta has told yet.

    Args:
        topics: Followed, in the order of `Folded.offsets`.
        offsets: Next offset to fold, by partition; looked at whenever a cycle asks.
    """

    def __init__(self, topics: Sequence[str], offsets: Mapping[TopicPartition, int]) -> None:
        self.worker = ""
        """Who folds; nothing is said before it has a name."""
        self._topics: Final = {topic: number for number, topic in enumerate(topics)}
        self._offsets = offsets
        self._parent: str | UnsetType = UNSET
        self._number = 0
        self._runs: deque[FoldedRun] = deque(maxlen=MOST_RUNS)
        self._said: Folded | None = None
        self._order: list[list[TopicPartition]] = []
        """Followed partitions by topic, once they are known."""
        self._told = 0
        """`_number` when it was said last."""

    def add(self, topic: str, partition: int, first: int, end: int) -> None:
        """Note a run that was folded: offset of its first record, and the one after its last."""
        self._runs.append(FoldedRun(self._topics[topic], partition, first, end))
        self._number += 1
        self._said = None

    def said(self) -> Folded | UnsetType:
        """What a delta says now; unset without a name."""
        if not self.worker:
            return UNSET
        if self._said is None:
            self._said = Folded(self.worker, self._number, self._vector(), tuple(self._runs), self._parent)
        self._told = self._number
        return self._said

    def committed(self) -> None:
        """What was said last is in the log: further deltas need not repeat it."""
        while self._runs and self._number - len(self._runs) < self._told:
            self._runs.popleft()
            self._said = None

    def saved(self) -> Saved:
        """What a snapshot keeps, so that the next worker goes on where this one was."""
        return Saved(self.worker, self._number, tuple(self._runs))

    def go_on(self, saved: Saved) -> None:
        """Begin with the models of another worker's snapshot."""
        self._parent = saved.worker or UNSET
        self._number = saved.number
        self._runs.clear()
        self._runs.extend(saved.runs)

    def start_over(self) -> None:
        """Begin with nothing: the snapshot was left out."""
        self._parent, self._number = UNSET, 0
        self._runs.clear()
        self._said = None

    def _vector(self) -> tuple[tuple[int, ...], ...]:
        if not self._order:
            found: list[list[TopicPartition]] = [[] for _ in self._topics]
            for tp in sorted(self._offsets):
                found[self._topics[tp.topic]].append(tp)
            self._order = found
        return tuple(tuple(map(self._offsets.__getitem__, tps)) for tps in self._order)


Said = Callable[[], Folded | UnsetType]
"""What a delta says of what was folded: `Journal.said`."""
