"""Follows one user through the topics: what `freshslate inspect USER --follow` shows.

Everything comes from the log. The changelog holds the user's profile and, in the partition's markers, up to
which input record that is; from there on the inputs, the deltas and the slates are read and folded again. The
shared models are followed as every worker follows them, to say who speaks for an item.
"""

import asyncio
import math
import tempfile
from collections import deque
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from state.event import DEFAULT_TENANT, Origin, state_key
from state.models import Models
from state.profile import NEW_PROFILE, Profile
from state.recommend import query_of
from state.retrieval.explain import Explanation, explain
from state.slate import Slate
from stream.beside import beside
from stream.codecs import decode_marker, decode_profile, decode_slate
from stream.config import Settings
from stream.connection import arguments, connection
from stream.followed import followed_topics, learning_config
from stream.inspection import Inspection, InspectionError, partition_of, state_partitions
from stream.reading import read_topic
from stream.replica import Replica
from stream.store import MARKER
from stream.timeline import Rules, Start, Started, Step, Timeline
from stream.work import Record
from stream.worker import event_rules, model_config, recommend_rules, step_rules

NEIGHBOURS: Final = 20
"""Most sessions named per item."""
WAIT_SECONDS: Final = 5.0
"""After so long it is said that no worker takes an event, or an event goes without its slate."""
DELTAS_BACK: Final = 50
"""Offsets of the deltas read again: a cycle may become visible there a moment before the changelog has it."""
_POLL_MS: Final = 200
_PROGRESS_SECONDS: Final = 0.1


class _Found(NamedTuple):
    """The user's state, as the changelog has it."""

    partition: int
    profile: Profile | None
    applied: Mapping[str, int]


class _Past(NamedTuple):
    """The user's slates so far."""

    before: tuple[Slate, ...]
    """The latest ones that the profile contains, oldest first."""
    beyond: tuple[Record, ...]
    """Those that it does not contain yet."""
    offset: int
    """The next to read in the user's partition."""


async def follow_user(
    settings: Settings,
    user_id: str,
    *,
    tenant: str = DEFAULT_TENANT,
    slates: int = 1,
    on_step: Callable[[Step], None],
    on_progress: Callable[[str], None] = lambda _: None,
) -> None:
    """Tell everything that happens to a user, for ever; a user nobody knows yet is waited for.

    Args:
        settings: The workers' own.
        user_id: Of the events.
        tenant: Of the events.
        slates: How many of the latest slates the first step holds.
        on_step: Called with each step as it happens, `Started` first.
        on_progress: Called with what is being done until then.

    Raises:
        InspectionError: The topics do not exist, or are not those that the state came from.
        BrokerUnreachableError: No broker answers.
        UnreadableState: Something of another version.
    """
    topics = (settings.slates_topic, settings.deltas_topic, settings.items_topic, *settings.input_topics)
    partitions = await state_partitions(settings, topics)
    with tempfile.TemporaryDirectory(prefix="freshslate-") as folder:
        replica = Replica(
            connection(settings),
            topics=followed_topics(settings),
            config=model_config(settings),
            learning=learning_config(settings),
            snapshot=Path(folder) / "models.npz",
            snapshot_seconds=math.inf,
        )
        follower = _Follower(settings, user_id, tenant, replica.models, on_step)
        async with beside(replica.run()):
            await _walk(follower, replica, partitions, slates, on_progress)


async def _walk(
    follower: "_Follower", replica: Replica, partitions: int, slates: int, say: Callable[[str], None]
) -> None:
    while not replica.caught_up.is_set():
        models = replica.models
        say(
            "reading what the shared models have learned so far: "
            f"{models.n_items:,} items, {models.n_sessions:,} sessions"
        )
        await asyncio.sleep(_PROGRESS_SECONDS)
    say("looking for the shopper's state and slates")
    await follower.run(partitions, slates)


class _Follower:
    """Reads the user's partition of four topics."""

    def __init__(
        self,
        settings: Settings,
        user_id: str,
        tenant: str,
        models: Models,
        on_step: Callable[[Step], None],
    ) -> None:
        self._settings = settings
        self._user_id = user_id
        self._tenant = tenant
        self._key = state_key(tenant, user_id)
        self._models = models
        self._on_step = on_step
        self._waits: tuple[Origin, str] | None = None
        self._since = 0.0

    async def run(self, partitions: int, slates: int) -> None:
        """Say what is known, then follow."""
        expected = partition_of(self._key, partitions)
        consumer_settings: dict[str, Any] = {
            **arguments(connection(self._settings)),
            "isolation_level": "read_committed",
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "max_partition_fetch_bytes": 8 << 20,
        }
        async with AIOKafkaConsumer(**consumer_settings) as consumer:
            # Before the state is read: what it contains further on is passed over, a gap could not be filled.
            deltas = await consumer.end_offsets(
                [TopicPartition(self._settings.deltas_topic, number) for number in range(partitions)]
            )
            found = await self._state(expected, partitions)
            past = await self._past(found, slates)
            offsets = await self._assign(consumer, found, deltas, past.offset)
            inspection = Inspection(
                user_id=self._user_id,
                tenant=self._tenant,
                key=self._key,
                partition=found.partition,
                expected_partition=expected,
                partitions=partitions,
                profile=found.profile,
                slates=past.before[-slates:] if slates else (),
            )
            self._on_step(Started(inspection=inspection, offsets=offsets))
            await self._follow(consumer, self._timeline(found, past, offsets))

    def _timeline(self, found: _Found, past: _Past, offsets: Mapping[str, int]) -> Timeline:
        latest = past.before[-1] if past.before else None
        start = Start(found.profile or NEW_PROFILE, found.applied, offsets, latest)
        rules = Rules(event_rules(self._settings), step_rules(self._settings), self._explain)
        timeline = Timeline(self._user_id, self._tenant, start, rules)
        for record in past.beyond:
            timeline.publish(record)
        return timeline

    def _explain(self, profile: Profile, slate: Slate) -> tuple[Explanation, ...]:
        query = query_of(profile, slate.time, recommend_rules(self._settings))
        return explain(self._models, query, [item.item_id for item in slate.items], limit=NEIGHBOURS)

    async def _state(self, expected: int, partitions: int) -> _Found:
        """The last profile and its partition's markers; looked for everywhere else where it is not."""
        found = await self._state_in([expected])
        elsewhere = [number for number in range(partitions) if number != expected]
        if found.profile is None and elsewhere:
            other = await self._state_in(elsewhere)
            return other if other.profile is not None else found
        return found

    async def _state_in(self, numbers: Collection[int]) -> _Found:
        key, at, value = self._key.encode(), min(numbers), None
        applied: dict[int, dict[str, int]] = {number: {} for number in numbers}
        topic = self._settings.profiles_topic
        async for record in read_topic(connection(self._settings), topic, partitions=numbers):
            if record.key == key:
                at, value = record.partition, record.value
            elif record.key is not None and record.key.startswith(MARKER) and record.value is not None:
                name = record.key.removeprefix(MARKER).decode()
                applied[record.partition][name] = decode_marker(record.value).offset
        return _Found(at, decode_profile(value) if value is not None else None, applied[at])

    async def _past(self, found: _Found, slates: int) -> _Past:
        before: deque[Slate] = deque(maxlen=max(1, slates))
        beyond: list[Record] = []
        offset = 0
        topic = self._settings.slates_topic
        async for record in read_topic(connection(self._settings), topic, partitions=(found.partition,)):
            offset = record.offset + 1
            if record.key != self._key.encode():
                continue
            if record.value is None:  # the user was forgotten
                before.clear()
                continue
            slate = decode_slate(record.value)
            if slate.trigger.offset > found.applied.get(slate.trigger.topic, -1):
                beyond.append(record)
            else:
                before.append(slate)
        return _Past(tuple(before), tuple(beyond), offset)

    async def _assign(
        self,
        consumer: AIOKafkaConsumer,
        found: _Found,
        delta_offsets: Mapping[TopicPartition, int],
        slate_offset: int,
    ) -> dict[str, int]:
        """Read on from the profile; returns the first offset of each input topic."""
        settings, partition = self._settings, found.partition
        deltas = TopicPartition(settings.deltas_topic, partition)
        slates = TopicPartition(settings.slates_topic, partition)
        inputs = [TopicPartition(topic, partition) for topic in settings.input_topics]
        consumer.assign([deltas, slates, *inputs])
        first = await consumer.beginning_offsets([deltas, *inputs])
        end = await consumer.end_offsets(inputs)
        consumer.seek(deltas, max(first[deltas], delta_offsets[deltas] - DELTAS_BACK))
        consumer.seek(slates, slate_offset)
        offsets = {}
        for tp in inputs:
            expected = found.applied.get(tp.topic, -1) + 1
            if expected > end[tp]:
                message = (
                    f"{tp.topic}-{partition} ends at offset {end[tp]}, but the state in "
                    f"{settings.profiles_topic} contains offsets up to {expected - 1}: the topic was created "
                    "again"
                )
                raise InspectionError(message)
            offsets[tp.topic] = max(expected, first[tp])
            consumer.seek(tp, offsets[tp.topic])
        return offsets

    async def _follow(self, consumer: AIOKafkaConsumer, timeline: Timeline) -> None:
        settings = self._settings
        take = {settings.deltas_topic: timeline.cycle, settings.slates_topic: timeline.publish}
        inputs = [tp for tp in consumer.assignment() if tp.topic not in take]
        while True:
            for tp, records in (await consumer.getmany(timeout_ms=_POLL_MS)).items():
                for record in records:
                    take.get(tp.topic, timeline.feed)(record)
            for step in timeline.steps():
                self._on_step(step)
            self._watch(timeline)
            _hold(consumer, {tp for tp in inputs if timeline.is_full(tp.topic)})

    def _watch(self, timeline: Timeline) -> None:
        """Say it, once, when a record waits for long; an event does not wait for its slate for ever."""
        waiting = timeline.waiting
        now = asyncio.get_running_loop().time()
        waits = (waiting.origin, waiting.awaits) if waiting else None
        if waits != self._waits:
            self._waits, self._since = waits, now
        elif waiting is not None and now - self._since >= WAIT_SECONDS:
            self._since = math.inf
            if waiting.awaits == "slate":
                timeline.go_on_without_slate()
            else:
                self._on_step(waiting)


def _hold(consumer: AIOKafkaConsumer, full: set[TopicPartition]) -> None:
    """Read these partitions no further, and the others again."""
    paused = consumer.paused()
    consumer.resume(*(paused - full))
    consumer.pause(*(full - paused))
