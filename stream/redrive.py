"""Sends dead letters to where they came from once more, or drops them: each once, whatever dies in between.

What is sent and the record that says so (`stream.letters.Dealt`) are one transaction. All runs use one
transactional id, and a run reads what is dealt with after it has fenced whoever used that id before it: so
two runs at once, a second run, and a run after a `kill -9` send nothing twice.
"""

import asyncio
import contextlib
import getpass
import os
import socket
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from importlib.metadata import version
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple, Self, TypeAlias

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
)

from state.errors import InvalidEvent
from state.event import EventRules, Origin
from stream.codecs import decode_event
from stream.config import Settings
from stream.connection import arguments, compression, connection
from stream.dead_letter import REDRIVEN, Headers, Redriven
from stream.letters import (
    ACTION,
    Action,
    DeadLetterError,
    Dealt,
    Found,
    Id,
    Kind,
    Letter,
    check_topic,
    letters,
    own_headers,
)
from stream.times import now_ms
from stream.topics import describe

Times: TypeAlias = Literal["keep", "now"]

MOST_LETTERS: Final = 500
"""Of one transaction."""
MOST_BYTES: Final = 2 << 20
"""Of the values of one transaction, but for one letter that has more alone."""
TICK_SECONDS: Final = 0.2
"""With a limit on the rate, a transaction has the letters of so long."""
NO_INPUT: Final = "no_such_input"
"""Stands for a reason where a letter came from a topic that is no input any more."""
_FENCED: Final = (ProducerFenced, InvalidProducerEpoch)


class Progress(NamedTuple):
    """How far a run is."""

    done: int
    """Letters dealt with, committed."""
    total: int


OnProgress: TypeAlias = Callable[[Progress], object]


def judge(settings: Settings, rules: EventRules, times: Times) -> Callable[[Letter], str | None]:
    """Says for which reason a letter would be refused again by these rules; None where it would not be."""
    inputs, now = frozenset(settings.input_topics), now_ms()

    def again(letter: Letter) -> str | None:
        if letter.topic not in inputs:
            return NO_INPUT
        time = letter.record_time if times == "keep" else now
        try:
            origin = Origin(letter.topic, letter.source_partition, letter.source_offset, time)
            decode_event(letter.value, origin, rules, letter.headers)
        except InvalidEvent as error:
            return error.reason
        return None

    return again


def parted(found: Found, *, every: bool) -> tuple[list[Id], Counter[Kind]]:
    """The letters to send, and how many of which kind stay: those that would be refused again.

    Args:
        found: With a `judge`.
        every: Whether all are sent that have a topic to be sent to.
    """
    kept: Counter[Kind] = Counter()
    ids = []
    for partition, those in found.waiting.items():
        for offset, (kind, _) in those.items():
            if kind.again is None or (every and kind.again != NO_INPUT):
                ids.append((partition, offset))
            else:
                kept[kind] += 1
    return ids, kept


class Run:
    """One run, which has fenced all others; an async context.

    Args:
        settings: Of the workers.
        on_progress: Told after each transaction.

    Raises:
        DeadLetterError: There is no topic of dead letters.
        BrokerUnreachableError: No broker answers.
    """

    def __init__(self, settings: Settings, on_progress: OnProgress = lambda _: None) -> None:
        self._settings = settings
        self._on_progress = on_progress
        self._by = _whoami()
        self._version = version("freshslate")
        self.done = 0
        """Letters dealt with, committed."""
        self._producer: AIOKafkaProducer

    async def __aenter__(self) -> Self:
        settings = self._settings
        await check_topic(settings)
        self._producer = AIOKafkaProducer(
            **arguments(connection(settings)),
            **compression(settings),
            client_id=f"{settings.app_id}-dlq",
            transactional_id=f"{settings.app_id}-dlq",
            transaction_timeout_ms=int(settings.transaction_timeout_seconds * 1000),
            max_request_size=16 << 20,
        )
        try:
            await self._producer.start()
        except BaseException:
            await self._producer.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._producer.stop()

    async def redrive(self, ids: Collection[Id], *, rate: float, times: Times) -> int:
        """Send these letters to their topics, each partition's in order; returns how many.

        Args:
            ids: Found after this run began.
            rate: Most letters a second.
            times: `keep` sends each with its record's own timestamp, `now` with the present one.

        Raises:
            DeadLetterError: Another run began, a topic does not take a letter, or the broker does not answer.
        """
        topics = await describe(connection(self._settings), self._settings.input_topics)

        def sent(letter: Letter) -> dict[str, Any]:
            if letter.topic not in topics or letter.source_partition >= topics[letter.topic].partitions:
                message = (
                    f"letter {letter.name} came from {letter.topic}-{letter.source_partition}, which is no "
                    "input: is FRESHSLATE_INPUTS that of the workers?"
                )
                raise DeadLetterError(message)
            return {
                "topic": letter.topic,
                "partition": letter.source_partition,
                "key": letter.key,
                "value": letter.value,
                "headers": [*own_headers(letter), (REDRIVEN, msgspec.json.encode(_redriven(letter)))],
                "timestamp_ms": max(0, letter.record_time) if times == "keep" else now_ms(),
            }

        started, most = time.monotonic(), min(MOST_LETTERS, max(1, int(rate * TICK_SECONDS)))
        async with contextlib.aclosing(_batches(self._settings, ids, most)) as batches:
            async for some in batches:
                await self._commit("redriven", some, [sent(letter) for letter in some])
                self._on_progress(Progress(self.done, len(ids)))
                # Never within a transaction: an open one holds up whoever reads these topics.
                await asyncio.sleep(max(0.0, started + self.done / rate - time.monotonic()))
        return self.done

    async def drop(self, ids: Collection[Id]) -> int:
        """Mark these letters as dealt with; returns how many.

        Raises:
            DeadLetterError: Another run began, or the broker does not answer.
        """
        async with contextlib.aclosing(_batches(self._settings, ids, MOST_LETTERS)) as batches:
            async for some in batches:
                await self._commit("dropped", some, ())
                self._on_progress(Progress(self.done, len(ids)))
        return self.done

    async def _commit(self, action: Action, some: Sequence[Letter], sent: Sequence[dict[str, Any]]) -> None:
        """Send records and what is to be known of their letters, in one transaction."""
        rows = [*sent, *(self._dealt(action, partition, some) for partition in {x.partition for x in some})]
        try:
            async with self._producer.transaction():
                await asyncio.gather(*[await self._producer.send(**row) for row in rows])
        except KafkaError as error:
            raise DeadLetterError(_why(error, self.done, some)) from None
        self.done += len(some)

    def _dealt(self, action: Action, partition: int, some: Sequence[Letter]) -> dict[str, Any]:
        dealt = Dealt(
            action=action,
            offsets=tuple(letter.offset for letter in some if letter.partition == partition),
            time=now_ms(),
            by=self._by,
            app_version=self._version,
        )
        headers: Headers = [(ACTION, action.encode())]
        value = msgspec.json.encode(dealt)
        return {
            "topic": self._settings.dlq_topic,
            "partition": partition,
            "value": value,
            "headers": headers,
        }


async def _batches(settings: Settings, ids: Collection[Id], most: int) -> AsyncGenerator[list[Letter], None]:
    """These letters, as many at once as one transaction may have."""
    some: list[Letter] = []
    size = 0
    async with contextlib.aclosing(letters(settings, ids)) as found:
        async for letter in found:
            length = len(letter.value or b"")
            if some and (len(some) >= most or size + length > MOST_BYTES):
                yield some
                some, size = [], 0
            some.append(letter)
            size += length
    if some:
        yield some


def _why(error: KafkaError, done: int, some: Sequence[Letter]) -> str:
    """What ended a run, and what to do, after so many letters and at these."""
    before = f"{done} letters were done before that"
    if isinstance(error, _FENCED):
        return (
            "another redrive or drop has begun, or this one stood still for longer than a transaction may: "
            f"it ends; {before}. Run one at a time"
        )
    if isinstance(error, MessageSizeTooLargeError):
        names = ", ".join(letter.name for letter in some)
        return (
            "a letter is too large for its topic's max.message.bytes, with a header of some 150 bytes that "
            f"is added; it is one of {names[:200]}. {before}"
        )
    told = f"{type(error).__name__}: {error}"
    return f"the broker refuses: {told}. {before}, and of the next none or all; run it again to go on"


def _redriven(letter: Letter) -> Redriven:
    """What the record that is sent says of its failures."""
    said = letter.said
    return Redriven(
        attempt=letter.attempt,
        reason=said.get("dlq.first.reason", letter.reason),
        topic=said.get("dlq.first.topic", letter.topic),
        partition=int(said.get("dlq.first.partition", letter.source_partition)),
        offset=int(said.get("dlq.first.offset", letter.source_offset)),
        failed_at=said["dlq.first_failed_at"],
    )


def _whoami() -> str:
    """User and machine, for the record."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container without a name for its user
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
