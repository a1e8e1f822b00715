"""What is asked of the log for one user: the timeline, why a slate is as it is, and to be forgotten.

Each of these reads Kafka for as long as the log is.
"""

import asyncio
from collections import deque
from contextlib import aclosing
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from state.errors import FreshslateError
from state.event import HEARTBEAT_TENANT
from state.models import Models
from state.profile import Profile
from state.recommend import query_of
from state.retrieval.explain import Explanation, explain
from state.slate import Slate
from stream.api.keys import ANY_TENANT
from stream.api.user import User
from stream.api.user_log import REWARDS_KEPT, Told, steps_json
from stream.api.user_reader import SLACK_MS, UserReader
from stream.codecs import decode_profile, decode_slate
from stream.config import Settings
from stream.connection import connection
from stream.follow import NEIGHBOURS
from stream.forget import NotForgotten, forget, left_behind, look
from stream.inspection import find_profile, partition_of, profile_json, state_partitions
from stream.reading import read_topic
from stream.timeline import Happened
from stream.work import Record
from stream.worker import recommend_rules

SLATES_BEYOND: Final = 100
"""Slates kept beyond the steps asked for: of events whose steps are not told."""


Why: TypeAlias = tuple[Explanation, ...]
"""Who speaks for the items of a slate, in its order."""


class NoSuchPast(FreshslateError):
    """The log has nothing of it; the message says what was looked for."""


class UserTimeline(Struct, frozen=True, kw_only=True):
    """What the log says of a user."""

    user_id: str
    tenant: str
    partition: int
    read_from: int | None
    """Timestamp of the first record that was read of the user's partition, epoch milliseconds."""
    is_complete: bool
    """Whether that is the beginning of the log, and nothing has left the log yet. If not, older events are
    gone, or were not asked for; sessions and open slates of the first steps may be wrong then."""
    forgotten_at: int | None
    """When the user was last asked to be forgotten, epoch milliseconds; nothing older is told."""
    total: int
    """Steps that the log holds; `steps` are the latest of them."""
    waiting: int
    """Records of the user that no worker has taken yet."""
    profile: dict[str, Any]
    """Session, history, counts and open slates after the last step."""
    steps: list[dict[str, Any]]
    """The newest last; `kind` is `event`, `duplicate` or `dead_letter`."""


class SlateWhy(Struct, frozen=True, kw_only=True):
    """A slate, and who speaks for its items."""

    slate: msgspec.Raw
    """As published (docs/events.md)."""
    profile: str
    """For which profile `why` is: `then`, before the slate; `now`; `none` where there is none any more."""
    models: str
    """Of when the models are that `why` is from: always `now`."""
    why: list[Explanation]
    """One for each item of the slate; empty where there is no profile."""


class Remains(Struct, frozen=True):
    """What stays somewhere of a user who was forgotten."""

    where: str
    what: str
    seconds: int | None
    """How long at most; null where nothing limits it."""
    how: str
    """What ends it."""


class Forgotten(Struct, frozen=True, kw_only=True):
    """What became of a wish to forget a user."""

    user_id: str
    tenant: str
    partition: int
    profile_bytes: int
    """Of the profile that there was; 0 where there was none."""
    slates: int
    """In the log, of the user."""
    forgotten: bool
    """False: it is written, and no worker has done it in time."""
    took_seconds: float | None
    remains: list[Remains]


class Past:
    """Reads the log; whoever asks has a turn for it (`stream/api/turns.py`).

    Args:
        settings: of the workers.
        models: that this process follows.
    """

    def __init__(self, settings: Settings, models: Models) -> None:
        self._settings = settings
        self._models = models

    async def timeline(self, user: User, limit: int, since: int | None) -> UserTimeline:
        """The user's latest steps.

        Args:
            user: whose.
            limit: most steps.
            since: record time from which on to read, epoch milliseconds; None: all that there is.

        Raises:
            NoSuchPast: The log has nothing of the user.
        """
        settings = self._settings
        topics = (settings.slates_topic, settings.deltas_topic, settings.rewards_topic)
        partitions = await state_partitions(settings, (*topics, *settings.input_topics))
        expected = partition_of(user.key, partitions)
        told = await self._timeline(UserReader(settings, user, expected, since), user, limit)
        if not told.total and not told.waiting:
            # A producer of events may have put the user elsewhere than Kafka's own partitioner does.
            at, _, _ = await find_profile(settings, user.key.encode(), expected, partitions)
            if at != expected:
                told = await self._timeline(UserReader(settings, user, at, since), user, limit)
        if not told.total and not told.waiting:
            where = ", ".join(settings.input_topics)
            message = f"no event of {user.user_id!r} of the tenant {user.tenant!r} is in {where}"
            raise NoSuchPast(message if since is None else f"{message} since then")
        return told

    async def why(self, slate_id: str, tenant: str, *, then: bool, since: int | None) -> SlateWhy:
        """A published slate, and who speaks for its items.

        Args:
            slate_id: of the slate.
            tenant: whose slates may be shown; `*` for all.
            then: for the profile that it was decided for; else, and where that is gone, for the one of now.
            since: as in `timeline`, for the profile of then.

        Raises:
            NoSuchPast: There is no such slate, or none of this tenant, or its user was forgotten.
        """
        record = await self._slate(slate_id)
        slate = None if record is None else decode_slate(record.value or b"")
        if record is None or slate is None or not _is_shown_to(tenant, slate):
            message = f"no slate {slate_id!r} of this key's tenant is in {self._settings.slates_topic}"
            raise NoSuchPast(message)
        user = User(slate.user_id, slate.tenant)
        found = None
        if then:
            found = await self._then(UserReader(self._settings, user, record.partition, since), record, slate)
        of, why = ("then", found) if found is not None else await self._now(user, record.partition, slate)
        return SlateWhy(slate=msgspec.Raw(record.value or b""), profile=of, models="now", why=list(why))

    async def forget(self, user: User, wait_seconds: float) -> Forgotten:
        """Have the user forgotten, and say what remains.

        Raises:
            TimeoutError: It takes too long to see what there is; nothing was written.
            aiokafka.errors.KafkaError: The broker does not answer; it may have been written all the same.
        """
        settings = self._settings
        async with asyncio.timeout(settings.api_read_seconds):
            known = await look(settings, user.user_id, user.tenant)
            left = await left_behind(settings)
        took: float | None
        try:
            took = await forget(settings, known, wait_seconds=wait_seconds)
        except NotForgotten:
            took = None  # a worker does it when it gets there
        return Forgotten(
            user_id=user.user_id,
            tenant=user.tenant,
            partition=known.partition,
            profile_bytes=known.profile_bytes,
            slates=known.slates,
            forgotten=took is not None,
            took_seconds=took,
            remains=[Remains(*each) for each in left],
        )

    async def _timeline(self, reader: UserReader, user: User, limit: int) -> UserTimeline:
        settings = self._settings
        slates: deque[Record] = deque(maxlen=limit + SLATES_BEYOND)
        async for record in reader.mine(settings.slates_topic):
            slates.append(record)
        rewards: deque[bytes] = deque(maxlen=REWARDS_KEPT)
        async for record in reader.mine(settings.rewards_topic):
            if record.value is not None:
                rewards.append(record.value)
        begin = await reader.begin()
        timeline = reader.timeline(begin, lambda _profile, _slate: (), slates)
        told = Told(steps=deque(maxlen=limit))
        async for step in reader.steps(timeline, begin):
            told.add(step)
        waiting = timeline.waiting
        return UserTimeline(
            user_id=user.user_id,
            tenant=user.tenant,
            partition=reader.partition,
            read_from=reader.read_from,
            is_complete=begin.is_all,
            forgotten_at=told.forgotten_at,
            total=told.total,
            waiting=waiting.records if waiting else 0,
            profile=profile_json(timeline.profile),
            steps=steps_json(told.steps, rewards),
        )

    async def _slate(self, slate_id: str) -> Record | None:
        """The slate's record; None where there is none, or its user was forgotten since."""
        settings = self._settings
        topic, _, rest = slate_id.rpartition("-")[0].rpartition("-")
        partition, offset = _number(rest), _number(slate_id.rpartition("-")[2])
        if topic not in settings.input_topics or min(partition, offset) < 0:
            return None
        partitions = await state_partitions(settings, (settings.slates_topic, *settings.input_topics))
        if partition >= partitions:
            return None
        since = await self._time_of(topic, partition, offset)
        found: Record | None = None
        name = slate_id.encode()
        slates = read_topic(
            connection(settings),
            settings.slates_topic,
            partitions=(partition,),
            since=None if since is None else max(0, since - SLACK_MS),
        )
        async for record in slates:
            if record.value is None:
                if found is not None and record.key == found.key:
                    found = None
            elif name in record.value and decode_slate(record.value).slate_id == slate_id:
                found = record
        return found

    async def _time_of(self, topic: str, partition: int, offset: int) -> int | None:
        """Timestamp of an input record; None where it has left the log."""
        records = read_topic(connection(self._settings), topic, starts={partition: offset})
        async with aclosing(records):
            async for record in records:
                return record.timestamp if record.offset == offset else None
        return None

    async def _then(self, reader: UserReader, record: Record, slate: Slate) -> Why | None:
        """Why, for the profile of then; None where the log does not lead there."""
        begin = await reader.begin()
        timeline = reader.timeline(begin, self._explain, [record])
        async with aclosing(reader.steps(timeline, begin)) as steps:
            async for step in steps:
                if isinstance(step, Happened) and step.shown and step.shown.slate.slate_id == slate.slate_id:
                    return step.shown.why
        return None

    async def _now(self, user: User, partition: int, slate: Slate) -> tuple[str, Why]:
        """For which profile, and why."""
        value: bytes | None = None
        reader = UserReader(self._settings, user, partition, None)
        async for record in reader.mine(self._settings.profiles_topic):
            value = record.value
        return ("none", ()) if value is None else ("now", self._explain(decode_profile(value), slate))

    def _explain(self, profile: Profile, slate: Slate) -> Why:
        query = query_of(profile, slate.time, recommend_rules(self._settings))
        return explain(self._models, query, [item.item_id for item in slate.items], limit=NEIGHBOURS)


def _is_shown_to(tenant: str, slate: Slate) -> bool:
    return slate.tenant != HEARTBEAT_TENANT and tenant in {ANY_TENANT, slate.tenant}


def _number(text: str) -> int:
    """A number of a slate's id; below 0 where it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1
