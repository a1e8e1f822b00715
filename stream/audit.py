"""Proves from Kafka alone that every input record was processed exactly once.

The deltas say which records each cycle took, in order. Running the same `work` over the same records,
with the published slates in place of the recommender, must give byte for byte the profiles, rewards and
dead letters that are in the topics. What `at_least_once` does not promise is counted all the same, and not
held against it: slates, rewards and dead letters that come again, and records that two cycles took.
"""

import bisect
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from importlib.metadata import version
from itertools import pairwise
from typing import Final, Literal, NamedTuple, TypeVar

from aiokafka import TopicPartition
from msgspec import Struct, field

from state.event import HEARTBEAT_TENANT, Inbound
from state.slate import Delta, Slate, Span, Trigger
from state.slates import Asked, Slates
from stream.codecs import decode_delta, decode_slate
from stream.config import Settings
from stream.connection import Where, connection
from stream.heartbeat import heartbeat_key
from stream.letters import dealt_of
from stream.move import is_moved
from stream.reading import high_watermarks, is_heartbeat, read_topic
from stream.work import Engine, Record, work
from stream.worker import event_rules, step_rules

Row = TypeVar("Row")

_NO_WRITER: Final = ""


class Report(Struct, kw_only=True):
    """What an audit found; `is_clean` says whether anything is wrong."""

    processing_guarantee: Literal["exactly_once", "at_least_once"] = "exactly_once"
    """What the workers promised."""
    records: int = 0
    """Input records in the log. Here and below, what shoppers did: heartbeats are counted apart, and held to
    the same promises."""
    events: int = 0
    dead_letters: int = 0
    duplicate_events: int = 0
    """Events that came again with an id seen before, and were left out."""
    slates: int = 0
    """Different slates published."""
    heartbeats: int = 0
    """Heartbeats that cycles took. Those that no cycle has taken yet are left out: workers go on sending."""
    rewards: int = 0
    lost: int = 0
    """Records that no cycle took, and events that ask for a slate and got none."""
    duplicates: int = 0
    """Slates published more than once, and records that two cycles took."""
    repeated_identical: int = 0
    """Slates published again with the same bytes."""
    repeated_different: int = 0
    """Slates published again with other bytes."""
    dead_letters_different: int = 0
    """Dead letters that are missing or too many."""
    profiles_compared: int = 0
    profiles_different: int = 0
    rewards_different: int = 0
    """Rewards that are missing, too many or other than the fold's."""
    forgotten: int = 0
    """Tombstones of users that were to be forgotten."""
    forgotten_different: int = 0
    """Such tombstones that are missing or too many."""
    longest_gap_seconds: float = 0.0
    """Longest time in which a partition had input waiting and no cycle of it was committed, by the records'
    timestamps: right where producers stamp records with the time at which they send them."""

    @property
    def is_clean(self) -> bool:
        """Whether everything is as promised: every record had its effect, and by default once."""
        wrong = [
            self.lost,
            self.repeated_different,
            self.dead_letters_different,
            self.profiles_different,
            self.rewards_different,
            self.forgotten_different,
        ]
        if self.processing_guarantee == "exactly_once":
            wrong.append(self.duplicates)
        return not any(wrong)


class Differences(Struct):
    """What an audit compares and finds different, for who wants to know in which way."""

    profiles: list[tuple[bytes | None, bytes | None]] = []
    """As folded, as found; None where there is none."""
    rewards: list[tuple[Counter[bytes], Counter[bytes]]] = []
    """By partition: those missing in the topic, those too many."""


class _Published:
    """Looks up what was published where the engine would decide; `state.step.Decide`."""

    def __init__(self, slates: Mapping[str, Slate]) -> None:
        self._slates = slates
        self.missing = 0
        self.asked: set[str] = set()

    def __call__(self, asked: Sequence[Asked]) -> Slates:
        """Return the published slates, and count those that are missing."""
        return Slates.of([self._find(inbound) for _, inbound in asked])

    def _find(self, inbound: Inbound) -> Slate:
        origin = inbound.origin
        slate_id = f"{origin.topic}-{origin.partition}-{origin.offset}"
        self.asked.add(slate_id)
        slate = self._slates.get(slate_id)
        if slate is None:
            self.missing += 1
            return nothing_published(slate_id, inbound)
        return slate


class _Memory:
    """Profiles of the fold; `stream.work.Profiles`."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Encoded profiles by key, None for a new user."""
        return [self.rows.get(key) for key in keys]


class _Cycle(NamedTuple):
    """What one cycle took."""

    delta: Delta
    time: int
    """Timestamp of the delta's record, epoch milliseconds."""


class _Partition(Struct):
    """One partition of every topic."""

    inputs: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    cycles: list[_Cycle] = []
    slates: list[bytes] = []
    tombstones: Counter[bytes | None] = field(default_factory=Counter)
    rewards: Counter[bytes] = field(default_factory=Counter)
    dead_letters: Counter[tuple[bytes | None, bytes | None]] = field(default_factory=Counter)
    profiles: dict[bytes, bytes] = {}
    ends: dict[str, int] = {}
    """Where the inputs ended when everything was read."""
    moved: dict[bytes, bytes] = {}
    """Profiles that were moved here before the first event (`stream/move.py`)."""


async def audit(settings: Settings, *, differences: Differences | None = None) -> Report:
    """Read all topics and compare them with a fold of the inputs.

    What was moved here from other topics is left out, but for profiles: the fold begins with them.
    Everything is held in memory: about 4 KB an event.

    Args:
        settings: of the workers.
        differences: is filled.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    report = Report(processing_guarantee=settings.processing_guarantee)
    engine = Engine(
        decide=None,  # type: ignore[arg-type]  # an audit looks up what was published
        events=event_rules(settings),
        step=step_rules(settings),
        writer=_NO_WRITER,
        version=version("freshslate"),
    )
    for number, partition in (await _read(settings)).items():
        _check(number, partition, engine, report, differences or Differences())
    return report


async def _read(settings: Settings) -> dict[int, _Partition]:
    """All topics but the catalogue, by partition."""
    there = connection(settings)
    partitions = {number: _Partition() for number in range(settings.partitions)}
    for topic in settings.input_topics:
        async for record in read_topic(there, topic):
            partitions[record.partition].inputs[topic].append(record)
    async for record in _own(there, settings.deltas_topic):
        cycle = _Cycle(decode_delta(record.value or b""), record.timestamp)
        partitions[record.partition].cycles.append(cycle)
    async for record in _own(there, settings.slates_topic):
        if record.value is None:
            partitions[record.partition].tombstones[record.key] += 1
        else:
            partitions[record.partition].slates.append(record.value)
    async for record in _own(there, settings.rewards_topic):
        partitions[record.partition].rewards[record.value or b""] += 1
    async for record in read_topic(there, settings.dlq_topic):
        if dealt_of(record) is None:
            partitions[record.partition].dead_letters[record.key, record.value] += 1
    await _read_profiles(there, settings.profiles_topic, partitions)
    inputs = [TopicPartition(topic, number) for topic in settings.input_topics for number in partitions]
    for tp, end in (await high_watermarks(there, inputs)).items():
        partitions[tp.partition].ends[tp.topic] = end
    return partitions


async def _read_profiles(there: Where, topic: str, partitions: Mapping[int, _Partition]) -> None:
    async for record in read_topic(there, topic):
        if record.key is not None and not record.key.startswith(b"\x00"):
            partition = partitions[record.partition]
            _keep(partition.profiles, record.key, record.value)
            if is_moved(record):
                _keep(partition.moved, record.key, record.value)


async def _own(there: Where, topic: str) -> AsyncIterator[Record]:
    """Records that workers wrote here."""
    async for record in read_topic(there, topic):
        if not is_moved(record):
            yield record


def _check(n: int, partition: _Partition, engine: Engine, report: Report, told: Differences) -> None:
    """Fold one partition again and compare."""
    by_id = _slates(partition, report)
    published = _Published(by_id)
    replay = engine._replace(decide=published, writer=_NO_WRITER)
    memory = _Memory()
    memory.rows.update(partition.moved)
    rewards: Counter[bytes] = Counter()
    dead: Counter[tuple[bytes | None, bytes | None]] = Counter()
    tombstones: Counter[bytes | None] = Counter()
    for runs in _cycles(partition, report):
        result = work(n, runs, memory, replay)
        for key, value in result.changelog:
            if not key.startswith(b"\x00"):
                _keep(memory.rows, key, value)
        tombstones.update(key for key, value, _ in result.slates if value is None)
        rewards.update(value for _, value, _ in result.rewards if value is not None)
        dead.update((key, value) for key, value, _ in result.dead_letters)
        beats = sum(inbound.event.is_heartbeat for inbound in result.inbounds)
        report.heartbeats += beats
        report.events += result.events - beats
        report.duplicate_events += result.duplicates
    report.records += sum(not is_heartbeat(record) for run in partition.inputs.values() for record in run)
    report.lost += published.missing
    report.slates += sum(slate.tenant != HEARTBEAT_TENANT for slate in by_id.values())
    report.duplicates += len(partition.slates) - len(by_id) + _unasked(by_id, published.asked, partition)
    difference = _difference if report.processing_guarantee == "exactly_once" else _difference_but_repeats
    report.rewards += partition.rewards.total()
    report.rewards_different += difference(rewards, partition.rewards)
    report.dead_letters += partition.dead_letters.total()
    report.dead_letters_different += difference(dead, partition.dead_letters)
    report.forgotten += partition.tombstones.total()
    report.forgotten_different += difference(tombstones, partition.tombstones)
    report.longest_gap_seconds = max(report.longest_gap_seconds, _longest_gap_ms(partition) / 1000)
    told.rewards.append((rewards - partition.rewards, partition.rewards - rewards))
    told.profiles += _compare_profiles(n, memory.rows, partition, report)


def _unasked(by_id: Mapping[str, Slate], asked: set[str], partition: _Partition) -> int:
    """Slates that no cycle asked for; those of heartbeats that came while the topics were read are none."""
    ends = _folded_ends(partition)
    return sum(
        slate.tenant != HEARTBEAT_TENANT or slate.trigger.offset < ends.get(slate.trigger.topic, 0)
        for slate in (by_id[slate_id] for slate_id in by_id.keys() - asked)
    )


def _compare_profiles(
    number: int, folded: Mapping[bytes, bytes], partition: _Partition, report: Report
) -> list[tuple[bytes | None, bytes | None]]:
    """Compare the fold's profiles with the changelog's; those that differ.

    The heartbeat's is left out where one was on its way while the topics were read.
    """
    users = folded.keys() | partition.profiles.keys()
    beat = heartbeat_key(number)
    different = {user for user in users if folded.get(user) != partition.profiles.get(user)}
    ends = _folded_ends(partition)
    if any(end > ends.get(topic, 0) for topic, end in partition.ends.items()):
        different.discard(beat)
    report.profiles_compared += len(users - {beat})
    report.profiles_different += len(different)
    return [(folded.get(user), partition.profiles.get(user)) for user in sorted(different)]


def _folded_ends(partition: _Partition) -> dict[str, int]:
    """Offset after the last record that was read and that a cycle took, by input topic."""
    spans = [span for cycle in partition.cycles for span in cycle.delta.spans]
    taken = {span.topic: span.last_offset for span in sorted(spans, key=_last_offset)}
    read = {topic: records[-1].offset for topic, records in partition.inputs.items() if records}
    return {topic: 1 + min(last, taken.get(topic, -1)) for topic, last in read.items()}


def _keep(profiles: dict[bytes, bytes], key: bytes, value: bytes | None) -> None:
    """Take a row of the changelog."""
    if value is None:
        profiles.pop(key, None)
    else:
        profiles[key] = value


def _slates(partition: _Partition, report: Report) -> dict[str, Slate]:
    """The slates by id; of one that was published again the last, which is the one the state contains."""
    by_id: dict[str, Slate] = {}
    bytes_of: dict[str, bytes] = {}
    for value in partition.slates:
        slate = decode_slate(value)
        before = bytes_of.get(slate.slate_id)
        if before is not None:
            report.repeated_identical += before == value
            report.repeated_different += before != value
        by_id[slate.slate_id], bytes_of[slate.slate_id] = slate, value
    return by_id


def _longest_gap_ms(partition: _Partition) -> int:
    """Longest time between two cycles, or before the first, in which records of the inputs waited."""
    position = dict.fromkeys(partition.inputs, 0)
    longest = 0
    for before, cycle in pairwise((None, *partition.cycles)):
        assert cycle is not None
        waiting = (
            run[position[topic]].timestamp
            for topic, run in partition.inputs.items()
            if position[topic] < len(run)
        )
        since = max(min(waiting, default=cycle.time), before.time if before else 0)
        longest = max(longest, cycle.time - since)
        for span in cycle.delta.spans:
            end = bisect.bisect_right(partition.inputs[span.topic], span.last_offset, key=_offset)
            position[span.topic] = max(position.get(span.topic, 0), end)
    return longest


def _cycles(partition: _Partition, report: Report) -> Iterable[dict[str, Sequence[Record]]]:
    """The input records of each cycle; what no cycle took is lost, what two took is a duplicate."""
    position = dict.fromkeys(partition.inputs, 0)
    for cycle in partition.cycles:
        runs: dict[str, Sequence[Record]] = {}
        for topic, first, last in ((s.topic, s.first_offset, s.last_offset) for s in cycle.delta.spans):
            records = partition.inputs[topic]
            start = bisect.bisect_left(records, first, key=_offset)
            end = bisect.bisect_right(records, last, key=_offset)
            report.lost += max(0, start - position[topic])
            report.duplicates += max(0, min(end, position[topic]) - start)
            runs[topic] = records[max(start, position[topic]) : end]
            position[topic] = max(end, position[topic])
        if any(runs.values()):
            yield {topic: run for topic, run in runs.items() if run}
    for topic, records in partition.inputs.items():
        left = records[position[topic] :]
        # Heartbeats at the end are on their way; before a shopper's record they are as lost as that one.
        while left and is_heartbeat(left[-1]):
            left.pop()
        report.lost += len(left)


def _difference(expected: Counter[Row], found: Counter[Row]) -> int:
    """Rows that are missing or too many."""
    return ((expected - found) + (found - expected)).total()


def _difference_but_repeats(expected: Counter[Row], found: Counter[Row]) -> int:
    """Rows that are missing, and those that nothing gave."""
    return (expected - found).total() + len(found.keys() - expected.keys())


def _offset(record: Record) -> int:
    return int(record.offset)


def _last_offset(span: Span) -> int:
    return span.last_offset


def nothing_published(slate_id: str, inbound: Inbound) -> Slate:
    """Stand in for a slate that is missing."""
    event, origin = inbound
    return Slate(
        slate_id=slate_id,
        user_id=event.user_id,
        tenant=event.tenant,
        scenario=event.scenario,
        time=origin.time,
        trigger=Trigger(event.event_id, event.time, origin.topic, origin.partition, origin.offset),
        policy="",
        policy_version="",
        seed=0,
        candidates=0,
        candidates_hash="",
        items=(),
    )
