"""Reads a user's partition of each topic, from its beginning or from some time on."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from state.profile import NEW_PROFILE
from stream.api.user import User
from stream.api.user_log import Feed, steps_of
from stream.config import Settings
from stream.connection import arguments, connection
from stream.reading import read_topic
from stream.timeline import Explain, Rules, Start, Step, Timeline
from stream.work import Record
from stream.worker import event_rules, step_rules

SLACK_MS: Final = 60_000
"""How far the clocks of producers and workers may be apart, and still what answers an event is found."""


class Begin(NamedTuple):
    """Where the inputs are read from."""

    offsets: Mapping[str, int]
    """By topic."""
    is_all: bool
    """Whether it is everything that there ever was."""


class UserReader:
    """Reads one partition for one user.

    Args:
        settings: of the workers.
        user: whose.
        partition: of the user.
        since: record time from which on to read, epoch milliseconds; None: from the beginning.
    """

    def __init__(self, settings: Settings, user: User, partition: int, since: int | None) -> None:
        self._settings = settings
        self._user = user
        self.partition = partition
        self._since = since
        self.feeds: dict[str, Feed] = {}
        """Of the inputs, once `steps` is read."""

    async def mine(self, topic: str) -> AsyncGenerator[Record, None]:
        """The user's records of a topic that is keyed by user."""
        key = self._user.key.encode()
        async with aclosing(self._records(topic)) as records:
            async for record in records:
                if record.key == key:
                    yield record

    async def begin(self) -> Begin:
        """Where the inputs begin.

        Raises:
            aiokafka.errors.KafkaError: The broker does not answer.
        """
        tps = [TopicPartition(topic, self.partition) for topic in self._settings.input_topics]
        where = arguments(connection(self._settings))
        async with AIOKafkaConsumer(**where, enable_auto_commit=False) as consumer:
            firsts = await consumer.beginning_offsets(tps)
            if self._since is None:
                offsets = {tp.topic: first for tp, first in firsts.items()}
                return Begin(offsets, not any(offsets.values()))
            ends = await consumer.end_offsets(tps)
            times = await consumer.offsets_for_times(dict.fromkeys(tps, self._since))
        return Begin(
            {tp.topic: ends[tp] if found is None else found.offset for tp, found in times.items()}, False
        )

    def timeline(self, begin: Begin, explain: Explain, slates: Iterable[Record]) -> Timeline:
        """A timeline that knows these slates, oldest first, and begins with a new user."""
        rules = Rules(event_rules(self._settings), step_rules(self._settings), explain)
        user_id, tenant = self._user
        timeline = Timeline(user_id, tenant, Start(NEW_PROFILE, {}, begin.offsets, None), rules)
        for record in slates:
            timeline.publish(record)
        return timeline

    async def steps(self, timeline: Timeline, begin: Begin) -> AsyncGenerator[Step, None]:
        """Every step that workers have made until now."""
        async with AsyncExitStack() as stack:
            for topic, offset in begin.offsets.items():
                records = read_topic(connection(self._settings), topic, starts={self.partition: offset})
                self.feeds[topic] = Feed(await stack.enter_async_context(aclosing(records)))
            deltas = await stack.enter_async_context(aclosing(self._records(self._settings.deltas_topic)))
            steps = await stack.enter_async_context(aclosing(steps_of(timeline, deltas, self.feeds)))
            async for step in steps:
                yield step

    @property
    def read_from(self) -> int | None:
        """Timestamp of the first input record that was read."""
        began = [feed.began for feed in self.feeds.values() if feed.began is not None]
        return min(began, default=None)

    def _records(self, topic: str) -> AsyncGenerator[Record, None]:
        since = None if self._since is None else max(0, self._since - SLACK_MS)
        return read_topic(connection(self._settings), topic, partitions=(self.partition,), since=since)
