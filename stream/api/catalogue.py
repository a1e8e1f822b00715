"""The catalogue as requests bring it: JSON, JSON lines or CSV, each item checked as a worker would."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from state.catalogue import CatalogueItem
from state.errors import InvalidEvent, InvalidItem
from state.parse import id_text
from state.parse_item import ITEM_RULES, parse_item
from stream.api.ingest import Fault
from stream.api.problem import problem
from stream.codecs import decode_item, encode_item
from stream.formats.csv_table import SEPARATORS

JSON: Final = "application/json"
JSON_LINES: Final = ("application/x-ndjson", "application/ndjson")
CSV: Final = "text/csv"
_TRUE: Final = frozenset({"true", "1", "yes"})
_FALSE: Final = frozenset({"false", "0", "no"})
_PARTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ATTRIBUTES: Final = msgspec.json.Decoder(dict[str, Any])

_Content: TypeAlias = bytes | dict[str, Any] | InvalidItem


class _Part(NamedTuple):
    """One item of a request, not checked yet."""

    line: int
    """Of the body, from 1; 0 where lines mean nothing."""
    content: _Content


class Entry(NamedTuple):
    """An item that can be written."""

    place: int
    """In the request, from 0."""
    item_id: str
    value: bytes | None
    """For the topic `items`; None withdraws it."""


class Checked(NamedTuple):
    """What of a request can be written, and what cannot."""

    sent: int
    """Items in the request."""
    entries: list[Entry]
    faults: list[Fault]


def read(body: bytes, kind: str, most: int) -> Checked:
    """Read the items of a body.

    Args:
        body: of the request.
        kind: its media type: `JSON`, one of `JSON_LINES`, or `CSV`.
        most: items, or lines, that one request may have.

    Raises:
        Problem: It is not of this kind as a whole, or more than `most`.
    """
    if kind == JSON:
        parts = _json(body, most)
    elif kind == CSV:
        parts = list(_csv(body, most))
    else:
        parts = list(_json_lines(body, most))
    return _checked(parts)


def read_one(key: str, body: bytes) -> Checked:
    """Read the item of this id from a body that is JSON."""
    try:
        known = id_of(key)
    except InvalidItem as error:
        return Checked(1, [], [Fault(0, error.reason, error.detail)])
    return _checked([_Part(0, body)], known)


def id_of(text: str) -> str:
    """An item's id as a path has it.

    Raises:
        InvalidItem: It cannot be one.
    """
    try:
        known = id_text(text, "item_id", ITEM_RULES)
    except InvalidEvent as error:
        raise InvalidItem(error.reason, error.detail) from None
    if known is None:
        raise InvalidItem("missing_item", "there is no id in the path")
    return known


def _checked(parts: Iterable[_Part], key: str | None = None) -> Checked:
    entries: list[Entry] = []
    faults: list[Fault] = []
    sent = 0
    for index, part in enumerate(parts):
        sent += 1
        try:
            item = _item(part.content, key)
            entries.append(Entry(index, item.item_id, _encoded(item)))
        except InvalidItem as error:
            where = f"line {part.line}: " if part.line else ""
            faults.append(Fault(index, error.reason, where + error.detail))
    return Checked(sent, entries, faults)


def _item(content: _Content, key: str | None) -> CatalogueItem:
    if isinstance(content, InvalidItem):
        raise content
    if isinstance(content, dict):
        return parse_item(key, content)
    return decode_item(None if key is None else key.encode(), content)


def _encoded(item: CatalogueItem) -> bytes:
    """The item as it is written; a worker would leave out one that is larger."""
    try:
        value = encode_item(item)
    except (RecursionError, UnicodeEncodeError, ValueError) as error:
        raise InvalidItem("wrong_value", f"it cannot be written: {error}") from None
    if len(value) > ITEM_RULES.max_bytes:
        detail = f"{len(value)} bytes; at most {ITEM_RULES.max_bytes} are allowed"
        raise InvalidItem("too_large", detail)
    return value


def _json(body: bytes, most: int) -> list[_Part]:
    """An array of items, an object with `items`, or one item."""
    try:
        if body.lstrip()[:1] == b"[":
            raws = _PARTS.decode(body)
        else:
            fields = _FIELDS.decode(body)
            is_one = "items" not in fields or "item_id" in fields
            raws = [msgspec.Raw(body)] if is_one else _PARTS.decode(fields["items"])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise problem("not_json", f"the body is no JSON object or array of objects: {error}") from None
    if len(raws) > most:
        raise _too_many(most)
    return [_Part(0, bytes(raw)) for raw in raws]


def _json_lines(body: bytes, most: int) -> Iterator[_Part]:
    """One item a line; a line that is wrong is that item's fault alone."""
    for number, line in enumerate(body.removeprefix(b"\xef\xbb\xbf").rstrip().split(b"\n", most), 1):
        if number > most:
            raise _too_many(most)
        if line.strip():
            yield _Part(number, line)


def _csv(body: bytes, most: int) -> Iterator[_Part]:
    """One item a row, by the names in the first one."""
    # What is not UTF-8 becomes surrogates, which nothing else does: so each row can be judged by itself.
    text = body.decode("utf-8-sig", "surrogateescape")
    separator = max(SEPARATORS, key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        names = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise problem("not_csv", f"the first line is no header: {error}") from None
    _check_header(names)
    for number in range(most + 1):
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield _Part(reader.line_num, InvalidItem("wrong_type", f"no CSV: {error}"))
            continue
        if number == most:
            raise _too_many(most)
        if values:
            yield _Part(reader.line_num, _row(names, values))


def _check_header(names: list[str]) -> None:
    if "item_id" not in names:
        detail = f"the first line has no column item_id; it has {', '.join(map(ascii, names[:20]))}"
        raise problem("not_csv", detail)
    twice = sorted({ascii(name) for name in names if names.count(name) > 1 or not name})
    if twice:
        raise problem("not_csv", f"the first line has columns twice, or without a name: {', '.join(twice)}")
    if not all(map(_is_utf8, names)):
        raise problem("not_csv", "the first line is not UTF-8")


def _row(names: list[str], values: list[str]) -> _Content:
    """The fields of a row; an empty cell says nothing."""
    if len(values) != len(names):
        return InvalidItem("wrong_type", f"{len(values)} columns where there are {len(names)}")
    if not all(map(_is_utf8, values)):
        return InvalidItem("not_json", "not UTF-8")
    fields: dict[str, Any] = {}
    try:
        for name, value in zip(names, values, strict=True):
            if value.strip():
                fields[name] = _cell(name, value)
    except InvalidItem as error:
        return error
    return fields


def _cell(name: str, value: str) -> Any:
    match name:
        case "price":
            return _number(value)
        case "available":
            return _truth(value)
        case "attributes":
            try:
                return _ATTRIBUTES.decode(value)
            except (msgspec.DecodeError, RecursionError) as error:
                raise InvalidItem("wrong_type", f"attributes are no JSON object: {error}") from None
        case "item_id":
            return value.strip()
    return value


def _number(value: str) -> float:
    try:
        # Python reads 1_000 as a number; no shop means that.
        return float("" if "_" in value else value)
    except ValueError:
        raise InvalidItem("wrong_type", f"price {value!a} is no number such as 19.90") from None


def _truth(value: str) -> bool:
    text = value.strip().lower()
    if text not in _TRUE | _FALSE:
        raise InvalidItem("wrong_type", f"available {value!a} is not true or false")
    return text in _TRUE


def _is_utf8(text: str) -> bool:
    return not any("\udc80" <= character <= "\udcff" for character in text)


def _too_many(most: int) -> Exception:
    return problem("too_large", f"more than {most} items in one request (FRESHSLATE_API_BATCH_EVENTS)")
