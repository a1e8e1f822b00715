"""GA4 Measurement Protocol: the body of a `POST /mp/collect`.

Sources: developers.google.com/analytics/devguides/collection/protocol/ga4/sending-events, .../reference and
.../reference/events; .../collection/ga4/ecommerce for when which event is sent.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from state.fronts.fields import (
    Fields,
    LeftOut,
    Translated,
    array,
    content_id,
    each,
    filled,
    first,
    item_of,
    kind_of,
    needs_items,
    number,
    pass_over,
    reject,
    rest,
    short,
    slate_named,
    table,
    text,
)

TYPES: Final[Mapping[str, str]] = {
    "view_item_list": "impression",
    "select_item": "click",
    "view_item": "view",
    "add_to_cart": "add_to_cart",
    "remove_from_cart": "remove_from_cart",
    "purchase": "purchase",
    "refund": "refund",
    "search": "search",
    "view_search_results": "search",
    "add_to_wishlist": "like",
}
"""Our types by the name of the event."""

_PARAMS: Final = frozenset(
    {"items", "value", "currency", "transaction_id", "search_term", "session_id", "slate_id", "event_id"}
)
_BODY: Final = frozenset(
    {"events", "client_id", "app_instance_id", "user_id", "timestamp_micros", "user_data"}
)
"""`user_data` is hashed mail addresses and the like, for advertisers: it is not kept."""
MICROSECONDS: Final = 1000
"""Of a millisecond."""


def translate(payload: Any, headers: Mapping[str, str]) -> Translated:
    """Turn the events of a request into events of ours."""
    del headers
    if not isinstance(payload, dict):
        return [LeftOut(0, "wrong_type", f"expected an object with events, got {kind_of(payload)}")]
    if "events" not in payload:
        return [LeftOut(0, "wrong_type", "no events: not a request of the Measurement Protocol")]
    return each(payload["events"], partial(_event, body=payload))


def _event(event: Fields, index: int, body: Mapping[str, Any]) -> list[Fields]:
    """Translate one event of a request."""
    name = text(event.get("name"), "name")
    if name is None:
        reject("missing_type", "an event without name")
    kind = TYPES.get(name)
    if kind is None:
        pass_over(f"event {short(name)} has no meaning for us")
    params = table(event.get("params"), "params")
    items = [
        item_of(item, ("item_id",), f"params.items[{place}]")
        for place, item in enumerate(array(params.get("items"), "params.items"))
    ]
    lists = [params.get("item_list_id"), *(item.get("item_list_id") for item in items[:1])]
    micros = first(event, ["timestamp_micros"]) or first(body, ["timestamp_micros"])
    who = {name: body.get(name) for name in ("user_id", "client_id", "app_instance_id")}
    transaction = params.get("transaction_id")
    fields = filled(
        event_id=_id(kind, params) or content_id("ga4", index, who, micros, event),
        type=kind,
        user_id=who["user_id"],
        anonymous_id=first(body, ("client_id", "app_instance_id")),
        time=_milliseconds(micros),
        items=items,
        session_id=params.get("session_id"),
        slate_id=first(params, ["slate_id"]) or slate_named(*lists),
        value=number(params.get("value"), "params.value"),
        currency=params.get("currency"),
        order_id=transaction,
        query=params.get("search_term"),
        context={"ga4": filled(name=name, params=rest(params, _PARAMS), request=rest(body, _BODY))},
    )
    needs_items(fields, name)
    return [fields]


def _id(kind: str, params: Fields) -> Any:
    """The event's own id: a parameter of ours, or the transaction of a purchase, of which there is one."""
    if (own := first(params, ["event_id"])) is not None:
        return own
    transaction = params.get("transaction_id")
    is_id = isinstance(transaction, str | int) and not isinstance(transaction, bool) and transaction != ""
    return f"ga4-purchase-{transaction}" if kind == "purchase" and is_id else None


def _milliseconds(micros: Any) -> int | None:
    value = number(micros, "timestamp_micros")
    if value is None:
        return None
    if not -1e18 < value < 1e18:
        reject("wrong_time", f"timestamp_micros {short(micros)} is not in epoch microseconds")
    return int(value) // MICROSECONDS
