"""Snowplow's ecommerce events: what a tracker posts, and enriched events as JSON.

Sources: docs.snowplow.io/docs/events/http-requests and .../fundamentals/canonical-event (names of fields);
iglucentral.com, com.snowplowanalytics.snowplow.ecommerce (`snowplow_ecommerce_action`, `product`, `cart`,
`transaction`, `refund`); docs.snowplow.io/docs/api-reference/analytics-sdk for enriched events.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from state.fronts.fields import (
    Fields,
    Translated,
    array,
    base64_text,
    content_id,
    each,
    filled,
    first,
    item_of,
    json_text,
    needs_items,
    number,
    pass_over,
    place_of,
    reject,
    rest,
    short,
    slate_named,
    table,
    text,
)

TYPES: Final[Mapping[str, str]] = {
    "list_view": "impression",
    "list_click": "click",
    "product_view": "view",
    "add_to_cart": "add_to_cart",
    "remove_from_cart": "remove_from_cart",
    "transaction": "purchase",
    "refund": "refund",
}
"""Our types by the type of an ecommerce action."""

ECOMMERCE: Final = "com.snowplowanalytics.snowplow.ecommerce"
ACTION: Final = f"{ECOMMERCE}/snowplow_ecommerce_action"
SEARCH: Final = "com.snowplowanalytics.snowplow/site_search"
_SCHEMA: Final = re.compile(r"iglu:([\w.-]{1,200}/[\w-]{1,200})/jsonschema/1-\d{1,9}-\d{1,9}")
"""Vendor and name of the first model of a schema."""
_PAYLOAD: Final = frozenset(
    {"e", "ue_pr", "ue_px", "co", "cx", "eid", "uid", "duid", "nuid", "tnuid", "sid", "dtm", "ttm", "stm"}
)
_ATOMIC: Final = frozenset(
    {"event", "event_id", "user_id", "domain_userid", "network_userid", "domain_sessionid"}
)


class _Said(NamedTuple):
    """An event in either form."""

    schema: str | None
    """Vendor and name; None for one without."""
    data: Fields
    entities: Mapping[str, list[Any]]
    """Data of the entities, by vendor and name."""
    known: Fields
    """Our fields that need no more understanding."""
    others: Fields
    """What is kept of the rest."""


def translate(payload: Any, headers: Mapping[str, str]) -> Translated:
    """Turn the events of a tracker's request, or one enriched event, into events of ours."""
    del headers
    if isinstance(payload, dict) and "event_id" not in payload and isinstance(payload.get("data"), list):
        return each(payload["data"], lambda event, index: _event(_tracked(event), event, index))
    if isinstance(payload, dict) and "e" in payload:
        return each([payload], lambda event, index: _event(_tracked(event), event, index))
    return each([payload], lambda event, index: _event(_enriched(event), event, index))


def _event(said: _Said, event: Fields, index: int) -> list[Fields]:
    """Translate an event; `event` is all of it, as it came."""
    if said.schema == SEARCH:
        terms = array(said.data.get("terms"), "terms")
        query = " ".join(term for term in terms if isinstance(term, str))
        return [_whole(said, {"type": "search", "query": query}, event, index)]
    if said.schema != ACTION:
        pass_over(f"{short(said.schema or 'an event without a schema')} has no meaning for us")
    action = text(said.data.get("type"), "type")
    if action is None:
        reject("missing_type", "an ecommerce action without type")
    kind = TYPES.get(action)
    if kind is None:
        pass_over(f"action {short(action)} has no meaning for us")
    products = said.entities.get(f"{ECOMMERCE}/product", [])
    items = [item_of(product, ("id",), f"product[{place}]") for place, product in enumerate(products)]
    deal = _one(said, "transaction" if kind == "purchase" else "refund")
    amount = deal.get("revenue" if kind == "purchase" else "refund_amount")
    currencies = [deal, _one(said, "cart"), *items[:1]]
    name = said.data.get("name")
    slate_id = slate_named(name)
    is_deal = kind in {"purchase", "refund"}
    fields = filled(
        type=kind,
        items=items,
        slate_id=slate_id,
        position=place_of(items) if slate_id else None,
        value=number(amount, "revenue or refund_amount") if is_deal else None,
        currency=next((each["currency"] for each in currencies if each.get("currency")), None),
        order_id=deal.get("transaction_id") if is_deal else None,
    )
    whole = _whole(said, fields, event, index)
    needs_items(whole, action)
    return [whole]


def _whole(said: _Said, fields: Fields, event: Fields, index: int) -> Fields:
    others = {
        name.rpartition("/")[2]: entities
        for name, entities in said.entities.items()
        if name != f"{ECOMMERCE}/product"
    }
    kept = filled(name=said.data.get("name"), entities=others, event=said.others)
    derived = {} if "event_id" in said.known else {"event_id": content_id("snowplow", index, event)}
    return derived | said.known | fields | ({"context": {"snowplow": kept}} if kept else {})


def _one(said: _Said, name: str) -> Fields:
    """The first entity of that name."""
    entities = said.entities.get(f"{ECOMMERCE}/{name}", [])
    return table(entities[0], name) if entities else {}


def _tracked(event: Fields) -> _Said:
    """An event of the tracker protocol, all of whose values are text."""
    method = text(event.get("e"), "e")
    if method is None:
        reject("missing_type", "no e: not an event of the tracker protocol")
    if method != "ue":
        pass_over(f"events of kind {short(method)} are none of ours")
    schema, data = _inner(_decoded(event, "ue_px", "ue_pr"))
    time = number(first(event, ("ttm", "dtm")), "dtm")
    known = filled(
        event_id=event.get("eid"),
        user_id=event.get("uid"),
        anonymous_id=first(event, ("duid", "tnuid", "nuid")),
        session_id=event.get("sid"),
        time=time,
    )
    entities = _entities(table(_decoded(event, "cx", "co"), "contexts"))
    return _Said(schema, data, entities, known, rest(event, _PAYLOAD))


def _decoded(event: Fields, encoded: str, plain: str) -> Any:
    """A field that is JSON: in base 64, as text, or, from lenient senders, as it is."""
    if event.get(encoded):
        return json_text(base64_text(event[encoded], encoded), encoded)
    value = event.get(plain)
    return json_text(value, plain) if isinstance(value, str) and value else value


def _enriched(event: Fields) -> _Said:
    """An enriched event: of the Analytics SDKs, or with the JSON of its columns."""
    if not first(event, ("event_id", "event")):
        reject("wrong_type", "neither a request of a tracker nor an enriched event")
    others = rest(event, _ATOMIC)
    entities: dict[str, list[Any]] = {}
    schema: str | None = None
    data: Fields = {}
    if "unstruct_event" in event:
        schema, data = _inner(event["unstruct_event"])
    for column in ("contexts", "derived_contexts"):
        entities |= _entities(table(event.get(column), column))
    for name, value in event.items():
        if name not in _COLUMNS:
            continue
        kind, its = _COLUMNS[name]
        if kind == "unstruct_event":
            schema, data = its, table(value, name)
        else:
            entities[its] = array(value, name)
        others.pop(name)
    known = filled(
        event_id=event.get("event_id"),
        user_id=event.get("user_id"),
        anonymous_id=first(event, ("domain_userid", "network_userid")),
        session_id=event.get("domain_sessionid"),
        time=first(event, ("true_tstamp", "derived_tstamp", "collector_tstamp")),
    )
    for column in ("unstruct_event", "contexts", "derived_contexts"):
        others.pop(column, None)
    return _Said(schema, data, entities, known, filled(**others))


_OF_COMMERCE: Final = ("product", "cart", "transaction", "refund", "page", "user")
_COLUMNS: Final[Mapping[str, tuple[str, str]]] = {
    f"{kind}_{its.replace('.', '_').replace('/', '_')}_1": (kind, its)
    for kind, schemas in (
        ("unstruct_event", (ACTION, SEARCH)),
        ("contexts", [f"{ECOMMERCE}/{name}" for name in _OF_COMMERCE]),
    )
    for its in schemas
}
"""What the Analytics SDKs call a column, and what it holds: its kind, and vendor and name of its schema."""


def _inner(value: Any) -> tuple[str | None, Fields]:
    """Vendor, name and data of a self-describing event, out of its envelope."""
    envelope = table(value, "the self-describing event")
    inner = table(envelope.get("data"), "the self-describing event's data")
    if isinstance(inner.get("schema"), str) and "data" in inner:
        envelope, inner = inner, table(inner.get("data"), "the event's data")
    return _named(envelope.get("schema")), inner


def _entities(contexts: Fields) -> dict[str, list[Any]]:
    entities: dict[str, list[Any]] = {}
    for entity in array(contexts.get("data"), "contexts.data"):
        described = table(entity, "an entity")
        name = _named(described.get("schema"))
        if name is not None:
            entities.setdefault(name, []).append(described.get("data"))
    return entities


def _named(schema: Any) -> str | None:
    """Vendor and name of a schema's URI; all of it where its model is another."""
    uri = text(schema, "schema")
    if uri is None:
        return None
    found = _SCHEMA.fullmatch(uri)
    return found[1] if found else uri
