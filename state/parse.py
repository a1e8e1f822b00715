"""The wire contract of an event: from decoded fields to a valid `Event`, or the reason why not.

`docs/events.md` is the same contract in words. Bytes and ISO 8601 text are the codec's business
(`stream/codecs.py`); here `time` is a number already.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn, TypeAlias

from msgspec import Struct, ValidationError, convert

from state.errors import InvalidEvent
from state.event import (
    DEFAULT_TENANT,
    EVENT_TYPES,
    FORGET,
    HEARTBEAT_TENANT,
    TYPE_CODES,
    Event,
    EventItem,
    EventRules,
    Origin,
)

SCHEMA_MAJOR: Final = 1
_USUAL_SCHEMAS: Final = frozenset({None, SCHEMA_MAJOR})
EARLIEST: Final = 100_000_000_000
"""Epoch milliseconds in 1973. A smaller number is epoch seconds, sent by mistake."""
LATEST: Final = 100_000_000_000_000
"""Epoch milliseconds in 5138. A larger number is epoch microseconds, sent by mistake."""
EXACT: Final = 1 << 53
"""Up to here every JSON reader keeps a whole number exactly."""
MAX_CURRENCY: Final = 16
"""Length of `currency`, characters: ISO 4217 has three, points and coins have names."""
MAX_DEPTH: Final = 32
"""Levels of nesting in `context` and unknown fields."""
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

WireId: TypeAlias = str | int | float | None


class WireItem(Struct, gc=False):
    """One element of `items[]`."""

    item_id: WireId = None
    quantity: float | None = None
    price: float | None = None


class WireEvent(Struct, gc=False):
    """Every known field of an event, as JSON carries it."""

    event_id: WireId = None
    type: str | None = None
    user_id: WireId = None
    anonymous_id: WireId = None
    time: int | float | None = None
    tenant: WireId = None
    item_id: WireId = None
    items: tuple[WireItem, ...] | None = None
    session_id: WireId = None
    slate_id: WireId = None
    position: int | None = None
    value: float | None = None
    currency: str | None = None
    order_id: WireId = None
    query: str | None = None
    scenario: str | None = None
    context: dict[str, Any] | None = None
    schema_version: WireId = None


class KnownItem(WireItem, forbid_unknown_fields=True):
    """A `WireItem` and nothing else."""


class KnownEvent(WireEvent, forbid_unknown_fields=True):
    """A `WireEvent` and nothing else: what nearly every event is, decoded in one go."""

    time: int | float | str | None = None  # type: ignore[assignment]  # text becomes a number at once
    """Text until the codec has read it."""
    items: tuple[KnownItem, ...] | None = None


WIRE_FIELDS: Final = frozenset(WireEvent.__struct_fields__)
ITEM_FIELDS: Final = frozenset(WireItem.__struct_fields__)


def parse_event(fields: dict[str, Any], origin: Origin, rules: EventRules) -> Event:
    """Check an event's decoded fields.

    Args:
        fields: The JSON object; `time`, if given as text, already turned into epoch milliseconds.
        origin: Supplies the type (topic), the time and the event id where the event has none.
        rules: The limits.

    Raises:
        InvalidEvent: With one of `state.errors.REASONS`.
    """
    if "schema_version" in fields:
        _check_schema(fields["schema_version"])
    try:
        wire = convert(fields, WireEvent)
    except (ValidationError, OverflowError) as error:
        reason = "wrong_type"
        raise InvalidEvent(reason, str(error)) from None
    return _event(wire, fields, origin, rules)


def known_event(wire: KnownEvent, origin: Origin, rules: EventRules) -> Event:
    """`parse_event` of an event that has no unknown fields; `time` is a number."""
    if wire.schema_version not in _USUAL_SCHEMAS:
        _check_schema(wire.schema_version)
    return _event(wire, None, origin, rules)


def _event(wire: WireEvent, fields: dict[str, Any] | None, origin: Origin, rules: EventRules) -> Event:
    """Check what has the right types; `fields` are the JSON object, None where it has no unknown ones."""
    kind = _kind(wire.type, origin, rules)
    extra: dict[str, Any] = {}
    if fields is not None and not WIRE_FIELDS.issuperset(fields):
        extra = {name: value for name, value in fields.items() if name not in WIRE_FIELDS}
        _check_depth(extra, "unknown fields")
    user_id = _user(wire, extra, rules)
    slate_id = None if wire.slate_id is None else id_text(wire.slate_id, "slate_id", rules)
    items = _items(wire, fields, rules)
    if not items and not (kind in {"search", FORGET} or (kind == "impression" and slate_id is not None)):
        _reject("missing_item", f"{kind} without item_id or items")
    if wire.context:
        _check_depth(wire.context, "context")
    return Event(
        event_id=id_text(wire.event_id, "event_id", rules) or _derived_id(origin),
        type=kind,
        user_id=user_id,
        time=_time(wire.time, origin, rules),
        tenant=DEFAULT_TENANT if wire.tenant is None else _tenant(wire, origin, rules),
        items=items,
        session_id=None if wire.session_id is None else id_text(wire.session_id, "session_id", rules),
        slate_id=slate_id,
        position=None if wire.position is None else _position(wire.position, rules),
        value=None if wire.value is None else _amount(wire.value, rules),
        currency=None if wire.currency is None else _text(wire.currency, MAX_CURRENCY, "currency"),
        order_id=None if wire.order_id is None else id_text(wire.order_id, "order_id", rules),
        query=None if wire.query is None else _text(wire.query, rules.max_text, "query"),
        scenario="feed" if wire.scenario is None else _scenario(wire.scenario, rules),
        context=wire.context or {},
        extra=extra,
    )


def event_fields(event: Event) -> dict[str, Any]:
    """The wire form of an event: `parse_event` turns it into an equal event again."""
    if event.is_heartbeat:
        return heartbeat_fields(int(event.user_id), event.time)
    fields: dict[str, Any] = {
        "schema_version": SCHEMA_MAJOR,
        "event_id": event.event_id,
        "type": event.type,
        "user_id": event.user_id,
        "time": event.time,
    }
    if event.tenant != DEFAULT_TENANT:
        fields["tenant"] = event.tenant
    if event.items:
        fields["items"] = [_item_fields(item) for item in event.items]
    for name in ("session_id", "slate_id", "position", "value", "currency", "order_id", "query"):
        value = getattr(event, name)
        if value is not None:
            fields[name] = value
    fields["scenario"] = event.scenario
    if event.context:
        fields["context"] = event.context
    fields.update(event.extra)
    return fields


def _item_fields(item: EventItem) -> dict[str, Any]:
    fields: dict[str, Any] = {"item_id": item.item_id, "quantity": item.quantity}
    if item.price is not None:
        fields["price"] = item.price
    return {**fields, **item.extra}


def _reject(reason: str, detail: str) -> NoReturn:
    raise InvalidEvent(reason, detail)


def _short(value: object) -> str:
    """A piece of a value for a message that must stay small."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _check_schema(version: object) -> None:
    major = str(version).partition(".")[0] if version is not None else str(SCHEMA_MAJOR)
    if isinstance(version, (bool, list, dict)) or not (major.isascii() and major.isdigit()):
        _reject("wrong_type", f"schema_version must be a number such as 1 or 1.2, not {_short(version)}")
    if len(major) > 9 or int(major) > SCHEMA_MAJOR:
        _reject("unsupported_schema", f"schema_version {_short(version)}; known is {SCHEMA_MAJOR}.x")


def _kind(name: str | None, origin: Origin, rules: EventRules) -> str:
    kind = name or rules.topic_types.get(origin.topic)
    if kind is None:
        _reject("missing_type", f"no type, and the topic name {_short(origin.topic)} implies none")
    if kind not in TYPE_CODES and kind != FORGET:
        _reject("unknown_type", f"type {_short(kind)}; known are {', '.join(EVENT_TYPES)}")
    return kind


def _user(wire: WireEvent, extra: dict[str, Any], rules: EventRules) -> str:
    """The user, else the anonymous one; who has both keeps the second in `extra`."""
    user_id = id_text(wire.user_id, "user_id", rules)
    anonymous_id = None if wire.anonymous_id is None else id_text(wire.anonymous_id, "anonymous_id", rules)
    if user_id is None:
        if anonymous_id is None:
            _reject("missing_user", "neither user_id nor anonymous_id")
        return anonymous_id
    if anonymous_id is not None:
        extra["anonymous_id"] = anonymous_id
    return user_id


def _derived_id(origin: Origin) -> str:
    return f"{origin.topic}-{origin.partition}-{origin.offset}"


def id_text(value: WireId, name: str, rules: EventRules) -> str | None:
    """An id as text; None where it is absent, null or empty."""
    if type(value) is str and 0 < len(value) <= rules.max_id and value.isprintable():
        return value
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        if isinstance(value, float) and not (value.is_integer() and -EXACT < value < EXACT):
            _reject("wrong_id", f"{name} {value!r} is not a whole number")
        value = str(int(value))
    if len(value) > rules.max_id:
        _reject("wrong_id", f"{name} has {len(value)} characters; at most {rules.max_id} are allowed")
    if not value.isprintable() and CONTROL.search(value):
        _reject("wrong_id", f"{name} {_short(value)} has control characters")
    return value


def _tenant(wire: WireEvent, origin: Origin, rules: EventRules) -> str:
    tenant = id_text(wire.tenant, "tenant", rules) or DEFAULT_TENANT
    if "|" in tenant:
        _reject("wrong_id", f"tenant {_short(tenant)} contains '|'")
    if tenant == HEARTBEAT_TENANT:
        known = {name: value for name in WIRE_FIELDS if (value := getattr(wire, name)) is not None}
        if known != heartbeat_fields(origin.partition, known.get("time")):
            _reject("wrong_id", f"tenant {_short(tenant)} is for the workers' own heartbeats")
    return tenant


def heartbeat_fields(partition: int, time: float | None) -> dict[str, Any]:
    """The wire form of a heartbeat, all of it: a search for nothing, by nobody.

    Args:
        partition: Where it is sent.
        time: When it is sent, epoch milliseconds.
    """
    return {"tenant": HEARTBEAT_TENANT, "user_id": str(partition), "type": "search", "time": time}


def _time(value: float | None, origin: Origin, rules: EventRules) -> int:
    if not EARLIEST <= origin.time < LATEST:
        _reject("wrong_time", f"the record's Kafka timestamp {origin.time} is not in epoch milliseconds")
    if value is None:
        return origin.time
    if not EARLIEST <= value < LATEST:
        _reject("wrong_time", f"time {_short(value)} is not in epoch milliseconds (seconds, microseconds?)")
    time = int(value)
    ahead = time - origin.time
    if ahead > rules.max_ahead_ms:
        _reject("time_in_future", f"time is {ahead / 1000:.0f} s ahead of the record's timestamp")
    if -ahead > rules.max_age_ms:
        _reject("time_too_old", f"time is {-ahead / 1000:.0f} s behind the record's timestamp")
    return time


def _items(wire: WireEvent, fields: dict[str, Any] | None, rules: EventRules) -> tuple[EventItem, ...]:
    """The items of `items[]`; an `item_id` that is not among them goes first."""
    single = None if wire.item_id is None else id_text(wire.item_id, "item_id", rules)
    if not wire.items:
        return (EventItem(single),) if single is not None else ()
    if len(wire.items) > rules.max_items:
        _reject("too_many_items", f"{len(wire.items)} items; at most {rules.max_items} are allowed")
    if fields is None:
        items = [_item(item, None, index, rules) for index, item in enumerate(wire.items)]
    else:
        given = zip(wire.items, fields["items"], strict=True)
        items = [_item(item, its, index, rules) for index, (item, its) in enumerate(given)]
    if single is not None and all(item.item_id != single for item in items):
        items.insert(0, EventItem(single))
        if len(items) > rules.max_items:
            _reject("too_many_items", f"{len(items)} items; at most {rules.max_items} are allowed")
    return tuple(items)


def _item(wire: WireItem, given: dict[str, Any] | None, index: int, rules: EventRules) -> EventItem:
    item_id = id_text(wire.item_id, "item_id", rules)
    if item_id is None:
        _reject("missing_item", f"items[{index}] has no item_id")
    quantity = 1.0 if wire.quantity is None else wire.quantity
    if not 0 < quantity <= rules.max_quantity:
        _reject("wrong_value", f"items[{index}].quantity {quantity!r} is not in (0, {rules.max_quantity:g}]")
    price = wire.price
    if price is not None and not 0 <= price <= rules.max_amount:
        _reject("wrong_value", f"items[{index}].price {price!r} is not in [0, {rules.max_amount:g}]")
    if given is None or ITEM_FIELDS.issuperset(given):
        return EventItem(item_id, quantity, price)
    extra = {name: value for name, value in given.items() if name not in ITEM_FIELDS}
    _check_depth(extra, f"items[{index}]")
    return EventItem(item_id, quantity, price, extra)


def _position(value: int, rules: EventRules) -> int:
    if not 1 <= value <= rules.max_position:
        _reject("wrong_value", f"position {_short(value)} is not in [1, {rules.max_position}]")
    return value


def _amount(value: float, rules: EventRules) -> float:
    if not -rules.max_amount <= value <= rules.max_amount:
        _reject("wrong_value", f"value {value!r} is beyond {rules.max_amount:g}")
    return value


def _text(value: str, most: int, name: str) -> str:
    if len(value) > most:
        _reject("wrong_value", f"{name} has {len(value)} characters; at most {most} are allowed")
    return value


def _scenario(value: str, rules: EventRules) -> str:
    if value not in rules.scenarios:
        _reject("wrong_value", f"scenario {_short(value)}; known are {', '.join(sorted(rules.scenarios))}")
    return value


def _check_depth(fields: Mapping[str, Any], name: str) -> None:
    """Bound the nesting, so that what was decoded can be encoded again anywhere."""
    for value in fields.values():
        if isinstance(value, (dict, list)):
            break
    else:
        return
    level: list[Any] = [fields]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return
    _reject("wrong_value", f"{name} are nested deeper than {MAX_DEPTH} levels")
