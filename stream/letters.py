"""The topic of dead letters as a person wants it: which letters wait, which were dealt with, what is in them.

A letter that was sent again or dropped stays where it is: nothing can be taken out of the middle of a topic.
So a record about it, a `Dealt`, follows it in the same partition. Being later there, it is deleted later too:
whoever sees the letter sees that it was dealt with.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import Struct, field

from state.errors import FreshslateError, UnreadableState
from state.event import state_key
from stream.config import Settings
from stream.connection import connection
from stream.dead_letter import FIRST_ADDED, Headers, redriven_of
from stream.reading import read_topic
from stream.times import parse_iso
from stream.topics import describe
from stream.work import Record

ACTION: Final = "dlq.action"
"""Last header of a `Dealt`. A letter's last header is another one, whatever its record had."""
Action: TypeAlias = Literal["redriven", "dropped"]
Id: TypeAlias = tuple[int, int]
"""Partition and offset of a letter in the topic of dead letters."""


class DeadLetterError(FreshslateError):
    """Nothing was done with the dead letters, or not everything; the message says what to do."""


class Dealt(Struct, frozen=True, kw_only=True):
    """What was done with letters that stand before this in its partition."""

    action: Action
    offsets: tuple[int, ...]
    """Of the letters."""
    time: int
    """When, epoch milliseconds."""
    by: str
    """User and machine."""
    app_version: str
    schema_version: int = 1


_DEALT: Final = msgspec.json.Decoder(Dealt)


class Letter(NamedTuple):
    """One dead letter."""

    partition: int
    """In the topic of dead letters."""
    offset: int
    time: int
    """When it was written, epoch milliseconds."""
    key: bytes | None
    value: bytes | None
    headers: Headers
    """The record's own."""
    said: Mapping[str, str]
    """The headers that were added, by name."""
    topic: str
    """Where the record stood, as the next two."""
    source_partition: int
    source_offset: int
    record_time: int
    """Kafka timestamp of the record, when it first failed: epoch milliseconds."""
    attempt: int
    """How often it has failed, from 1."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return f"{self.partition}-{self.offset}"

    @property
    def reason(self) -> str:
        """One of `state.errors.REASONS`."""
        return self.said[FIRST_ADDED]


class Kind(NamedTuple):
    """What letters are counted by."""

    topic: str
    reason: str
    again: str | None = None
    """Reason for which it would be refused again; None where it would not be, or nobody asked."""


class Filter(Struct, frozen=True, kw_only=True):
    """Which letters are meant; all, where nothing is said."""

    ids: frozenset[Id] = frozenset()
    reasons: frozenset[str] = frozenset()
    topic: str | None = None
    """Of the record."""
    partition: int | None = None
    user: tuple[str, str] | None = None
    """Tenant and user."""
    first: int | None = None
    """Letters written from then on, epoch milliseconds."""
    end: int | None = None
    """Letters written before then."""

    def takes(self, letter: Letter) -> bool:
        """Whether this letter is meant."""
        return (
            (not self.ids or (letter.partition, letter.offset) in self.ids)
            and (not self.reasons or letter.reason in self.reasons)
            and self.topic in {None, letter.topic}
            and self.partition in {None, letter.partition}
            and (self.first is None or letter.time >= self.first)
            and (self.end is None or letter.time < self.end)
            and (self.user is None or is_of(letter, *self.user))
        )


class Found(Struct):
    """What the topic holds of the letters that are meant."""

    waiting: dict[int, dict[int, tuple[Kind, int]]] = {}
    """By partition and offset, the letters that nobody has dealt with: kind, and time written."""
    dealt: Counter[Action] = field(default_factory=Counter)
    """How many were dealt with, by what was done."""
    foreign: int = 0
    """Records in the topic that are no dead letters of ours; they are left alone."""

    @property
    def ids(self) -> list[Id]:
        """The letters that wait."""
        return [(partition, offset) for partition, those in self.waiting.items() for offset in those]

    @property
    def kinds(self) -> Counter[Kind]:
        """How many letters wait, by kind."""
        return Counter(kind for those in self.waiting.values() for kind, _ in those.values())


def letter_of(record: Record) -> Letter | None:
    """The letter that a record is; None for anything else, such as a `Dealt`."""
    headers = record.headers
    start = next((at for at in range(len(headers) - 1, -1, -1) if headers[at][0] == FIRST_ADDED), None)
    if start is None or headers[-1][0] == ACTION:
        return None
    said = {name: value.decode(errors="replace") for name, value in headers[start:]}
    try:
        return Letter(
            partition=record.partition,
            offset=record.offset,
            time=record.timestamp,
            key=record.key,
            value=record.value,
            headers=tuple(headers[:start]),
            said=said,
            topic=said["dlq.source.topic"],
            source_partition=int(said["dlq.source.partition"]),
            source_offset=int(said["dlq.source.offset"]),
            record_time=parse_iso(said["dlq.first_failed_at"]),
            attempt=int(said.get("dlq.attempt", "1")),
        )
    except (KeyError, ValueError):
        return None


def dealt_of(record: Record) -> Dealt | None:
    """What a record says was done with letters; None for anything else.

    Raises:
        UnreadableState: It says so in a way that this version does not know.
    """
    if not record.headers or record.headers[-1][0] != ACTION:
        return None
    try:
        return _DEALT.decode(record.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        what = "record of what was done with dead letters"
        raise UnreadableState(what, str(error)) from None


def own_headers(letter: Letter) -> Headers:
    """The headers that the record had before it was first refused."""
    return letter.headers[:-1] if redriven_of(letter.headers) is not None else letter.headers


def is_of(letter: Letter, tenant: str, user: str) -> bool:
    """Whether a letter is about this user, by its key or by what can be read of its value."""
    if letter.key == state_key(tenant, user).encode():
        return True
    try:
        fields: Any = msgspec.json.decode(letter.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    if not isinstance(fields, dict):
        return False
    named = fields.get("user_id") or fields.get("anonymous_id")
    return str(named) == user and str(fields.get("tenant") or "default") == tenant


async def find(
    settings: Settings, which: Filter, *, judge: Callable[[Letter], str | None] = lambda _: None
) -> Found:
    """Read the topic, and find the letters that wait. Some 180 B of memory for each.

    Args:
        settings: Of the workers.
        which: The letters that are meant.
        judge: Reason for which a letter would be refused again.

    Raises:
        DeadLetterError: There is no such topic.
        UnreadableState: A newer version wrote there.
        aiokafka.errors.KafkaError: The broker does not answer.
    """
    await check_topic(settings)
    found = Found()
    kinds: dict[Kind, Kind] = {}
    partitions = None if which.partition is None else (which.partition,)
    async for record in read_topic(
        connection(settings), settings.dlq_topic, partitions=partitions, since=which.first
    ):
        those = found.waiting.setdefault(record.partition, {})
        dealt = dealt_of(record)
        if dealt is not None:
            done = [those.pop(offset, None) for offset in dealt.offsets]
            found.dealt[dealt.action] += sum(each is not None for each in done)
            continue
        letter = letter_of(record)
        if letter is None:
            found.foreign += 1
        elif which.takes(letter):
            kind = Kind(letter.topic, letter.reason, judge(letter))
            those[record.offset] = kinds.setdefault(kind, kind), record.timestamp
    return found


async def check_topic(settings: Settings) -> None:
    """Make sure that there is a topic of dead letters.

    Raises:
        DeadLetterError: There is none.
        BrokerUnreachableError: No broker answers.
    """
    if not await describe(connection(settings), [settings.dlq_topic]):
        message = (
            f"there is no topic {settings.dlq_topic} at {settings.broker}: is FRESHSLATE_TOPIC_PREFIX that "
            "of the workers?"
        )
        raise DeadLetterError(message)


def latest(found: Found, limit: int) -> list[Id]:
    """The letters that wait and were written last, oldest first."""
    times = [
        (time, partition, offset)
        for partition, those in found.waiting.items()
        for offset, (_, time) in those.items()
    ]
    return [(partition, offset) for _, partition, offset in sorted(times)[max(0, len(times) - limit) :]]


async def letters(settings: Settings, ids: Collection[Id]) -> AsyncGenerator[Letter, None]:
    """Yield these letters, each partition's in offset order; those that are gone are left out.

    Raises:
        DeadLetterError: There is no such topic.
        aiokafka.errors.KafkaError: The broker does not answer.
    """
    await check_topic(settings)
    left: dict[int, set[int]] = {}
    for partition, offset in ids:
        left.setdefault(partition, set()).add(offset)
    if not left:
        return
    starts = {partition: min(offsets) for partition, offsets in left.items()}
    async with aclosing(read_topic(connection(settings), settings.dlq_topic, starts=starts)) as records:
        async for record in records:
            wanted = left.get(record.partition, set())
            if record.offset in wanted:
                wanted.remove(record.offset)
                letter = letter_of(record)
                if letter is not None:
                    yield letter
                if not any(left.values()):
                    return


async def collected(settings: Settings, ids: Sequence[Id]) -> list[Letter]:
    """These letters in this order; raises as `letters`."""
    by_id = {(letter.partition, letter.offset): letter async for letter in letters(settings, ids)}
    return [by_id[each] for each in ids if each in by_id]
