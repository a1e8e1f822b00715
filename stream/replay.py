"""Sends a file's events to the input topics, as their producers would have, and its catalogue to `items`.

The record's Kafka timestamp is the event's time, since that is what the engine takes as its clock: a
replay at any speed then decides as the day itself did. Order is kept per user and topic.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, Literal, NamedTuple, TypeAlias

from aiokafka.errors import KafkaError
from msgspec import structs

from state.catalogue import CatalogueItem
from state.errors import FreshslateError
from state.event import Event
from stream.codecs import encode_item
from stream.config import Settings
from stream.connection import Where, connection
from stream.event_file import EventSource, Span
from stream.sender import Progress, Router, Sender, event_producer
from stream.times import now_ms
from stream.topics import TopicState, describe

Times: TypeAlias = Literal["shift", "keep"]

ITEMS_AT_ONCE: Final = 4000
"""Catalogue items sent before the broker's answers are awaited."""
TICK_SECONDS: Final = 0.005
"""Paced events are sent up to so much early, together."""


class ReplayError(FreshslateError):
    """The replay cannot be done as asked; nothing was sent, or the broker stopped it."""


class ReplayReport(NamedTuple):
    """What a replay did."""

    sent: int
    """Events, all acknowledged by the broker."""
    size: int
    """Their bytes, encoded."""
    rejects: Mapping[str, int]
    """Lines that gave no event, by reason."""
    seconds: float
    first: int | None
    """Earliest event time as sent, epoch milliseconds; None without an event."""
    last: int | None


async def replay(
    settings: Settings,
    source: EventSource,
    *,
    speed: float | None = None,
    times: Times = "shift",
    on_progress: Callable[[Progress], None] | None = None,
) -> ReplayReport:
    """Send all events of `source` to the input topics of `settings`.

    Args:
        settings: Says where: broker and inputs.
        source: The events. Reading it blocks the event loop for short times.
        speed: How many times faster than the events' own times; None for as fast as it goes.
        times: `shift` moves all event times by one constant, so that the last event happens now, or with a
            speed when it is sent. `keep` sends them as they are.
        on_progress: Called some times a second.

    Raises:
        ReplayError: The times cannot be shifted (a pipe), Kafka would delete the events for their age,
            a topic is missing, or the broker refuses a batch.
        BrokerUnreachableError: No broker answers.
    """
    if speed is not None and not speed > 0:
        message = f"speed must be above 0, not {speed:g}"
        raise ReplayError(message)
    topics = await _topics(connection(settings), settings.input_topics)
    offset = _checked_offset(source.span(), topics, speed, times)
    producer = event_producer(settings, "replay")
    sender = Sender(producer, Router(settings, topics), on_progress)
    started = time.monotonic()
    try:
        await producer.start()
        await _send_all(sender, source, offset, speed)
    except KafkaError as error:
        message = f"the broker stopped the replay: {error!r}"
        raise ReplayError(message) from error
    finally:
        await producer.stop()
        sender.forget()
    return ReplayReport(
        sender.sent,
        sender.size,
        dict(source.rejects.counts),
        time.monotonic() - started,
        sender.first,
        sender.last,
    )


async def replay_items(settings: Settings, items: Iterable[CatalogueItem]) -> int:
    """Send a catalogue to the topic `items`; returns how many items, all acknowledged by the broker.

    Raises:
        ReplayError: The topic is missing, or the broker refuses an item.
        BrokerUnreachableError: No broker answers.
    """
    source = iter(items)
    part = list(islice(source, ITEMS_AT_ONCE))
    if not part:
        return 0
    await _topics(connection(settings), (settings.items_topic,))
    producer = event_producer(settings, "replay-items")
    count = 0
    try:
        await producer.start()
        while part:
            answers = [
                await producer.send(settings.items_topic, encode_item(item), key=item.item_id.encode())
                for item in part
            ]
            await asyncio.gather(*answers)
            count += len(part)
            part = list(islice(source, ITEMS_AT_ONCE))
    except KafkaError as error:
        message = f"the broker stopped the catalogue: {error!r}"
        raise ReplayError(message) from error
    finally:
        await producer.stop()
    return count


async def _topics(broker: Where, names: Sequence[str]) -> Mapping[str, TopicState]:
    topics = await describe(broker, names)
    missing = [name for name in names if name not in topics]
    if missing:
        message = f"{', '.join(missing)}: no such topic; run `freshslate topics create`"
        raise ReplayError(message)
    return topics


def _checked_offset(
    span: Span | None, topics: Mapping[str, TopicState], speed: float | None, times: Times
) -> int:
    """What to add to every event time, after a look at whether Kafka keeps the result."""
    now = now_ms()
    offset = _offset(span, speed, now) if times == "shift" else 0
    if span is not None:
        # A shifted event is never ahead of the moment it is sent.
        last = span.last if times == "keep" else now
        for name, state in topics.items():
            refuse_unkept(span.first + offset, last, now, name, state)
    return offset


def _offset(span: Span | None, speed: float | None, now: int) -> int:
    if span is None:
        message = (
            "cannot shift the times of a pipe or of a file without events: the last time must be known "
            "before the first event is sent; use --times keep, or a file"
        )
        raise ReplayError(message)
    return shift_of(span, speed, now)


def shift_of(span: Span, speed: float | None, now: int) -> int:
    """What to add to every event time, milliseconds.

    The last event happens when it is sent: now at full speed, else once its turn comes. Slower than
    real time the first event does, as otherwise events would be sent before they happen.
    """
    length = span.last - span.first
    if speed is None:
        return now - span.last
    return now + min(round(length / speed), length) - span.last


def refuse_unkept(first: int, last: int, now: int, topic: str, state: TopicState) -> None:
    """Check that Kafka will keep events of `first` to `last`.

    Raises:
        ReplayError: The earliest is older than the topic's retention, or the latest further ahead of now
            than the broker takes.
    """
    retention = int(state.config.get("retention.ms", -1))
    age = now - first
    if "delete" in state.config.get("cleanup.policy", "delete") and 0 <= retention < age:
        message = (
            f"the events reach back {_days(age)} days, and {topic} keeps {_days(retention)}: Kafka would "
            "delete them at once. Create the topic with FRESHSLATE_EVENTS_RETENTION_SECONDS=-1, or run "
            f"kafka-configs --alter --entity-type topics --entity-name {topic} --add-config retention.ms=-1"
        )
        raise ReplayError(message)
    ahead = int(state.config.get("message.timestamp.after.max.ms", last))
    if last - now > ahead:
        message = (
            f"the latest event is {_days(last - now)} days ahead of now, and {topic} takes {_days(ahead)} "
            "(message.timestamp.after.max.ms)"
        )
        raise ReplayError(message)


def _days(milliseconds: int) -> str:
    return f"{milliseconds / 86_400_000:.1f}"


async def _send_all(sender: Sender, source: EventSource, offset: int, speed: float | None) -> None:
    events = _moved(iter(source), offset)
    if speed is None:
        for event in events:
            await sender.add(event)
    else:
        await _paced(sender, events, speed)
    await sender.finish()


def _moved(events: Iterator[Event], offset: int) -> Iterator[Event]:
    if not offset:
        return events
    return (structs.replace(event, time=event.time + offset) for event in events)


async def _paced(sender: Sender, events: Iterator[Event], speed: float) -> None:
    """Send each event at its distance from the first one, `speed` times faster; late ones at once."""
    start = time.monotonic()
    first: int | None = None
    for event in events:
        if first is None:
            first = event.time
        due = start + (event.time - first) / 1000 / speed
        wait = due - time.monotonic()
        if wait > TICK_SECONDS:
            await sender.flush()
            await asyncio.sleep(wait)
        await sender.add(event)
