"""What the fronts share: reading a vendor's fields, and saying why one of its events is left out.

A front copies a vendor's values into fields of `docs/events.md`; whether an id, a time or a number is right
is then asked of the contract itself (`state/parse.py`), so that both refuse the same. What a front has to
understand in order to copy, it checks here.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, Final, NoReturn, TypeAlias

import msgspec
from msgspec import Struct

from state.errors import InvalidEvent, InvalidRequest

Fields: TypeAlias = dict[str, Any]
"""A JSON object."""

SLATE_LIST: Final = "slate:"
"""Begins the id of a list that is one of our slates, where a vendor has ids of lists and none of slates."""
MOST_PLACES: Final = 10_000
"""Of a list; beyond them a position is no such."""
DECIMAL: Final = re.compile(r"-?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})")
"""A number as text; commas and currency signs are not guessed at."""
JSON_NAMES: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "text",
    list: "an array",
    dict: "an object",
}
_OURS: Final = frozenset({"item_id", "quantity", "price"})
_JSON: Final = msgspec.json.Decoder()


class LeftOut(Struct, frozen=True, gc=False):
    """One of a vendor's events that is none of ours."""

    index: int
    """Its place in the payload, from 0."""
    reason: str
    """One of `state.errors.REASONS`; `passed_over` where nothing is wrong with it."""
    message: str
    """What is wrong, or why it has no meaning for us; for a person."""


Translated: TypeAlias = list[Fields | LeftOut]
"""Events of our contract in wire form (`docs/events.md`), and those that are none, in the payload's order."""


def each(events: object, one: Callable[[Fields, int], list[Fields]]) -> Translated:
    """Translate a list of events one by one.

    Args:
        events: The list, as it was decoded.
        one: Turns an event, with its place from 0, into events of ours.
    """
    if not isinstance(events, list):
        return [LeftOut(0, "wrong_type", f"expected an array of events, got {kind_of(events)}")]
    translated: Translated = []
    for index, event in enumerate(events):
        try:
            translated += one(table(event, "the event"), index)
        except InvalidEvent as error:
            translated.append(LeftOut(index, error.reason, error.detail))
        except RecursionError:
            translated.append(LeftOut(index, "wrong_value", "nested without end"))
    return translated


def reject(reason: str, detail: str) -> NoReturn:
    """Leave the event out.

    Raises:
        InvalidEvent: Always.
    """
    raise InvalidEvent(reason, detail)


def refuse(field: str, detail: str) -> NoReturn:
    """Refuse a request that wants an answer.

    Raises:
        InvalidRequest: Always.
    """
    raise InvalidRequest(field, detail)


def pass_over(what: str) -> NoReturn:
    """Leave an event out that has no meaning for us.

    Raises:
        InvalidEvent: Always.
    """
    reject("passed_over", what)


def short(value: object) -> str:
    """A piece of a value, for a message that must stay small."""
    text = ascii(value if isinstance(value, str | int | float) else kind_of(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def kind_of(value: object) -> str:
    """What JSON calls a value's type."""
    return JSON_NAMES.get(type(value), type(value).__name__)


def table(value: object, name: str) -> Fields:
    """An object; one that is absent is empty."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        reject("wrong_type", f"{name} must be an object, not {kind_of(value)}")
    return value


def array(value: object, name: str) -> list[Any]:
    """An array; one that is absent is empty."""
    if value is None:
        return []
    if not isinstance(value, list):
        reject("wrong_type", f"{name} must be an array, not {kind_of(value)}")
    return value


def text(value: object, name: str) -> str | None:
    """Text; None where it is absent or empty."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        reject("wrong_type", f"{name} must be text, not {kind_of(value)}")
    return value


def number(value: object, name: str) -> float | None:
    """A number, or text that is one; None where it is absent or empty."""
    if value is None or value == "":
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and DECIMAL.fullmatch(value.strip()):
        plain = value.strip()
        return int(plain) if "." not in plain else float(plain)
    reject("wrong_type", f"{name} {short(value)} is not a number")


def first(source: Mapping[str, Any], names: Iterable[str]) -> Any:
    """The first of these fields that is there and not empty."""
    for name in names:
        value = source.get(name)
        if value is not None and value != "":
            return value
    return None


def rest(source: Mapping[str, Any], known: Container[str]) -> Fields:
    """The other fields, as they came."""
    return {name: value for name, value in source.items() if name not in known}


def filled(**fields: Any) -> Fields:
    """These fields without those that have nothing to say."""
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}


def item_of(product: object, ids: tuple[str, ...], name: str) -> Fields:
    """An element of `items[]`; a product's other fields stay as they came.

    Args:
        product: of the vendor, with `price` and `quantity`.
        ids: names of its id, the best first.
        name: of the product, for messages.
    """
    source = table(product, name)
    known = filled(
        item_id=first(source, ids),
        quantity=number(source.get("quantity"), f"{name}.quantity"),
        price=number(source.get("price"), f"{name}.price"),
    )
    return known | rest(source, _OURS.union(ids[:1]))


def place_of(items: list[Fields]) -> int | None:
    """The `position` of an event's one item, where the vendor counts from 1; None for anything else."""
    place = number(items[0].get("position"), "position") if len(items) == 1 else None
    return int(place) if place is not None and 1 <= place <= MOST_PLACES else None


def slate_named(*lists: object) -> str | None:
    """The slate that a list's id names: `slate:` and the slate's id."""
    for value in lists:
        if isinstance(value, str) and value.startswith(SLATE_LIST) and len(value) > len(SLATE_LIST):
            return value[len(SLATE_LIST) :]
    return None


def needs_items(fields: Fields, name: str) -> None:
    """Pass over a list of which it is not said what is in it, and explain what a refund lacks."""
    if fields.get("items") or fields.get("slate_id"):
        return
    if fields["type"] == "impression":
        pass_over(f"{name} does not say what was shown")
    if fields["type"] == "refund":
        reject(
            "missing_item", f"{name} must name the items that are taken back, also where it is all of them"
        )


def content_id(vendor: str, *parts: Any) -> str:
    """An event id of what the event says: the same again for a retry, another for all else.

    Args:
        vendor: Begins the id.
        parts: JSON values.

    Raises:
        InvalidEvent: They are nested without end, or cannot be JSON.
    """
    try:
        said = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    except (RecursionError, TypeError, ValueError) as error:
        reject("wrong_value", f"it cannot be written as JSON: {short(str(error))}")
    return f"{vendor}-{hashlib.blake2b(said.encode(), digest_size=16).hexdigest()}"


def json_text(value: str | bytes, name: str) -> Any:
    """The value that JSON text within a field holds.

    Raises:
        InvalidEvent: It is not JSON.
    """
    try:
        return _JSON.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        reject("not_json", f"{name}: {short(str(error))}")


def base64_text(value: object, name: str) -> bytes:
    """The bytes of base 64 in either alphabet, with or without padding.

    Raises:
        InvalidEvent: It is none.
    """
    if not isinstance(value, str):
        reject("wrong_type", f"{name} must be text, not {kind_of(value)}")
    plain = value.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        reject("wrong_value", f"{name} is not base 64")
