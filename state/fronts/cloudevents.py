"""CloudEvents 1.0: an envelope around events of ours.

Structured mode, batches, and binary mode with headers `ce-*` (HTTP) or `ce_*` (Kafka).

Sources: github.com/cloudevents/spec, v1.0.2: spec.md, formats/json-format.md, and of bindings/
http-protocol-binding.md and kafka-protocol-binding.md.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from state.event import EVENT_TYPES
from state.fronts.fields import (
    Fields,
    LeftOut,
    Translated,
    base64_text,
    content_id,
    each,
    first,
    json_text,
    kind_of,
    pass_over,
    reject,
    rest,
    short,
    table,
    text,
)

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
_PREFIXES: Final = ("ce-", "ce_")
_JSON_TYPE: Final = re.compile(r"\s*[\w.+-]+/([\w.+-]+\+)?json\s*(;.*)?", re.IGNORECASE | re.DOTALL)
_VERSION: Final = re.compile(r"v\d{1,4}")
_ESCAPED: Final = re.compile(rb"%([0-9a-fA-F]{2})")
_DATA: Final = frozenset({"data", "data_base64"})
_DEFAULTS: Final = frozenset({"id", "time", "specversion", "datacontenttype"})


def translate(payload: Any, headers: Mapping[str, str]) -> Translated:
    """Turn a CloudEvent, or a batch of them, into events of ours."""
    content = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content == BATCH or isinstance(payload, list):
        return each(payload, _event)
    if content != STRUCTURED and (attributes := _of_headers(headers)):
        return each([payload], partial(_binary, attributes=attributes))
    if not isinstance(payload, dict):
        return [LeftOut(0, "wrong_type", f"expected a CloudEvent, got {kind_of(payload)}")]
    return each([payload], _event)


def _of_headers(headers: Mapping[str, str]) -> Fields:
    """The attributes of binary mode; none in another, though it may repeat some of them."""
    attributes = {
        name[3:]: _unescaped(value) if name.startswith("ce-") else value
        for name, value in headers.items()
        if name.startswith(_PREFIXES)
    }
    if "specversion" not in attributes:
        return {}
    return attributes | ({"datacontenttype": headers["content-type"]} if "content-type" in headers else {})


def _unescaped(value: str) -> str:
    """A value of an HTTP header without percent-encoding (HTTP binding, 3.1.3.2)."""
    escaped = value.encode("utf-8", "surrogatepass")
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), escaped).decode("utf-8", "replace")


def _binary(data: Fields, index: int, attributes: Fields) -> list[Fields]:
    """Translate the data of binary mode, whose attributes are headers."""
    return _of_ours(data, attributes, index)


def _event(event: Fields, index: int) -> list[Fields]:
    """Translate an event of the JSON format."""
    attributes = rest(event, _DATA)
    data = event.get("data")
    if event.get("data_base64") is not None:
        data = json_text(base64_text(event["data_base64"], "data_base64"), "data_base64")
    elif data is None:
        reject("wrong_type", "a CloudEvent without data")
    return _of_ours(table(data, "data"), attributes, index)


def _of_ours(data: Fields, attributes: Fields, index: int) -> list[Fields]:
    """An event of ours, with the envelope's attributes for what it does not say."""
    version = text(attributes.get("specversion"), "specversion")
    if version is None:
        reject("wrong_type", "no specversion: not a CloudEvent")
    if not version.startswith("1."):
        reject("unsupported_schema", f"specversion {short(version)}; known is 1.0")
    content = text(attributes.get("datacontenttype"), "datacontenttype")
    if content is not None and not _JSON_TYPE.fullmatch(content):
        reject("wrong_type", f"datacontenttype {short(content)}; data must be JSON")
    context = table(data.get("context"), "data.context")
    event = data | {"context": context | {"cloudevents": rest(attributes, _DEFAULTS)}}
    if first(data, ["event_id"]) is None:
        said = first(attributes, ["id"])
        event["event_id"] = content_id("cloudevents", index, attributes, data) if said is None else said
    if first(data, ["type"]) is None:
        event["type"] = _kind(attributes)
    if first(data, ["time"]) is None:
        event["time"] = attributes.get("time")
    return [event]


def _kind(attributes: Fields) -> str | None:
    """Our type by the last part of the CloudEvent's, a version behind it left out; None where it has none."""
    name = text(attributes.get("type"), "type")
    if name is None:
        return None
    parts = name.split(".")
    if len(parts) > 1 and _VERSION.fullmatch(parts[-1]):
        parts.pop()
    if parts[-1] not in EVENT_TYPES:
        pass_over(f"type {short(name)} does not end in a type of ours, and its data have none")
    return parts[-1]
