"""Freshslate's own events and items, one JSON object per line, as `docs/events.md` describes them."""

from collections.abc import Iterable, Iterator
from typing import Final

from state.catalogue import CatalogueItem
from state.errors import InvalidEvent, InvalidItem
from state.event import Event, EventRules, Origin
from state.parse import EARLIEST
from stream.codecs import decode_event, decode_item
from stream.formats.base import Rejects

NO_LIMIT: Final = 1 << 60
RULES: Final = EventRules(max_ahead_ms=NO_LIMIT, max_age_ms=NO_LIMIT)
"""The engine's, but for the event's distance from now: a file may be of any day."""


def load(lines: Iterable[bytes], rejects: Rejects) -> Iterator[Event]:
    """One event per line, in the order of the file; the engine's own decoder says what is valid.

    A line without an `event_id` gets one from its number; one without a `time` is a reject.
    """
    for number, value in _values(lines):
        try:
            event = decode_event(value, Origin("jsonl", 0, number, EARLIEST), RULES)
        except InvalidEvent as bad:
            rejects.add(number, bad.reason, bad.detail)
            continue
        if event.time == EARLIEST:
            rejects.add(number, "wrong_time", "no time")
            continue
        yield event


def items(lines: Iterable[bytes], rejects: Rejects) -> Iterator[CatalogueItem]:
    """One catalogue item per line, as records of the topic `items` carry it in their value."""
    for number, value in _values(lines):
        try:
            yield decode_item(None, value)
        except InvalidItem as bad:
            rejects.add(number, bad.reason, bad.detail)


def _values(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(lines, 1):
        value = line.strip().removeprefix(b"\xef\xbb\xbf")
        if value:
            yield number, value
