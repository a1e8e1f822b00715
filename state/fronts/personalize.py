"""Amazon Personalize: `PutEvents`, `PutItems` and `PutUsers` in, recommendations and rankings out.

Sources: the service models `personalize-events` 2018-03-22 and `personalize-runtime` 2018-05-22 of botocore,
and docs.aws.amazon.com/personalize/latest/dg (API_UBS_PutEvents, recording-item-interaction-events,
ECOMMERCE-datasets-and-schemas, API_RS_GetRecommendations, API_RS_GetPersonalizedRanking).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from state.event import SCENARIOS
from state.fronts.fields import (
    Fields,
    LeftOut,
    Translated,
    array,
    content_id,
    each,
    filled,
    first,
    json_text,
    kind_of,
    number,
    pass_over,
    refuse,
    reject,
    rest,
    short,
    table,
    text,
)

TYPES: Final[Mapping[str, str]] = {
    "click": "click",
    "clicked": "click",
    "itemclicked": "click",
    "select": "click",
    "view": "view",
    "viewed": "view",
    "detailpageview": "view",
    "productviewed": "view",
    "watch": "view",
    "watched": "view",
    "play": "view",
    "listen": "view",
    "addtocart": "add_to_cart",
    "cart": "add_to_cart",
    "productadded": "add_to_cart",
    "removefromcart": "remove_from_cart",
    "productremoved": "remove_from_cart",
    "purchase": "purchase",
    "purchased": "purchase",
    "buy": "purchase",
    "order": "purchase",
    "ordercompleted": "purchase",
    "refund": "refund",
    "like": "like",
    "liked": "like",
    "favorite": "like",
    "addtowishlist": "like",
    "skip": "skip",
    "dislike": "skip",
    "search": "search",
    "impression": "impression",
}
"""Our types by event type, which is the shop's own text: in small letters, letters and digits alone.

View, Purchase and Watch are those of the domain recipes."""

MOST_RESULTS: Final = 500
"""Items of one answer, at most."""
DEFAULT_RESULTS: Final = 25
_BODY: Final = frozenset({"trackingId", "userId", "sessionId", "eventList"})
_EVENT: Final = frozenset(
    {"eventId", "eventType", "itemId", "sentAt", "properties", "impression", "recommendationId"}
)
_TITLES: Final = ("title", "name", "productName", "itemName")
_CATEGORIES: Final = ("categoryL1", "categoryL2", "categoryL3")
MILLISECONDS: Final = 1000


def translate(payload: Any, headers: Mapping[str, str]) -> Translated:
    """Turn a `PutEvents` request into events of ours; one with `impression` is two, what was shown first."""
    del headers
    if not isinstance(payload, dict) or "eventList" not in payload:
        return [LeftOut(0, "wrong_type", "no eventList: not a PutEvents request")]
    return each(payload["eventList"], partial(_event, body=payload))


def _event(event: Fields, index: int, body: Mapping[str, Any]) -> list[Fields]:
    """Translate one event of a request."""
    name = text(event.get("eventType"), "eventType")
    if name is None:
        reject("missing_type", "an event without eventType")
    properties = _properties(event.get("properties"))
    kind = TYPES.get("".join(char for char in name.lower() if char.isalnum()))
    if kind is None:
        pass_over(f"eventType {short(name)} has no meaning for us")
    event_id = first(event, ["eventId"])
    if event_id is None:
        event_id = content_id("personalize", index, body.get("userId"), body.get("sessionId"), event)
    shared = _shared(event, body)
    shown = [{"item_id": item_id} for item_id in array(event.get("impression"), "impression")]
    item_id, value = (_either(event, properties, name) for name in ("itemId", "eventValue"))
    is_deal = kind in {"purchase", "refund"}
    known = {"itemId", "query"} | ({"eventValue"} if is_deal else set())
    context = filled(type=name, properties=rest(properties, known), event=rest(event, _EVENT | known))
    act = shared | filled(
        event_id=event_id,
        type=kind,
        items=shown if kind == "impression" and shown else [] if item_id is None else [{"item_id": item_id}],
        value=number(value, "eventValue") if is_deal else None,
        query=properties.get("query") if kind == "search" else None,
        context={"personalize": context},
    )
    if kind == "impression" or not shown:
        return [act]
    return [shared | {"event_id": f"{event_id}-impression", "type": "impression", "items": shown}, act]


def _shared(event: Fields, body: Mapping[str, Any]) -> Fields:
    """What an event and its impression have alike."""
    user_id, session_id = first(body, ["userId"]), first(body, ["sessionId"])
    seconds = number(event.get("sentAt"), "sentAt")
    if seconds is not None and not -1e15 < seconds < 1e15:
        reject("wrong_time", f"sentAt {short(event['sentAt'])} is not in epoch seconds")
    return filled(
        user_id=user_id,
        # Before they log in, Personalize knows shoppers by their session.
        anonymous_id=session_id if user_id is None else None,
        session_id=session_id,
        time=None if seconds is None else round(seconds * MILLISECONDS),
        slate_id=event.get("recommendationId"),
    )


def _either(event: Fields, properties: Fields, name: str) -> Any:
    """A field of the event, else, as older requests have it, of its properties."""
    own = first(event, [name])
    return first(properties, [name]) if own is None else own


def _properties(value: Any) -> Fields:
    """A map that is JSON text on the wire."""
    return table(
        json_text(value, "properties") if isinstance(value, str) and value else value or None, "properties"
    )


def items(payload: Any) -> Translated:
    """Turn a `PutItems` request into records of the catalogue (docs/events.md, Items)."""
    if not isinstance(payload, dict) or "items" not in payload:
        return [LeftOut(0, "wrong_type", "no items: not a PutItems request")]
    return each(payload["items"], _item)


def _item(item: Fields, index: int) -> list[Fields]:
    del index
    if first(item, ["itemId"]) is None:
        reject("missing_item", "an item without itemId")
    properties = _properties(item.get("properties"))
    levels = [str(properties[name]) for name in _CATEGORIES if first(properties, [name]) is not None]
    category = first(properties, ["category", "genres", "genre"])
    known = {*_TITLES, *_CATEGORIES, "category", "brand", "price"}
    return [
        filled(
            item_id=item["itemId"],
            title=first(properties, _TITLES),
            # Of several categories, which Personalize parts by a bar, the first.
            category="/".join(levels) or (category.partition("|")[0] if isinstance(category, str) else None),
            brand=properties.get("brand"),
            price=number(properties.get("price"), "properties.price"),
            attributes=rest(properties, known),
        )
    ]


def users(payload: Any) -> Translated:
    """Pass over a `PutUsers` request: what a shopper is like is learned from what the shopper does."""
    if not isinstance(payload, dict) or not isinstance(payload.get("users"), list):
        return [LeftOut(0, "wrong_type", "no users: not a PutUsers request")]
    said = "users have no properties here"
    return [LeftOut(index, "passed_over", said) for index in range(len(payload["users"]))]


class Shown(Protocol):
    """An item of a slate."""

    @property
    def item_id(self) -> str:
        """Of the catalogue."""
        ...

    @property
    def score(self) -> float:
        """What the policy went by."""
        ...


class Asked(NamedTuple):
    """What a request for recommendations or for a ranking asks for."""

    user_id: str
    scenario: str
    """That the campaign's or recommender's name says; `feed` where it names none."""
    most: int
    """Items of the answer, at most; [0, 500]."""
    ranked: tuple[str, ...] = ()
    """Items that are to be ranked, each once; none in a request for recommendations."""


def asked_recommendations(payload: Any) -> Asked:
    """Read a `GetRecommendations` request.

    Raises:
        InvalidRequest: It is none, or asks for what cannot be given.
    """
    body = _request(payload)
    most = DEFAULT_RESULTS if body.get("numResults") is None else body["numResults"]
    if not isinstance(most, int) or isinstance(most, bool) or not 0 <= most <= MOST_RESULTS:
        refuse("numResults", f"must be a whole number in [0, {MOST_RESULTS}]")
    return Asked(_user(body), _scenario(first(body, ("campaignArn", "recommenderArn"))), most)


def asked_ranking(payload: Any) -> Asked:
    """Read a `GetPersonalizedRanking` request.

    Raises:
        InvalidRequest: It is none, or asks for what cannot be given.
    """
    body = _request(payload)
    given = body.get("inputList")
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_RESULTS:
        refuse("inputList", f"must be an array of 1 to {MOST_RESULTS} item ids")
    if not all(isinstance(item_id, str) and item_id for item_id in given):
        refuse("inputList", "item ids are text that is not empty")
    return Asked(_user(body), _scenario(body.get("campaignArn")), MOST_RESULTS, tuple(dict.fromkeys(given)))


def _request(payload: Any) -> Fields:
    if not isinstance(payload, dict):
        refuse("body", f"must be an object, not {kind_of(payload)}")
    for name in ("filterArn", "promotions"):
        if payload.get(name):
            # Without it, items would come that the caller asked not to have.
            refuse(name, "is not known here; say it as a business rule (docs/rules.md)")
    return payload


def _user(body: Fields) -> str:
    user_id = body.get("userId")
    if not isinstance(user_id, str) or not user_id:
        refuse("userId", "is needed, as text: what goes with an item alone is not answered")
    return user_id


def _scenario(arn: Any) -> str:
    """The scenario that is the last part of a campaign's or recommender's name."""
    if arn is not None and not isinstance(arn, str):
        refuse("campaignArn or recommenderArn", f"must be text, not {kind_of(arn)}")
    name = (arn or "").rpartition("/")[2]
    return name if name in SCENARIOS else "feed"


def recommendations(slate_id: str | None, items: Sequence[Shown], most: int) -> Fields:
    """The answer to `GetRecommendations`.

    Args:
        slate_id: Becomes the `recommendationId`; None for a slate that is on no topic.
        items: of the slate.
        most: items of the answer.
    """
    listed = [{"itemId": item.item_id, "score": item.score} for item in items[:most]]
    return {"itemList": listed} | filled(recommendationId=slate_id)


def ranking(slate_id: str | None, items: Sequence[Shown], ranked: Sequence[str]) -> Fields:
    """The answer to `GetPersonalizedRanking`: items of the slate in its order, then the others as they came.

    Args:
        slate_id: Becomes the `recommendationId`; None for a slate that is on no topic.
        items: of the slate.
        ranked: item ids of the request, each once.
    """
    wanted = frozenset(ranked)
    listed: list[Fields] = [
        {"itemId": item.item_id, "score": item.score} for item in items if item.item_id in wanted
    ]
    known = {item.item_id for item in items}
    listed += [{"itemId": item_id} for item_id in ranked if item_id not in known]
    return {"personalizedRanking": listed} | filled(recommendationId=slate_id)


STATUS: Final[Mapping[str, int]] = {
    "InvalidInputException": 400,
    "ValidationException": 400,
    "AccessDeniedException": 403,
    "ResourceNotFoundException": 404,
    "ResourceInUseException": 409,
    "ThrottlingException": 429,
    "InternalFailure": 500,
    "ServiceUnavailable": 503,
}
"""HTTP status of each error; the first and the two of resources are in the service's models, the others in
docs.aws.amazon.com/personalize/latest/dg/CommonErrors.html."""


class ErrorAnswer(NamedTuple):
    """An error as clients of AWS read it."""

    status: int
    headers: Mapping[str, str]
    body: Fields


def error(kind: str, message: str) -> ErrorAnswer:
    """An error's answer; `kind` is one of `STATUS`."""
    return ErrorAnswer(STATUS[kind], {"x-amzn-ErrorType": kind}, {"__type": kind, "message": message})
