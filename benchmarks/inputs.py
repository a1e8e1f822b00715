"""What the benchmarks feed: real streams where they are at hand, else a made-up one that says so."""

import gzip
import random
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import structs

from state.event import TYPE_CODES, Event, EventItem
from state.slate import Delta
from stream.event_file import EventFile

DATA: Final = Path(__file__).parents[2] / "shared" / "data"
TAOBAO: Final = "taobao/stream_2h.csv.gz"
SESSIONS: Final = "diginetica_stream"
SESSION_PERIODS: Final = (8, 9, 10, 11, 12)
"""Periods in the order they are fed; the first ones only teach the models."""
SESSION_HISTORY: Final = 160_000
"""Interactions the models know beforehand, so that sessions have neighbours as in a running shop."""
SPACING_MS: Final = 100
"""Between two events of a stream that tells no time of day."""
LESSONS: Final = 500
"""Interactions in one delta of history."""


class Input(NamedTuple):
    """One stream, cut into what warms up and what is measured."""

    name: str
    source: str
    """Where it comes from, for the report."""
    history: Sequence[Event]
    """Known to the models before the worker starts, by way of the deltas topic."""
    warm_up: Sequence[Event]
    """Processed by the job, outside the timing."""
    rounds: Sequence[Sequence[Event]]


def inputs(data: Path, names: Sequence[str], *, events: int, warm_up: int, rounds: int) -> Iterator[Input]:
    """The streams of these names, each with as many events as are asked for; laps where a file has fewer."""
    wanted = warm_up + events * rounds
    for name in names:
        source, history, stream = _stream(name, data, wanted)
        stamped = until_now([*history, *islice(laps(stream), wanted)])
        timed = stamped[len(history) :]
        yield Input(
            name,
            source,
            stamped[: len(history)],
            timed[:warm_up],
            [timed[warm_up + n * events : warm_up + (n + 1) * events] for n in range(rounds)],
        )


def _stream(name: str, data: Path, wanted: int) -> tuple[str, Sequence[Event], Sequence[Event]]:
    if name == "taobao" and (data / TAOBAO).is_file():
        return "Taobao, 2 hours of arrivals", (), list(EventFile(data / TAOBAO, "taobao"))
    if name == "sessions" and (data / SESSIONS).is_dir():
        events = list(islice(session_events(data / SESSIONS), SESSION_HISTORY + wanted))
        return "Diginetica sessions", events[:SESSION_HISTORY], events[SESSION_HISTORY:]
    return f"made-up stream, since {data} has no {name}", (), list(islice(made_up(), wanted))


def session_events(folder: Path) -> Iterator[Event]:
    """Views from lines of `session item`; a session is a user of its own."""
    count = 0
    for period in SESSION_PERIODS:
        with gzip.open(folder / f"period_{period}.txt.gz", "rt") as lines:
            for line in lines:
                session, item = line.split()
                yield _view(count, session, item, session)
                count += 1


def made_up(seed: int = 1, *, users: int = 20_000, items: int = 20_000) -> Iterator[Event]:
    """Views of skewed users and items, for ever."""
    rng = random.Random(seed)
    count = 0
    while True:
        user, item = (f"{kind}{int(n * rng.random() ** 3)}" for kind, n in (("u", users), ("i", items)))
        yield _view(count, user, item, None)
        count += 1


def _view(count: int, user: str, item: str, session: str | None) -> Event:
    return Event(
        event_id=f"e{count}",
        type="view",
        user_id=user,
        time=count * SPACING_MS,
        items=(EventItem(item),),
        session_id=session,
    )


def laps(events: Sequence[Event]) -> Iterator[Event]:
    """The events again and again; each lap is later, by other users."""
    length = events[-1].time - events[0].time + 1
    lap = 0
    while True:
        for event in events:
            if not lap:
                yield event
                continue
            yield structs.replace(
                event,
                event_id=f"{event.event_id}.{lap}",
                user_id=f"{event.user_id}.{lap}",
                time=event.time + lap * length,
            )
        lap += 1


def until_now(events: Sequence[Event]) -> Sequence[Event]:
    """All times moved by one constant, so that the last event happens now."""
    offset = time.time_ns() // 1_000_000 - max(event.time for event in events)
    return [structs.replace(event, time=event.time + offset) for event in events]


def deltas_of(events: Iterable[Event]) -> Iterator[Delta]:
    """What these events, each its user's only session, teach the models."""
    events = iter(events)
    for first in events:
        batch = [first, *islice(events, LESSONS - 1)]
        lessons = [(event, item) for event in batch for item in event.items]
        index: dict[str, int] = {}
        yield Delta(
            partition=0,
            spans=(),
            events=len(batch),
            duplicates=0,
            dead_letters=0,
            slates=0,
            item=tuple([index.setdefault(item.item_id, len(index)) for _, item in lessons]),
            items=tuple(index),
            session=tuple([1 + zlib.crc32(event.user_id.encode()) for event, _ in lessons]),
            time=tuple([event.time for event, _ in lessons]),
            type=tuple([TYPE_CODES[event.type] for event, _ in lessons]),
        )


def everything(given: Input) -> Iterator[Event]:
    """Warm-up and all rounds, in order."""
    return chain(given.warm_up, *given.rounds)
