"""At least once: what a cycle had published when it was cut off is published again as it was.

Without transactions a cycle's slates are on their topic before its changelog is. A worker that dies between
the two leaves slates of records that the state does not contain, and whoever does these records again would
decide otherwise: the models have learned meanwhile, from the deltas of that very cycle too. So whoever opens
a partition looks for such slates, and here they stand in for decisions.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from state.event import Inbound
from state.slate import Slate, Trigger
from state.slates import Asked, Slates
from state.step import Decide
from stream.codecs import decode_slate, encode_slate
from stream.config import Settings
from stream.connection import connection
from stream.reading import read_topic
from stream.store import PartitionStore

CYCLES: Final = (2, 32)
"""How many cycles' slates are looked through at the end of a partition: first so many, and where none of
them is in the state, so many. Commits are in order, so no more than one cycle is cut off at a time, and twice
its size shows where it begins; but each further attempt that is cut off too leaves its slates behind it. The
second bound is for a changelog that could not be written for long, and for one that was deleted."""


class _Question(NamedTuple):
    """What a slate answers. More than its id: in a topic that was created again another event has it."""

    user_id: str
    tenant: str
    time: int
    trigger: Trigger


class Published:
    """Published slates where there are any, and another's decisions; `state.step.Decide`.

    What is kept is at most one cycle's slates a partition, and goes as soon as its records are done again.

    Args:
        decide: decides all other slates.
        settings: of the worker.
    """

    def __init__(self, decide: Decide, settings: Settings) -> None:
        self._decide = decide
        self._settings = settings
        self._kept: dict[_Question, bytes] = {}

    async def restore(self, stores: Mapping[int, PartitionStore]) -> None:
        """Keep the published slates of records that these partitions' state does not contain yet.

        Args:
            stores: restored, by partition.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
            state.errors.UnreadableState: a slate is of a newer version.
        """
        settings = self._settings
        size = settings.most_cycle_events + settings.chunk_records
        partitions = set(stores)
        for cycles in CYCLES:
            cut_off, ended = set(), set()
            async for record in read_topic(
                connection(settings), settings.slates_topic, partitions=partitions, last=cycles * size
            ):
                value = record.value
                if value is None:  # a user was forgotten
                    continue
                slate = decode_slate(value)
                topic, offset = slate.trigger.topic, slate.trigger.offset
                if topic in settings.input_topics and offset > stores[record.partition].applied(topic):
                    self._kept[_answered(slate)] = value
                    cut_off.add(record.partition)
                else:
                    ended.add(record.partition)
            partitions = cut_off - ended
            if not partitions:
                break

    def forget(self) -> None:
        """Keep nothing: the partitions are closed."""
        self._kept.clear()

    def __call__(self, asked: Sequence[Asked]) -> Slates:
        """Return a slate for each event, in order."""
        kept = self._kept
        if not kept:
            return self._decide(asked)
        found = [kept.get(_asked(inbound)) for _, inbound in asked]
        self._pass(asked)
        decided = self._decide([each for each, value in zip(asked, found, strict=True) if value is None])
        if len(decided) == len(asked):
            return decided
        others = map(encode_slate, decided.wire)
        return Slates.read([next(others) if value is None else value for value in found])

    def _pass(self, asked: Sequence[Asked]) -> None:
        """Keep no slate of records up to these: they do not come again while the partition is open."""
        passed = {(origin.topic, origin.partition): origin.offset for _, (_, origin) in asked}
        for question in list(self._kept):
            trigger = question.trigger
            if trigger.offset <= passed.get((trigger.topic, trigger.partition), -1):
                del self._kept[question]


def _answered(slate: Slate) -> _Question:
    return _Question(slate.user_id, slate.tenant, slate.time, slate.trigger)


def _asked(inbound: Inbound) -> _Question:
    event, (topic, partition, offset, time) = inbound
    trigger = Trigger(event.event_id, event.time, topic, partition, offset)
    return _Question(event.user_id, event.tenant, time, trigger)
