"""The learned policy against the control group, from the topics alone.

Every committed slate and every input event that is in the topics now is read once; no worker is asked.
"""

import heapq
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, TypeAlias

from aiokafka.structs import ConsumerRecord

from state.errors import FreshslateError, InvalidEvent
from state.evaluation.experiment import Experiment, ExperimentResult
from state.event import Origin
from stream.codecs import decode_event, decode_slate
from stream.config import Settings
from stream.connection import connection
from stream.reading import is_heartbeat, read_topic
from stream.topics import describe
from stream.worker import event_rules

Records: TypeAlias = AsyncIterator[ConsumerRecord[Any, Any]]

DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)")
UNITS_MS: Final = {"s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


class ExperimentError(FreshslateError):
    """There is nothing to compare; the message says where it was looked for and what to check."""


def duration_ms(text: str) -> int:
    """Milliseconds of a duration.

    Raises:
        ValueError: Not a number with a unit.

    Examples:
        >>> duration_ms("24h"), duration_ms("1.5 min")
        (86400000, 90000)
    """
    found = DURATION.fullmatch(text.strip())
    if found is None:
        message = f"{text!r} is no duration such as 90s, 30m, 24h or 7d"
        raise ValueError(message)
    return round(float(found[1]) * UNITS_MS[found[2]])


async def compare_groups(
    settings: Settings, *, since: int | None = None, until: int | None = None
) -> ExperimentResult:
    """Read slates and events from their topics, and compare users of learned and of random slates.

    Events that workers refuse are left out here too. It takes about 1 KB of memory per user.

    Args:
        settings: Of the workers.
        since: Beginning of the window, epoch milliseconds; all there is where not given.
        until: End of the window, not part of it.

    Raises:
        ExperimentError: The topics do not exist.
        BrokerUnreachableError: No broker answers.
        UnreadableState: A slate of another version.
    """
    names = (settings.slates_topic, *settings.input_topics)
    found = await describe(connection(settings), names)
    if missing := [name for name in names if name not in found]:
        message = (
            f"there is no topic {' or '.join(missing)} at {settings.broker}: are FRESHSLATE_TOPIC_PREFIX and "
            "FRESHSLATE_INPUTS those of the workers?"
        )
        raise ExperimentError(message)
    experiment = Experiment(since=since, until=until, gap_ms=settings.session_gap_seconds * 1000)
    async for record in read_topic(connection(settings), settings.slates_topic):
        if record.value is not None and not is_heartbeat(record):
            experiment.add_slate(decode_slate(record.value))
    rules = event_rules(settings)
    async for record in _inputs(settings, found[settings.input_topics[0]].partitions):
        origin = Origin(record.topic, record.partition, record.offset, record.timestamp)
        try:
            event = decode_event(record.value, origin, rules, record.headers)
        except InvalidEvent:
            continue
        if not event.is_heartbeat:
            experiment.add_event(event)
    return experiment.compare()


async def _inputs(settings: Settings, partitions: int) -> Records:
    """Every input record; a user's in time order, also where impressions and clicks are two topics."""
    topics = settings.input_topics
    if len(topics) == 1:
        async for record in read_topic(connection(settings), topics[0]):
            yield record
        return
    for partition in range(partitions):
        readers = [read_topic(connection(settings), topic, partitions=(partition,)) for topic in topics]
        async for record in in_time_order(readers):
            yield record


async def in_time_order(readers: Sequence[Records]) -> Records:
    """Merge records by their Kafka timestamp; each reader's own keep their order."""
    heap: list[tuple[int, int, ConsumerRecord[Any, Any]]] = []
    for number, reader in enumerate(readers):
        if (record := await anext(reader, None)) is not None:
            heapq.heappush(heap, (record.timestamp, number, record))
    while heap:
        _, number, record = heap[0]
        yield record
        if (following := await anext(readers[number], None)) is not None:
            heapq.heapreplace(heap, (following.timestamp, number, following))
        else:
            heapq.heappop(heap)
