"""What the demo plays: the past of a small shop, then one shopper in front of a crowd.

The sample's 20 sessions share few items, so nothing would be learned from any single one of them. The demo
therefore sends most of it as the past, at full speed; the models learn it. Then the last clicks of one
shopper are played slowly enough to watch, and the other sessions again, under new names, as the traffic
around them. The shopper's own clicks are played once: nobody's model has seen them before.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import structs

from state.event import Event
from stream.event_file import EventFile

SAMPLE: Final = Path(__file__).with_name("samples") / "otto.jsonl"
CREDIT: Final = "OTTO Recommender Systems Dataset, Otto GmbH & Co KG, CC BY 4.0"
SHOPPER: Final = "otto-6"
"""Comes back to what was seen before more than the others, so that slates can be right."""
SESSION_GAP_MS: Final = 30 * 60 * 1000
CROWD_PER_SECOND: Final = 50.0
"""Events of the other shoppers a second at speed 1."""
CLICKS_PER_SECOND: Final = 1.0
"""Events of the shopper a second at speed 1."""
FEWEST, MOST = 8, 120
"""Events of the shopper that are played, however short or long the demo is."""


class Cue(NamedTuple):
    """One event and when to send it."""

    due: float
    """Seconds after the beginning."""
    event: Event
    """Its time is set when it is sent, and its session is named: the pause between two sessions is not
    played."""


class Scene(NamedTuple):
    """A whole demo."""

    past: tuple[Event, ...]
    """Sent at once, with the distances in time that they had."""
    cues: tuple[Cue, ...]
    """By `due`."""
    shopper: str

    @property
    def shown(self) -> int:
        """How many cues are the shopper's."""
        return sum(cue.event.user_id == self.shopper for cue in self.cues)


def load_sample() -> tuple[Event, ...]:
    """The sample's events in time order."""
    return tuple(EventFile(SAMPLE, "otto"))


def make_scene(events: Sequence[Event], seconds: float, *, speed: float = 1.0) -> Scene:
    """Cut the sample into past and live.

    Args:
        events: of the sample, in time order.
        seconds: how long the live part lasts.
        speed: 2 sends twice as many events a second.
    """
    named = list(_with_sessions(events))
    theirs = [event for event in named if event.user_id != SHOPPER]
    own = [event for event in named if event.user_id == SHOPPER]
    clicks = max(FEWEST, min(MOST, round(seconds * speed * CLICKS_PER_SECOND)))
    live = own[-clicks:]
    played = {event.event_id for event in live}
    past = tuple(event for event in events if event.event_id not in played)
    pause = seconds / len(live)
    cues = [Cue(number * pause, event) for number, event in enumerate(live)]
    crowd = int(seconds * speed * CROWD_PER_SECOND)
    cues += [
        Cue(number * seconds / crowd, event)
        for number, event in zip(range(crowd), _laps(theirs), strict=False)
    ]
    return Scene(past, tuple(sorted(cues, key=lambda cue: cue.due)), SHOPPER)


def _with_sessions(events: Sequence[Event]) -> Iterator[Event]:
    """Name every session, since the pauses that part them are not played."""
    last: dict[str, tuple[int, int]] = {}
    for event in events:
        time, number = last.get(event.user_id, (event.time, 1))
        number += event.time - time > SESSION_GAP_MS
        last[event.user_id] = event.time, number
        yield structs.replace(event, session_id=f"{event.user_id}-{number}")


def _laps(events: Sequence[Event]) -> Iterator[Event]:
    """The events again and again, each time by other users."""
    for lap in count(1):
        for event in events:
            yield structs.replace(
                event,
                event_id=f"{event.event_id}.lap{lap}",
                user_id=f"{event.user_id}.lap{lap}",
                session_id=f"{event.session_id}.lap{lap}",
                order_id=f"{event.order_id}.lap{lap}" if event.order_id else None,
            )
