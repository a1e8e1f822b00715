"""Every call of the API in words: what it is for, what it takes, what it answers.

`stream/api/openapi.py` makes the document of it; a test holds it to the routes, both ways.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from msgspec import Struct

from state.event import SCENARIOS
from state.parse import WireEvent
from state.parse_item import WireCatalogueItem
from stream.api.answers import Answer
from stream.api.context import MOST_ITEMS
from stream.api.dead_letters import Which
from stream.api.events import MOST_WAIT_SECONDS
from stream.api.ingest import Fault
from stream.api.item_search import MOST, PAGE
from stream.api.items import ItemsTold
from stream.api.judging import Question
from stream.api.keys import ADMIN, EVENTS, SLATES
from stream.api.past import Forgotten, SlateWhy, UserTimeline
from stream.api.problem import REASONS
from stream.api.recent import ItemCount
from stream.api.users import MOST_WAIT_SECONDS as MOST_FORGET_SECONDS

JSON: Final = "application/json"


class PostedEvent(WireEvent):
    """An event, as docs/events.md has it; further fields are kept."""

    time: int | float | str | None = None  # type: ignore[assignment]  # JSON also has it as text
    """Epoch milliseconds, or ISO 8601."""


class PostedItem(WireCatalogueItem):
    """An item of the catalogue, as docs/events.md has it; further fields join `attributes`."""


class EventsTold(Struct, frozen=True, kw_only=True):
    """What became of the events of a request."""

    accepted: int
    event_ids: list[str | None]
    errors: list[Fault]


class ProblemTold(Struct, frozen=True, kw_only=True):
    """Why a request was refused (RFC 9457)."""

    type: str
    title: str
    status: int
    reason: str
    detail: str
    request_id: str


class Health(Struct, frozen=True, kw_only=True):
    """The process runs."""

    healthy: bool


class Readiness(Struct, frozen=True, kw_only=True):
    """Whether requests should come here."""

    ready: bool
    reason: str


class Parameter(NamedTuple):
    """Something in the query, the path or the headers."""

    name: str
    where: str
    """`query`, `path` or `header`."""
    schema: dict[str, Any]
    text: str
    is_needed: bool = False


class Said(NamedTuple):
    """One answer."""

    text: str
    body: Any = None
    """Its type; None where it has none that a program reads."""
    media: str = JSON
    headers: tuple[str, ...] = ()


class Call(NamedTuple):
    """One method of one path."""

    method: str
    path: str
    name: str
    """Of the endpoint, and in metrics."""
    summary: str
    text: str
    right: str
    """That the key needs; empty: no key."""
    answers: dict[int, Said]
    parameters: tuple[Parameter, ...] = ()
    bodies: Mapping[str, Any] = MappingProxyType({})
    """Type by media type; None for text."""


_NUMBER: Final = {"type": "number", "exclusiveMinimum": 0}
_TEXT: Final = {"type": "string"}
_USER: Final = Parameter("user", "path", _TEXT, "As events name the user; a slash in it as %2F.", True)
_ITEM: Final = Parameter("item_id", "path", _TEXT, "A slash in it as %2F.", True)
_TENANT: Final = Parameter("tenant", "query", _TEXT, "Only for a key of all tenants; `default` if not given.")
_SCENARIO: Final = Parameter(
    "scenario",
    "query",
    {"type": "string", "enum": sorted(SCENARIOS), "default": "feed"},
    "Where it is shown.",
)
_LIMIT: Final = Parameter(
    "limit", "query", {"type": "integer", "minimum": 1, "maximum": MOST_ITEMS}, "Most items."
)
_SINCE: Final = Parameter(
    "since",
    "query",
    _TEXT,
    "ISO 8601 or epoch milliseconds: read the log from there on. Quicker; what was before is not known then.",
)
_EVENT_BODY: Final = {JSON: PostedEvent}
_REQUEST_ID: Final = Parameter(
    "X-Request-Id", "header", _TEXT, "1 to 64 of A-Z a-z 0-9 . _ ~ -; it comes back, and is in our log."
)
COMMON: Final = (_REQUEST_ID,)
"""What every call takes."""

_EVENTS: Final = (
    Call(
        "POST",
        "/v1/events",
        "post_events",
        "Send events",
        "One event, an array of them, or an object with `events`. Each is judged by itself.",
        EVENTS,
        {
            202: Said("The brokers have what was accepted.", EventsTold),
            422: Said("Every event was refused.", EventsTold),
            503: Said("Kafka did not acknowledge `not_written` ones in time.", EventsTold),
        },
        bodies={JSON: PostedEvent | list[PostedEvent]},
    ),
    Call(
        "POST",
        "/v1/recommend",
        "post_recommend",
        "Send one event, get its slate",
        "Needs the right `slates` too. `kind` says whether the slate answers this event (`fresh`), is an "
        "older one (`own`), or one for a user without any (`popular`).",
        EVENTS,
        {200: Said("A slate.", Answer, headers=("X-Event-Id",))},
        (
            Parameter("wait", "query", {**_NUMBER, "maximum": MOST_WAIT_SECONDS}, "Most seconds to wait."),
            _LIMIT,
        ),
        _EVENT_BODY,
    ),
)
_SLATES: Final = (
    Call(
        "GET",
        "/v1/slates/{user}",
        "get_slate",
        "The user's latest slate",
        "Or, for a user without one, popular items with their propensities, marked `popular`.",
        SLATES,
        {
            200: Said("A slate.", Answer, headers=("ETag", "Age", "X-Slate-Age-Ms")),
            304: Said("It is the one of `If-None-Match`."),
        },
        (
            _USER,
            _SCENARIO,
            _LIMIT,
            _TENANT,
            Parameter("If-None-Match", "header", _TEXT, "An `ETag` that was answered before."),
        ),
    ),
    Call(
        "GET",
        "/v1/stream/slates",
        "stream_slates",
        "A user's slates as they come",
        "Server-sent events: `event: slate`, the slate's id, and the slate as `GET /v1/slates` has it.",
        SLATES,
        {200: Said("A stream that does not end by itself.", None, "text/event-stream")},
        (Parameter("user", "query", _TEXT, "As events name the user.", True), _SCENARIO, _TENANT),
    ),
    Call(
        "GET",
        "/v1/slates/{slate_id}/why",
        "get_why",
        "Why a slate is as it is",
        "The slate as it was published, and who speaks for each item by the models of now.",
        ADMIN,
        {200: Said("The slate and its reasons.", SlateWhy)},
        (
            Parameter("slate_id", "path", _TEXT, "Of the slate.", True),
            Parameter(
                "profile",
                "query",
                {"type": "string", "enum": ["then", "now"], "default": "then"},
                "For which profile. `then` folds the user's log, `now` reads the latest one and is quick.",
            ),
            _SINCE,
        ),
    ),
)
_ITEMS: Final = (
    Call(
        "PUT",
        "/v1/items/{item_id}",
        "put_item",
        "Add or replace an item",
        "The whole item: what is left out is unknown afterwards.",
        ADMIN,
        {202: Said("The brokers have it.", ItemsTold), 422: Said("It was refused.", ItemsTold)},
        (_ITEM,),
        {JSON: PostedItem},
    ),
    Call(
        "DELETE",
        "/v1/items/{item_id}",
        "delete_item",
        "Withdraw an item",
        "It is recommended no more. Withdrawing one that is not there is no error.",
        ADMIN,
        {202: Said("The brokers have the tombstone.", ItemsTold), 422: Said("No id.", ItemsTold)},
        (_ITEM,),
    ),
    Call(
        "POST",
        "/v1/items",
        "post_items",
        "Add or replace many items",
        "A JSON array, JSON lines, or CSV with a header. Each is judged by itself.",
        ADMIN,
        {
            202: Said("The brokers have what was accepted.", ItemsTold),
            422: Said("Every item was refused.", ItemsTold),
            503: Said("Kafka did not acknowledge `not_written` ones in time.", ItemsTold),
        },
        bodies={JSON: list[PostedItem] | PostedItem, "application/x-ndjson": None, "text/csv": None},
    ),
)
_USERS: Final = (
    Call(
        "GET",
        "/v1/users/{user}/timeline",
        "get_timeline",
        "What a user did and was shown",
        "Events, sessions, slate differences and rewards, from the log, the newest last.",
        ADMIN,
        {200: Said("The timeline.", UserTimeline)},
        (_USER, _LIMIT._replace(text="Most steps; 100 if not given."), _SINCE, _TENANT),
    ),
    Call(
        "DELETE",
        "/v1/users/{user}",
        "delete_user",
        "Have a user forgotten",
        "Profile and slates go; the answer says what remains where, and for how long.",
        ADMIN,
        {
            200: Said("A worker has done it.", Forgotten),
            202: Said("It is written; no worker has done it in time.", Forgotten),
        },
        (
            _USER,
            Parameter("wait", "query", {**_NUMBER, "maximum": MOST_FORGET_SECONDS}, "Most seconds to wait."),
            _TENANT,
        ),
    ),
)
_FIND: Final = (
    Call(
        "GET",
        "/v1/items",
        "get_items",
        "Find items",
        "By id, or by words and category, the available ones alone.",
        SLATES,
        {200: Said("Items, how many there are in all, and the largest categories.", dict[str, Any])},
        (
            Parameter("id", "query", _TEXT, "Once or more often; then nothing else counts."),
            Parameter("query", "query", _TEXT, "Words that all must be in id, title, brand or category."),
            Parameter("category", "query", _TEXT, "The item's own."),
            Parameter("offset", "query", {"type": "integer", "minimum": 0}, "Items to pass over."),
            Parameter(
                "limit", "query", {"type": "integer", "minimum": 1, "maximum": MOST}, f"Most items; {PAGE}."
            ),
        ),
    ),
)
_WATCH: Final = (
    Call(
        "GET",
        "/v1/live",
        "get_live",
        "The last minutes, and who works",
        "Slates a second and their age for two minutes, policies and what they earn for 15, workers, "
        "partitions, lag.",
        ADMIN,
        {200: Said("What the console draws.", dict[str, Any])},
    ),
    Call(
        "GET",
        "/v1/live/items",
        "get_item_counts",
        "What items were shown and earned",
        "Since this process began to follow the log.",
        ADMIN,
        {200: Said("Counts by id.", dict[str, ItemCount])},
        (Parameter("id", "query", _TEXT, "Once or more often, 200 at most.", True),),
    ),
    Call(
        "GET",
        "/v1/policies",
        "get_policies",
        "Policies in force, and what was learned",
        "Those seen in the log of the last minutes; beliefs of learning policies, the heaviest weight first.",
        ADMIN,
        {200: Said("Policies and beliefs.", dict[str, Any])},
    ),
    Call(
        "POST",
        "/v1/policies/judge",
        "post_judge",
        "What another policy would have earned",
        "As `freshslate ope`: from the log, with intervals, and refused where the log cannot answer.",
        ADMIN,
        {200: Said("Estimates.", dict[str, Any])},
        bodies={JSON: Question},
    ),
    Call(
        "GET",
        "/v1/dead-letters",
        "get_dead_letters",
        "Dead letters that wait",
        "Counted by topic and reason, and the latest whole.",
        ADMIN,
        {200: Said("Counts and letters.", dict[str, Any])},
        (
            Parameter("reason", "query", _TEXT, "Once or more often."),
            Parameter("topic", "query", _TEXT, "Input topic that they came from."),
            Parameter("limit", "query", {"type": "integer", "minimum": 0, "maximum": 200}, "Letters; 50."),
        ),
    ),
    Call(
        "POST",
        "/v1/dead-letters/redrive",
        "post_redrive",
        "Send dead letters again",
        "Each once; those that would be refused again stay.",
        ADMIN,
        {200: Said("How many were sent.", dict[str, Any])},
        bodies={JSON: Which},
    ),
    Call(
        "POST",
        "/v1/dead-letters/drop",
        "post_drop",
        "Mark dead letters as dealt with",
        "They are listed no more.",
        ADMIN,
        {200: Said("How many were dropped.", dict[str, Any])},
        bodies={JSON: Which},
    ),
)
_PAGES: Final = (
    Call("GET", "/healthz", "healthz", "The process runs", "", "", {200: Said("It does.", Health)}),
    Call(
        "GET",
        "/readyz",
        "readyz",
        "Whether requests should come here",
        "",
        "",
        {200: Said("They should.", Readiness), 503: Said("They should not yet.", Readiness)},
    ),
    Call("GET", "/metrics", "metrics", "For Prometheus", "", "", {200: Said("Metrics.", None, "text/plain")}),
    Call("GET", "/openapi.json", "get_openapi", "This document", "", "", {200: Said("It.", dict[str, Any])}),
    Call("GET", "/docs", "get_docs", "This document to read", "", "", {200: Said("It.", None, "text/html")}),
)
CALLS: Final[tuple[Call, ...]] = (*_EVENTS, *_SLATES, *_ITEMS, *_FIND, *_USERS, *_WATCH, *_PAGES)
REASON_ENUM: Final = {"type": "string", "enum": sorted(REASONS)}
