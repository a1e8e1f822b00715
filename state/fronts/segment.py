"""Segment's Spec: `track` calls of Ecommerce V2, one or a batch of them.

Sources: segment.com/docs/connections/spec/track, .../spec/common, .../spec/ecommerce/v2 and, for the older
names, .../spec/ecommerce; .../sources/catalog/libraries/server/http-api for the batch.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from state.fronts.fields import (
    Fields,
    Translated,
    array,
    content_id,
    each,
    filled,
    first,
    item_of,
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
    "products searched": "search",
    "product list viewed": "impression",
    "product list filtered": "impression",
    "product clicked": "click",
    "product viewed": "view",
    "product added": "add_to_cart",
    "wishlist product added to cart": "add_to_cart",
    "product removed": "remove_from_cart",
    "order completed": "purchase",
    "order refunded": "refund",
    "order cancelled": "refund",
    "product added to wishlist": "like",
    # Version 1 of the spec, which libraries still send.
    "viewed product category": "impression",
    "clicked product": "click",
    "viewed product": "view",
    "added product": "add_to_cart",
    "removed product": "remove_from_cart",
    "completed order": "purchase",
}
"""Our types by the name of the event, in small letters and with single spaces."""

PRODUCT_IDS: Final = ("product_id", "sku")
PRODUCT_FIELDS: Final = (
    *PRODUCT_IDS,
    "price",
    "quantity",
    "position",
    "category",
    "name",
    "brand",
    "variant",
    "coupon",
    "url",
    "image_url",
)
"""Of a product; events of one product have them beside their own."""
_MONEY: Final = ("revenue", "total")
_TIMES: Final = frozenset({"originalTimestamp", "sentAt", "receivedAt"})
"""When a call was sent and received differs for a retry; Segment's own servers add the first."""
_CALL: Final = _TIMES | {
    "type",
    "event",
    "userId",
    "anonymousId",
    "messageId",
    "timestamp",
    "properties",
    "context",
}


def translate(payload: Any, headers: Mapping[str, str]) -> Translated:
    """Turn a call, or a batch of calls, into events of ours."""
    del headers
    if isinstance(payload, dict) and "batch" in payload:
        shared = payload.get("context")
        return each(payload["batch"], partial(_call, shared=shared if isinstance(shared, dict) else None))
    return each([payload], _call)


def _call(call: Fields, index: int, shared: Fields | None = None) -> list[Fields]:
    """Translate one call; `shared` is the batch's context."""
    kind = _kind(call)
    properties = table(call.get("properties"), "properties")
    products = [
        item_of(product, PRODUCT_IDS, f"properties.products[{place}]")
        for place, product in enumerate(array(properties.get("products"), "properties.products"))
    ]
    known = {"query", "order_id", "currency", "slate_id", "products"}
    if first(properties, PRODUCT_IDS) is not None:
        known.update(PRODUCT_FIELDS)
        known.discard("products")
        product = {name: properties[name] for name in PRODUCT_FIELDS if name in properties}
        products = [item_of(product, PRODUCT_IDS, "properties")]
    value = None
    if kind in {"purchase", "refund"}:
        known.update(_MONEY)
        value = number(first(properties, _MONEY), "properties.revenue or total")
    slate_id = first(properties, ["slate_id"]) or slate_named(properties.get("list_id"))
    query = properties.get("query")
    if not isinstance(query, str):
        known.discard("query")
    said = filled(event=call["event"], properties=rest(properties, known), call=rest(call, _CALL))
    fields = filled(
        event_id=_id(call, index),
        type=kind,
        user_id=call.get("userId"),
        anonymous_id=call.get("anonymousId"),
        time=first(call, ("timestamp", "originalTimestamp")),
        items=products,
        slate_id=slate_id,
        position=place_of(products) if slate_id else None,
        value=value,
        currency=properties.get("currency"),
        order_id=properties.get("order_id"),
        query=query if isinstance(query, str) else None,
        context=(shared or {}) | table(call.get("context"), "context") | {"segment": said},
    )
    needs_items(fields, short(call["event"]))
    return [fields]


def _kind(call: Fields) -> str:
    """Our type of a call."""
    method = text(call.get("type"), "type") or ("track" if "event" in call else None)
    if method is None:
        reject("missing_type", "neither type nor event: not a call of Segment's Spec")
    if method != "track":
        pass_over(f"{short(method)} calls are no events of ours")
    name = text(call.get("event"), "event")
    if name is None:
        reject("missing_type", "a track call without event")
    kind = TYPES.get(" ".join(name.replace("_", " ").split()).lower())
    if kind is None:
        pass_over(f"event {short(name)} has no meaning for us")
    return kind


def _id(call: Fields, index: int) -> Any:
    said = first(call, ["messageId"])
    return content_id("segment", index, rest(call, _TIMES)) if said is None else said
