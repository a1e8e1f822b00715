"""Slates, events and profiles for the tests of what awaits feedback."""

from base64 import b64encode

from msgspec import UNSET

from state.attribution import open_slate
from state.event import Event, EventItem
from state.policy.context import CONTEXT_SET, CONTEXT_SIZE
from state.profile import NEW_PROFILE
from state.reward import MINUTE_MS, RewardRules
from state.shortest import as_double
from state.slate import Pool, Slate, SlateItem, Trigger

RULES = RewardRules()
T = 1_700_000_000_000


def context_of(item_id):
    """A made-up context of an item; its bias is 1."""
    return bytes((255, *item_id.encode()[:1])) + bytes(CONTEXT_SIZE - 2)


def pool(*items, context_set=CONTEXT_SET):
    """Candidates with contexts."""
    contexts = b"".join(map(context_of, items))
    return Pool(items, (1.0,) * len(items), b64encode(contexts).decode(), context_set)


def slate(offset, *items, time=T, scenario="feed", pool=UNSET):
    """A slate of these items with propensities .9, .81, ... of float32, as they are read."""
    return Slate(
        slate_id=f"events-0-{offset}",
        user_id="u",
        tenant="shop",
        scenario=scenario,
        time=time,
        trigger=Trigger(f"e{offset}", time, "events", 0, offset),
        policy="softmax",
        policy_version="9c47385b",
        seed=offset,
        candidates=60,
        candidates_hash="0" * 16,
        items=tuple(
            SlateItem(item, position, 1.0, as_double(0.9**position), ())
            for position, item in enumerate(items, start=1)
        ),
        pool=pool,
    )


def event(type_, *items, time=T + MINUTE_MS, event_id="x:1", **fields):
    lines = tuple(item if isinstance(item, EventItem) else EventItem(item) for item in items)
    return Event(event_id=event_id, type=type_, user_id="u", tenant="shop", time=time, items=lines, **fields)


def profile(*slates, rules=RULES):
    result = NEW_PROFILE
    for each in slates:
        result = open_slate(result, each, rules)
    return result


def only(things):
    (thing,) = things
    return thing
