"""Bytes in, bytes out, for one partition and one cycle: decode, step, encode.

Nothing here waits: no broker, and no clock but the one that is given. The loop (`stream/loop.py`) brings
records and takes rows.
"""

import heapq
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple, Protocol, TypeAlias

from aiokafka.structs import ConsumerRecord
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from state.errors import InvalidEvent
from state.event import HEARTBEAT_TENANT, EventRules, Inbound, Origin, state_key
from state.profile import NEW_PROFILE
from state.slate import Reward, Span
from state.slates import WireSlate
from state.step import Decide, Outcome, StepRules, delta_of, step
from stream.codecs import (
    Marker,
    decode_event,
    decode_profile,
    encode_delta,
    encode_marker,
    encode_profile,
    encode_reward,
    encode_slate,
)
from stream.dead_letter import dead_letter
from stream.journal import Said
from stream.store import MARKER

Record: TypeAlias = ConsumerRecord[bytes | None, bytes | None]
Row: TypeAlias = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]]]
NO_HEADERS: Sequence[tuple[str, bytes]] = ()


def times_of(records: Sequence[Record]) -> list[int]:
    """Their own times in the log, epoch milliseconds."""
    return [record.timestamp for record in records]


def _says_nothing() -> UnsetType:
    return UNSET


class Profiles(Protocol):
    """Where encoded profiles are read from."""

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Encoded profiles by key, None for a new user."""
        ...


class Engine(NamedTuple):
    """Everything that `work` needs to know."""

    decide: Decide
    events: EventRules
    step: StepRules
    writer: str
    """Who writes the markers: the transactional id of this process."""
    version: str
    """Version of this software, for dead letters."""
    folded: Said = _says_nothing
    """What the deltas say of the shared models."""


class Laps(NamedTuple):
    """Seconds that the parts of the work took, in their order; all 0 without a clock."""

    decode: float
    read: float
    decide: float
    encode: float


class Result(NamedTuple):
    """Rows for every topic, ready to be written, and what they came from."""

    changelog: Sequence[tuple[bytes, bytes | None]]
    """None deletes."""
    markers: dict[str, Marker]
    slates: Sequence[Row]
    rewards: Sequence[Row]
    deltas: Sequence[Row]
    dead_letters: Sequence[Row]
    inbounds: Sequence[Inbound]
    """The records that were events, duplicates among them."""
    outcome: Outcome
    invalid: Mapping[str, bytes | bytearray]
    """By input topic: one byte per record in offset order, 1 for a dead letter; none for heartbeats and for
    records that are passed over, which say nothing of how good a shop's records are."""
    rejected: Sequence[tuple[str, str]]
    """Input topic and reason of each dead letter."""
    laps: Laps
    last_error: InvalidEvent | None
    """Of the last dead letter."""

    @property
    def events(self) -> int:
        """How many records were events."""
        return len(self.inbounds)

    @property
    def duplicates(self) -> int:
        """How many of them had been processed before."""
        return self.outcome.duplicates


class Work(Protocol):
    """What a cycle does with the records of one partition: `work` with an engine, in a worker."""

    def __call__(
        self,
        partition: int,
        runs: Mapping[str, Sequence[Record]],
        profiles: Profiles,
        *,
        clock: Callable[[], float],
    ) -> Result:
        """Return the rows to be written, from nothing but the arguments."""
        ...


def work(
    partition: int,
    runs: Mapping[str, Sequence[Record]],
    profiles: Profiles,
    engine: Engine,
    *,
    clock: Callable[[], float] = float,
) -> Result:
    """Process what one cycle has for one partition.

    Args:
        partition: of every input topic.
        runs: records by input topic, each in offset order, none empty, all beyond the markers.
        profiles: the partition's state.
        engine: what decides.
        clock: seconds, of any origin, for `Result.laps` alone; one that stands still by default.
    """
    started = clock()
    decoded = _decode(_in_log_order(list(runs.values())), engine)
    decoded_at = clock()
    inbounds = decoded.inbounds
    keys = list({inbound.event.key for inbound in inbounds})
    found = profiles.get([key.encode() for key in keys])
    known = {key: decode_profile(value) for key, value in zip(keys, found, strict=True) if value is not None}
    read_at = clock()
    outcome = step(inbounds, known, engine.decide, engine.step)
    decided_at = clock()
    markers = {topic: Marker(run[-1].offset, engine.writer) for topic, run in runs.items()}
    changelog = _profiles(outcome)
    changelog += [(MARKER + topic.encode(), encode_marker(*marker)) for topic, marker in markers.items()]
    spans = [Span(topic, run[0].offset, run[-1].offset) for topic, run in runs.items()]
    delta = delta_of(
        outcome, spans, partition=partition, events=len(inbounds), dead_letters=len(decoded.dead_letters)
    )
    delta = replace(delta, folded=engine.folded())
    slates = _slates(outcome)
    rewards = [(_key(reward), encode_reward(reward), NO_HEADERS) for reward in outcome.rewards]
    deltas = [(b"%d" % partition, encode_delta(delta), NO_HEADERS)]
    return Result(
        changelog=changelog,
        markers=markers,
        slates=slates,
        rewards=rewards,
        deltas=deltas,
        dead_letters=decoded.dead_letters,
        inbounds=inbounds,
        outcome=outcome,
        invalid=decoded.invalid,
        rejected=decoded.rejected,
        laps=Laps(decoded_at - started, read_at - decoded_at, decided_at - read_at, clock() - decided_at),
        last_error=decoded.last_error,
    )


def _profiles(outcome: Outcome) -> list[tuple[bytes, bytes | None]]:
    """The changed profiles, encoded; None for a user who is forgotten."""
    gone = {key for key, _ in outcome.forgotten if outcome.profiles[key] == NEW_PROFILE}
    return [
        (key.encode(), None if key in gone else encode_profile(profile))
        for key, profile in outcome.profiles.items()
    ]


def _slates(outcome: Outcome) -> list[Row]:
    """The slates, encoded, and a tombstone behind those of a user who is forgotten."""
    rows: list[Row] = [(_key(slate), encode_slate(slate), NO_HEADERS) for slate in outcome.slates.wire]
    for key, before in reversed(outcome.forgotten):
        rows.insert(before, (key.encode(), None, NO_HEADERS))
    return rows


def _in_log_order(runs: Sequence[Sequence[Record]]) -> Sequence[Record]:
    """Merge several topics by record time; within a topic the order stays.

    Otherwise catching up would put all clicks before all purchases.
    """
    return runs[0] if len(runs) == 1 else list(heapq.merge(*runs, key=attrgetter("timestamp")))


class _Decoded(NamedTuple):
    inbounds: list[Inbound]
    dead_letters: list[Row]
    invalid: dict[str, bytearray]
    rejected: list[tuple[str, str]]
    last_error: InvalidEvent | None


def _decode(records: Sequence[Record], engine: Engine) -> _Decoded:
    """Part the records into events and dead letters."""
    inbounds: list[Inbound] = []
    dead: list[Row] = []
    invalid: dict[str, bytearray] = {}
    rejected: list[tuple[str, str]] = []
    last: InvalidEvent | None = None
    for record in records:
        origin = Origin(record.topic, record.partition, record.offset, record.timestamp)
        flags = invalid.setdefault(record.topic, bytearray())
        try:
            event = decode_event(record.value, origin, engine.events, record.headers)
            inbounds.append(Inbound(event, origin))
            if event.tenant != HEARTBEAT_TENANT:
                flags.append(0)
        except InvalidEvent as error:
            if error.reason != "passed_over":
                last = error
                flags.append(1)
            rejected.append((record.topic, error.reason))
            dead.append(_dead_letter(record, origin, error, engine.version))
    return _Decoded(inbounds, dead, invalid, rejected, last)


def _dead_letter(record: Record, origin: Origin, error: InvalidEvent, version: str) -> Row:
    return dead_letter(
        record.key,
        record.value,
        record.headers,
        origin,
        error,
        failed_at_ms=record.timestamp,
        app_version=version,
    )


def _key(answer: WireSlate | Reward) -> bytes:
    return state_key(answer.tenant, answer.user_id).encode()
