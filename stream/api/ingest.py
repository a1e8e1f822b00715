"""Events that a request brings: checked one by one, given ids, written, and told what became of each."""

import uuid
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from state.errors import InvalidEvent
from state.event import DEFAULT_TENANT, FORGET, HEARTBEAT_TENANT, Event, EventRules, Origin
from stream.api.keys import ADMIN, ANY_TENANT, Access
from stream.api.problem import problem
from stream.codecs import decode_event, encode_event

MISSING_RIGHT: Final = "missing_right"
WRONG_TENANT: Final = "wrong_tenant"
NOT_WRITTEN: Final = "not_written"

GROWTH: Final = 4
"""How many times larger an event can become by being written: `1e15,` is then `1000000000000000.0,`."""

_PARTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_EVENTS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Fault(Struct, frozen=True):
    """Why an event was not taken."""

    index: int
    """In the request, from 0."""
    reason: str
    message: str


class Checked(NamedTuple):
    """What of a request can be written, and what cannot."""

    events: list[tuple[int, Event]]
    """With the index in the request, from 0."""
    faults: list[Fault]


def parts_of(body: bytes, most: int) -> list[bytes]:
    """The JSON of each event of a body: an object, an array of them, or an object with `events`.

    Raises:
        Problem: it is none of these, or more than `most`.
    """
    try:
        if body.lstrip()[:1] == b"[":
            parts = [bytes(raw) for raw in _PARTS.decode(body)]
        else:
            fields = _EVENTS.decode(body)
            parts = [bytes(raw) for raw in _PARTS.decode(fields["events"])] if "events" in fields else [body]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise problem("not_json", f"the body is no JSON object or array of objects: {error}") from None
    if len(parts) > most:
        detail = f"{len(parts)} events in one request; at most {most} (FRESHSLATE_API_BATCH_EVENTS)"
        raise problem("too_large", detail)
    return parts


def check(parts: Sequence[bytes], access: Access, rules: EventRules, now: int) -> Checked:
    """Read the events as a worker would.

    Events without an id get one; those without a time get `now`; a tenant that is not named is the key's.

    Args:
        parts: JSON of each event.
        access: of the request.
        rules: of the workers.
        now: epoch milliseconds.
    """
    request = f"http-{uuid.uuid4().hex}"
    checked = Checked([], [])
    for index, part in enumerate(parts):
        try:
            # Where the event has no id, it becomes the request's with the event's number.
            event = of_tenant(decode_event(part, Origin(request, 0, index, now), rules), access)
            _check_size(part, event, rules)
            checked.events.append((index, event))
        except InvalidEvent as error:
            checked.faults.append(Fault(index, error.reason, error.detail))
    return checked


def _check_size(part: bytes, event: Event, rules: EventRules) -> None:
    """Refuse what a worker would: an event is written with its id and time, and numbers may be longer then.

    Raises:
        InvalidEvent: It is too large as it is written.
    """
    if len(part) * GROWTH > rules.max_bytes and (size := len(encode_event(event))) > rules.max_bytes:
        detail = f"{size} bytes as it is written, with id and time; at most {rules.max_bytes} are allowed"
        raise InvalidEvent("too_large", detail)


def of_tenant(event: Event, access: Access) -> Event:
    """The event with the tenant of the request's key, where the event names none.

    Raises:
        InvalidEvent: The key may not send it.
    """
    if event.type == FORGET and not access.has(ADMIN):
        detail = f"to have a user forgotten needs the right {ADMIN!r}"
        raise InvalidEvent(MISSING_RIGHT, detail)
    if event.tenant == HEARTBEAT_TENANT:
        detail = f"the tenant {HEARTBEAT_TENANT!r} is the workers' own"
        raise InvalidEvent(WRONG_TENANT, detail)
    if access.tenant in {ANY_TENANT, event.tenant}:
        return event
    if event.tenant == DEFAULT_TENANT:
        return replace(event, tenant=access.tenant)
    detail = f"the key is of the tenant {access.tenant!r}, the event of {event.tenant!r}"
    raise InvalidEvent(WRONG_TENANT, detail)
