"""Taobao user behaviour (Tianchi 649): `user_id,item_id,category_id,behavior,timestamp`.

With or without a header line, and also as JSON lines with the time as `ts` in ISO 8601 or
`timestamp` in epoch seconds. The files are in time order already.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from state.catalogue import CatalogueItem
from state.event import Event, EventItem
from stream.formats.base import BadLine, Rejects, milliseconds, required, text_of
from stream.times import parse_iso

TYPES: Final[Mapping[str, str]] = {"pv": "view", "cart": "add_to_cart", "fav": "like", "buy": "purchase"}
COLUMNS: Final = ("user_id", "item_id", "category_id", "behavior", "timestamp")


class Row(NamedTuple):
    """One interaction."""

    user_id: str
    item_id: str
    category_id: str
    behavior: str
    time: int


class Message(msgspec.Struct):
    """The same as JSON."""

    user_id: str | int
    item_id: str | int
    behavior: str
    category_id: str | int = ""
    ts: str | None = None
    timestamp: str | int | None = None


_MESSAGE: Final = msgspec.json.Decoder(Message)


def load(lines: Iterable[bytes], rejects: Rejects) -> Iterator[Event]:
    """One event per line; `category_id` goes to the context."""
    for number, line in enumerate(lines, 1):
        try:
            row = _message(line) if line.startswith(b"{") else _columns(text_of(line), number)
            if row is None:
                continue
            kind = TYPES.get(row.behavior)
            if kind is None:
                rejects.add(
                    number, "unknown_type", f"behavior {row.behavior!r}; known are {', '.join(TYPES)}"
                )
                continue
        except BadLine as bad:
            rejects.add(number, bad.reason, bad.detail)
            continue
        yield Event(
            event_id=f"taobao-{number}",
            type=kind,
            user_id=row.user_id,
            time=row.time,
            items=(EventItem(row.item_id),),
            context={"category_id": row.category_id} if row.category_id else {},
        )


def items(lines: Iterable[bytes], rejects: Rejects) -> Iterator[CatalogueItem]:
    """Each item with its latest category."""
    categories = {event.items[0].item_id: event.context.get("category_id") for event in load(lines, rejects)}
    for item, category in categories.items():
        yield CatalogueItem(item_id=item, category=category)


def _columns(text: str, number: int) -> Row | None:
    """A CSV line; None for a header or an empty line. No field of this file needs quotes."""
    if not text or (number == 1 and text.startswith(COLUMNS[0])):
        return None
    fields = text.split(",")
    if len(fields) != len(COLUMNS):
        reason = "wrong_columns"
        raise BadLine(reason, f"{len(fields)} columns where {','.join(COLUMNS)} is expected")
    user, item, category, behavior, seconds = fields
    return Row(
        required(user, "user_id"), required(item, "item_id"), category, behavior, milliseconds(seconds)
    )


def _message(line: bytes) -> Row:
    try:
        message = _MESSAGE.decode(line)
    except msgspec.DecodeError as error:
        reason = "wrong_type" if isinstance(error, msgspec.ValidationError) else "not_json"
        raise BadLine(reason, error) from None
    return Row(
        required(str(message.user_id), "user_id"),
        required(str(message.item_id), "item_id"),
        str(message.category_id),
        message.behavior,
        _time(message),
    )


def _time(message: Message) -> int:
    if message.ts is None:
        return milliseconds(str(message.timestamp))
    try:
        return parse_iso(message.ts)
    except (ValueError, OverflowError) as error:
        reason = "wrong_time"
        raise BadLine(reason, error) from None
