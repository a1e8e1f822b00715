"""Small logs of events."""

import random

from state.evaluation.log import LogBuilder
from state.event import Event, EventItem
from state.session import SessionRules

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
T = 1_700_006_400_000
"""A midnight."""
RULES = SessionRules()


def turn(user, items, time, **fields):
    """A view of one item, or of several written side by side as in "a b"."""
    names = items.split()
    given = {"type": "view", "event_id": f"{user}-{time}-{items}", **fields}
    return Event(user_id=user, time=time, items=tuple(EventItem(name) for name in names), **given)


def split(events, begin):
    """Each event with whether it happened at or after `begin`."""
    return [(event, event.time >= begin) for event in events]


def log_of(events, begin):
    """The log of these events; the test period begins at `begin`."""
    builder = LogBuilder(RULES)
    for event, measured in split(events, begin):
        builder.add(event, measured=measured)
    return builder.log()


def shop(seed, *, sessions=120, items=30, days=10):
    """Sessions of one to eight views over ten days, one after the other; neighbours in number go together."""
    draw = random.Random(seed)
    events = []
    for number in range(sessions):
        begin = T + number * days * DAY // sessions
        item = draw.randrange(items)
        for step in range(draw.randint(1, 8)):
            events.append(turn(f"u{number}", f"i{item}", begin + step * MINUTE))
            item = (item + draw.choice([-2, -1, 1, 1, 2, 5])) % items if draw.random() > 0.1 else item
    return events
