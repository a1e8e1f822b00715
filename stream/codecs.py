"""Bytes on topics and in stores, values in code, and this module between.

Everything that shops read or write is JSON (`docs/events.md`); what only workers read (profiles, markers)
is msgpack. Encoders and decoders are built once. A newer writer may add fields: they are passed over,
but a version this code does not know is an error that says so.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import msgspec

from state.catalogue import CatalogueItem
from state.errors import InvalidEvent, InvalidItem, UnreadableState
from state.event import Event, EventRules, Origin
from state.fronts.front import FRONTS, LeftOut
from state.parse import KnownEvent, event_fields, known_event, parse_event
from state.parse_item import ITEM_RULES, parse_item
from state.profile import PROFILE_VERSION, Profile
from state.slate import SCHEMA_VERSION, Delta, Reward, Slate
from state.slates import WireSlate
from stream.times import parse_iso

Answer = TypeVar("Answer", Slate, Reward, Delta)
Payload = TypeVar("Payload")
Headers: TypeAlias = Iterable[tuple[str, bytes | None]]
NO_HEADERS: Final[Headers] = ()

_JSON_FIELDS: Final = msgspec.json.Decoder(dict[str, Any])
_JSON_ANY: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder()
_KNOWN_EVENT: Final = msgspec.json.Decoder(KnownEvent)
_JSON: Final = msgspec.json.Encoder()
_SLATE: Final = msgspec.json.Decoder(Slate)
_REWARD: Final = msgspec.json.Decoder(Reward)
_DELTA: Final = msgspec.json.Decoder(Delta)
_MSGPACK: Final = msgspec.msgpack.Encoder()
_MSGPACK_ANY: Final = msgspec.msgpack.Decoder()
_PROFILE: Final = msgspec.msgpack.Decoder(Profile)


class Marker(NamedTuple):
    """How far a partition's state has followed one input topic, and who wrote it."""

    offset: int
    """Offset of the last input record whose effect the state contains."""
    writer: str
    """Transactional id of the writer."""


_MARKER: Final = msgspec.msgpack.Decoder(Marker)


def decode_event(
    value: bytes | None, origin: Origin, rules: EventRules, headers: Headers = NO_HEADERS
) -> Event:
    """Turn a record's value into an event, from the format of its topic.

    Args:
        value: of the record.
        origin: of the record.
        rules: limits, and the topics that have another vendor's format.
        headers: of the record; formats of envelopes have their fields there.

    Raises:
        InvalidEvent: Whatever is wrong with it, for any bytes at all.
    """
    if rules.formats and (name := rules.formats.get(origin.topic)) is not None:
        return _decode_front(value, origin, rules, name, headers)
    if value is not None and len(value) <= rules.max_bytes:
        try:
            wire = _KNOWN_EVENT.decode(value)
        except (msgspec.DecodeError, ValueError, OverflowError, RecursionError):
            pass  # unknown fields, or a fault
        else:
            if isinstance(wire.time, str):
                wire.time = _milliseconds(wire.time)
            return known_event(wire, origin, rules)
    return decode_any_event(value, origin, rules)


def decode_any_event(value: bytes | None, origin: Origin, rules: EventRules) -> Event:
    """`decode_event` by way of a dict: keeps unknown fields, and explains what is wrong.

    Raises:
        InvalidEvent: Whatever is wrong with it.
    """
    return event_of(_json_fields(value, rules.max_bytes), origin, rules)


def _decode_front(
    value: bytes | None, origin: Origin, rules: EventRules, name: str, headers: Headers
) -> Event:
    """Read a record that is one event in another vendor's format.

    Raises:
        InvalidEvent: It is none, or several.
    """
    payload = _json(_JSON_ANY, value, rules.max_bytes)
    said = {key.lower(): text.decode(errors="replace") for key, text in headers if text is not None}
    found = FRONTS[name](payload, said)
    if len(found) != 1:
        reason, detail = "not_one_event", f"{len(found)} events of {name} in a record; it must be one"
        raise InvalidEvent(reason, detail)
    (event,) = found
    if isinstance(event, LeftOut):
        raise InvalidEvent(event.reason, f"{name}: {event.message}")
    return event_of(event, origin, rules)


def event_of(fields: dict[str, Any], origin: Origin, rules: EventRules) -> Event:
    """Turn an event's decoded fields into an event; a time that is text becomes a number in them.

    Raises:
        InvalidEvent: Whatever is wrong with it.
    """
    time = fields.get("time")
    if isinstance(time, str):
        fields["time"] = _milliseconds(time)
    return parse_event(fields, origin, rules)


def encode_event(event: Event) -> bytes:
    """Turn an event into the wire form that `decode_event` reads, unknown fields included."""
    return _JSON.encode(event_fields(event))


def decode_item(key: bytes | None, value: bytes) -> CatalogueItem:
    """Turn a record of the topic `items` into a catalogue item; a tombstone is not for here.

    Raises:
        InvalidItem: Whatever is wrong with it, for any bytes at all.
    """
    try:
        fields = _json_fields(value, ITEM_RULES.max_bytes)
        text = None if key is None else key.decode()
    except InvalidEvent as error:
        raise InvalidItem(error.reason, error.detail) from None
    except UnicodeDecodeError as error:
        reason, detail = "wrong_id", f"the key is not UTF-8: {error}"
        raise InvalidItem(reason, detail) from None
    return parse_item(text, fields)


def encode_item(item: CatalogueItem) -> bytes:
    """Turn a catalogue item into the wire form that `decode_item` reads."""
    return _JSON.encode(item)


def encode_slate(slate: Slate | WireSlate) -> bytes:
    """Turn a slate into a value for the topic `slates`."""
    return _JSON.encode(slate)


def decode_slate(value: bytes) -> Slate:
    """Read a slate.

    Raises:
        UnreadableState: Not a slate, or of a newer schema.
    """
    return _read(_SLATE, value, "slate")


def encode_reward(reward: Reward) -> bytes:
    """Turn a reward into a value for the topic `rewards`."""
    return _JSON.encode(reward)


def decode_reward(value: bytes) -> Reward:
    """Read a reward.

    Raises:
        UnreadableState: Not a reward, or of a newer schema.
    """
    return _read(_REWARD, value, "reward")


def encode_delta(delta: Delta) -> bytes:
    """Turn a delta into a value for the topic `deltas`."""
    return _JSON.encode(delta)


def decode_delta(value: bytes) -> Delta:
    """Read a delta.

    Raises:
        UnreadableState: Not a delta, or of a newer schema.
    """
    return _read(_DELTA, value, "delta")


def encode_profile(profile: Profile) -> bytes:
    """Turn a profile into a value for the changelog and the store."""
    return _MSGPACK.encode(profile)


def decode_profile(value: bytes) -> Profile:
    """Read a profile.

    Raises:
        UnreadableState: Not a profile, or of another version.
    """
    try:
        profile = _PROFILE.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = "profile"
        raise UnreadableState(what, _profile_fault(value, error)) from None
    if profile.version != PROFILE_VERSION:
        what = "profile"
        raise UnreadableState(what, _version_fault(profile.version, PROFILE_VERSION))
    return profile


def encode_marker(offset: int, writer: str) -> bytes:
    """Turn a marker's fields into its value in the changelog and the store."""
    return _MSGPACK.encode((offset, writer))


def decode_marker(value: bytes) -> Marker:
    """Read a marker.

    Raises:
        UnreadableState: Not a marker.
    """
    try:
        return _MARKER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        what = "marker"
        raise UnreadableState(what, str(error)) from None


def _milliseconds(time: str) -> int:
    """An event's time from ISO 8601."""
    try:
        return parse_iso(time)
    except (ValueError, OverflowError) as error:
        reason, detail = "wrong_time", f"time is not ISO 8601: {error}"
        raise InvalidEvent(reason, detail[:200]) from None


def _json_fields(value: bytes | None, max_bytes: int) -> dict[str, Any]:
    """The JSON object of an event's value."""
    return _json(_JSON_FIELDS, value, max_bytes)


def _json(decoder: "msgspec.json.Decoder[Payload]", value: bytes | None, max_bytes: int) -> Payload:
    if value is None:
        reason, detail = "null_value", "the record has no value; an event topic has no tombstones"
        raise InvalidEvent(reason, detail)
    if len(value) > max_bytes:
        reason, detail = "too_large", f"{len(value)} bytes; at most {max_bytes} are allowed"
        raise InvalidEvent(reason, detail)
    try:
        return decoder.decode(value)
    except msgspec.ValidationError as error:
        reason, detail = "wrong_type", str(error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason, detail = "not_json", str(error)
    raise InvalidEvent(reason, detail)


def _read(decoder: "msgspec.json.Decoder[Answer]", value: bytes, what: str) -> Answer:
    try:
        answer = decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableState(what, str(error)) from None
    if answer.schema_version > SCHEMA_VERSION:
        raise UnreadableState(what, _version_fault(answer.schema_version, SCHEMA_VERSION))
    return answer


def _profile_fault(value: bytes, error: Exception) -> str:
    """Why a profile did not decode: a newer version explains it better than a wrong type does."""
    try:
        match _MSGPACK_ANY.decode(value):
            case [int(version), *_] if version > PROFILE_VERSION:
                return _version_fault(version, PROFILE_VERSION)
    except (msgspec.DecodeError, ValueError, RecursionError):
        pass
    return str(error)


def _version_fault(found: int, known: int) -> str:
    return f"it has version {found}, this Freshslate knows version {known}"
