"""One user's past, folded from the log: the events, the profile after them, and where slates were asked for.

The fold is an audit's (`stream/audit.py`): the same `work` on the same records, with the published slates in
place of the recommender.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Final, NamedTuple

from state.errors import FreshslateError, InvalidEvent
from state.event import Origin
from state.profile import Profile
from state.slate import Delta
from state.slates import Asked, Slates
from stream.audit import nothing_published
from stream.codecs import decode_event, encode_slate
from stream.config import Settings
from stream.connection import connection
from stream.inspection import partition_of
from stream.reading import read_topic
from stream.times import format_iso
from stream.work import Engine, Record, work
from stream.worker import event_rules, step_rules

FORGOTTEN: Final = b""
"""Stands for the encoded profile of a user who was forgotten."""


class NoSuchPast(FreshslateError):
    """There is nothing to rebuild; the message says what was looked for and what to check."""


class Decided(NamedTuple):
    """Where a slate was asked for."""

    asked: Asked
    delta: Delta
    time: int
    """Timestamp of the delta's record."""


class History(NamedTuple):
    """One user's past, folded."""

    profile: Profile
    events: int
    decided: Mapping[str, Decided]
    """By slate id."""
    written: Sequence[bytes]
    """Encoded profile after each cycle that changed it."""
    last: int
    """Index into `written` of the cycle that the moment is in; its end may lie after the moment."""


class _Witness:
    """Gives the published slates, and remembers what was asked; `state.step.Decide`."""

    def __init__(self, published: Mapping[str, bytes]) -> None:
        self._published = published
        self.asked: list[tuple[str, Asked]] = []

    def __call__(self, asked: Sequence[Asked]) -> Slates:
        """Return the published slates, an empty one where there is none."""
        values = []
        for each in asked:
            slate_id = slate_id_of(each[1].origin)
            self.asked.append((slate_id, each))
            values.append(self._published.get(slate_id) or encode_slate(nothing_published(slate_id, each[1])))
        return Slates.read(values)


class _Memory:
    """The user's profile; `stream.work.Profiles`."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Encoded profiles by key, None for a new user."""
        return [self.rows.get(key) for key in keys]


async def events_of(
    settings: Settings, key: str, user_id: str, partitions: int
) -> tuple[int, dict[str, list[Record]]]:
    """The user's partition, and the user's records by input topic."""
    expected = partition_of(key, partitions)
    others = [number for number in range(partitions) if number != expected]
    for numbers in ([expected], others):
        found: dict[int, dict[str, list[Record]]] = {}
        for topic in settings.input_topics if numbers else ():
            async for record in read_topic(connection(settings), topic, partitions=numbers):
                if is_of(record, key, user_id, settings):
                    found.setdefault(record.partition, {}).setdefault(topic, []).append(record)
        if found:
            return max(found.items(), key=lambda pair: sum(map(len, pair[1].values())))
    message = (
        f"no event of {key!r} is in {', '.join(settings.input_topics)}: is the id right, and --tenant? "
        "FRESHSLATE_EVENTS_RETENTION_SECONDS says how long events are kept: "
        f"{settings.events_retention_seconds / 86_400:g} days"
    )
    raise NoSuchPast(message)


def is_of(record: Record, key: str, user_id: str, settings: Settings) -> bool:
    """Whether a record is an event of this user."""
    value, is_own = record.value, record.topic not in settings.formats
    if value is None or (is_own and user_id.encode() not in value and b"\\" not in value):
        return False
    origin = Origin(record.topic, record.partition, record.offset, record.timestamp)
    try:
        return decode_event(value, origin, event_rules(settings), record.headers).key == key
    except InvalidEvent:
        return False


async def log_start_of(settings: Settings, partition: int) -> int | None:
    """Timestamp of the first record that the user's partition still holds."""
    times = []
    for topic in settings.input_topics:
        async for record in read_topic(connection(settings), topic, partitions=(partition,)):
            times.append(record.timestamp)
            break
    return min(times, default=None)


def check_time(key: str, inputs: Mapping[str, Sequence[Record]], at: int, log_start: int | None) -> None:
    """Make sure that the log has something of the user at that time.

    Raises:
        NoSuchPast: It has not.
    """
    times = [record.timestamp for records in inputs.values() for record in records]
    if any(time <= at for time in times):
        return
    first = min(times)
    if log_start is not None and at < log_start:
        message = (
            f"{format_iso(at)} is before the log, whose first record in this partition is of "
            f"{format_iso(log_start)}; older events are gone, and the state of then with them"
        )
    else:
        message = (
            f"at {format_iso(at)} there was nothing of {key!r}: its first event is of {format_iso(first)}; "
            "--at takes record timestamps, as `time` of a slate"
        )
    raise NoSuchPast(message)


def fold_user(
    settings: Settings,
    key: str,
    inputs: Mapping[str, Sequence[Record]],
    cycles: Sequence[tuple[Record, Delta]],
    published: Mapping[str, bytes],
    at: int,
) -> History:
    """Fold a user's events, cycle by cycle as workers took them.

    Args:
        settings: Of the workers.
        key: The user's state key.
        inputs: The user's records by topic, in offset order.
        cycles: Deltas of the user's partition, in offset order.
        published: The user's slates by id.
        at: Epoch milliseconds; the profile and the slates are those of events up to then.

    Raises:
        NoSuchPast: No cycle has taken any of these events.
    """
    memory, row = _Memory(), key.encode()
    witness = _Witness(published)
    engine = _engine(settings, witness)
    profile, events, last = Profile(), 0, -1
    decided: dict[str, Decided] = {}
    written: list[bytes] = []
    for record, delta in cycles:
        runs = _taken(inputs, delta)
        if not runs:
            continue
        until = {
            topic: kept
            for topic, run in runs.items()
            if (kept := [each for each in run if each.timestamp <= at])
        }
        if until:
            witness.asked.clear()
            result = work(delta.partition, until, memory, engine)
            decided |= {
                slate_id: Decided(asked, delta, record.timestamp) for slate_id, asked in witness.asked
            }
            profile = result.outcome.profiles.get(key, profile)
            events, last = events + result.events, len(written)
        rows = dict(work(delta.partition, runs, memory, engine).changelog)
        value = rows.get(row, memory.rows.pop(row, None))
        if value is not None:
            memory.rows[row] = value
        written.append(value or FORGOTTEN)
    if last < 0:
        message = f"no worker had taken the events of {key!r}: do workers run, and is their lag 0?"
        raise NoSuchPast(message)
    return History(profile, events, decided, written, last)


def _engine(settings: Settings, witness: _Witness) -> Engine:
    return Engine(
        decide=witness,
        events=event_rules(settings),
        step=step_rules(settings),
        writer="",
        version=version("freshslate"),
    )


def _taken(inputs: Mapping[str, Sequence[Record]], delta: Delta) -> dict[str, Sequence[Record]]:
    """What of the inputs a cycle took."""
    runs = {
        span.topic: [
            record
            for record in inputs.get(span.topic, ())
            if span.first_offset <= record.offset <= span.last_offset
        ]
        for span in delta.spans
    }
    return {topic: run for topic, run in runs.items() if run}


def slate_id_of(origin: Origin) -> str:
    """Id of the slate that the record at this place asks for."""
    return f"{origin.topic}-{origin.partition}-{origin.offset}"
