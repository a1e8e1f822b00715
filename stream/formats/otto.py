"""OTTO Recommender Systems Dataset: per line a session, `{"session", "events": [{"aid", "ts", "type"}]}`.

A session is a user here, since the data set has no users and its sessions last for weeks. Orders of
one moment are one purchase.

The file lists session after session; a stream is in time order. The sessions are merged by time as
they are read, which needs memory only for what is still to come of the sessions begun, because the
file is sorted by the sessions' first event. Within a session the order is always right.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

import msgspec

from state.event import Event, EventItem
from stream.formats.base import Rejects, baskets, part_id

TYPES: Final[Mapping[str, str]] = {"clicks": "click", "carts": "add_to_cart", "orders": "purchase"}
MAX_WAITING: Final = 2_000_000
"""Events held back for the merge, about 1 GB; beyond that the earliest go out, and order across
sessions is no longer exact."""


class Action(msgspec.Struct):
    """One event of a session."""

    aid: int | str
    ts: int
    """Epoch milliseconds."""
    type: str


class Session(msgspec.Struct):
    """One line."""

    session: int | str
    events: list[Action]


_SESSION: Final = msgspec.json.Decoder(Session)


def load(lines: Iterable[bytes], rejects: Rejects, *, max_waiting: int = MAX_WAITING) -> Iterator[Event]:
    """The events of all sessions, merged by time."""
    waiting: list[tuple[int, int, int, Event]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            session = _SESSION.decode(line)
        except msgspec.DecodeError as error:
            reason = "wrong_type" if isinstance(error, msgspec.ValidationError) else "not_json"
            rejects.add(number, reason, error)
            continue
        known = _known(session.events, number, rejects)
        if known:
            while waiting and waiting[0][0] < known[0].ts:
                yield heapq.heappop(waiting)[-1]
        for order, event in enumerate(_events(session.session, known, number)):
            heapq.heappush(waiting, (event.time, number, order, event))
        while len(waiting) > max_waiting:
            yield heapq.heappop(waiting)[-1]
    while waiting:
        yield heapq.heappop(waiting)[-1]


def _known(actions: Sequence[Action], line: int, rejects: Rejects) -> list[Action]:
    """The actions that we have a type for, by time."""
    known = []
    for action in actions:
        if action.type not in TYPES:
            rejects.add(line, "unknown_type", f"type {action.type!r}; known are {', '.join(TYPES)}")
        elif action.ts <= 0:
            rejects.add(line, "wrong_time", f"ts {action.ts}")
        else:
            known.append(action)
    return sorted(known, key=lambda action: action.ts)


def _events(session: int | str, actions: Sequence[Action], line: int) -> Iterator[Event]:
    number = 0
    for (ts, kind), group in groupby(actions, lambda action: (action.ts, TYPES[action.type])):
        items = [EventItem(str(action.aid)) for action in group]
        parts = baskets(items) if kind == "purchase" else enumerate((item,) for item in items)
        for _, part in parts:
            yield Event(
                event_id=part_id(f"otto-{line}", number),
                type=kind,
                user_id=f"otto-{session}",
                time=ts,
                items=part,
                order_id=f"otto-{session}-{ts}" if kind == "purchase" else None,
            )
            number += 1
