"""What shoppers did: the event, as the engine sees it after decoding.

The wire form (JSON, field names, defaults) is described in `docs/events.md`; `stream/codecs.py`
turns bytes into fields, `state/parse.py` turns fields into the values below, and nothing
further in knows about either.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from msgspec import Struct, field

EVENT_TYPES: Final = (
    "impression",
    "view",
    "click",
    "add_to_cart",
    "remove_from_cart",
    "purchase",
    "refund",
    "search",
    "like",
    "skip",
)
"""Every event type; the index of a type is its code in profiles and deltas, so append only."""

TYPE_CODES: Final[Mapping[str, int]] = {name: code for code, name in enumerate(EVENT_TYPES)}

FORGET: Final = "forget"
"""Type of the record that has a user forgotten. Not one of `EVENT_TYPES`: no shopper did it, so it
has no code and no count, is no activity and asks for no slate."""

POSITIVE_TYPES: Final = frozenset({"view", "click", "add_to_cart", "purchase", "like"})
"""Types that say "this user turned to this item": they enter sessions, history and deltas."""

ACTIVITY_TYPES: Final = frozenset(EVENT_TYPES) - {"refund"}
"""Types that show the shopper at the screen: they extend, begin and end sessions. A refund is booked
by the shop, days later and at its own time."""

DEFAULT_TENANT: Final = "default"

HEARTBEAT_TENANT: Final = "freshslate-heartbeat"
"""Tenant of the workers' heartbeats: events that go the whole way to a slate, and teach nobody anything. The
user is the number of the partition. No other event may have this tenant."""

TOPIC_TYPES: Final[Mapping[str, str]] = {
    "impressions": "impression",
    "views": "view",
    "clicks": "click",
    "carts": "add_to_cart",
    "cart_removals": "remove_from_cart",
    "purchases": "purchase",
    "orders": "purchase",
    "refunds": "refund",
    "searches": "search",
    "likes": "like",
    "skips": "skip",
}
"""Type of an event that names none, by the name of its topic."""

SCENARIOS: Final = frozenset({"feed", "search", "live", "video", "product", "cart"})
"""Where a slate is shown; a closed set, since it labels metrics."""


class Origin(NamedTuple):
    """Where a record stood in the log, and when the broker's log says it was written."""

    topic: str
    partition: int
    offset: int
    time: int
    """Kafka record timestamp, epoch milliseconds: the engine's `now` for this record, so that a
    replay of the log decides the same."""


class EventItem(Struct, frozen=True, gc=False):
    """One item of an event."""

    item_id: str
    quantity: float = 1.0
    price: float | None = None
    """Price of one piece, in the event's `currency`."""
    extra: Mapping[str, Any] = {}
    """Unknown wire fields of this item, kept as they came."""


class Event(Struct, frozen=True, kw_only=True, gc=False):
    """One decoded and validated event."""

    event_id: str
    """Unique per user within the dedupe window (see `Profile.seen`)."""
    type: str
    """One of `EVENT_TYPES`, or `FORGET`."""
    user_id: str
    """`user_id`, or `anonymous_id` where there is no user."""
    time: int
    """Event time, epoch milliseconds; the record's Kafka timestamp where the event has none."""
    tenant: str = DEFAULT_TENANT
    items: tuple[EventItem, ...] = ()
    """At most `EventRules.max_items`; never empty but for a search, an impression with a `slate_id`,
    or `FORGET`."""
    session_id: str | None = None
    slate_id: str | None = None
    position: int | None = None
    """1-based position in the slate that the user acted on."""
    value: float | None = None
    currency: str | None = None
    order_id: str | None = None
    query: str | None = None
    scenario: str = "feed"
    context: Mapping[str, Any] = {}
    extra: Mapping[str, Any] = {}
    """Unknown wire fields, kept as they came; and `anonymous_id` where there is a `user_id` too."""

    @property
    def key(self) -> str:
        """Key of this user's state, slates and rewards."""
        return state_key(self.tenant, self.user_id)

    @property
    def is_heartbeat(self) -> bool:
        """Whether a worker sent it, to see it answered; nobody did anything."""
        return self.tenant == HEARTBEAT_TENANT


class Inbound(NamedTuple):
    """An event and where it stood in the log."""

    event: Event
    origin: Origin


class EventRules(Struct, frozen=True, kw_only=True):
    """Limits an event must keep to.

    Raises:
        ValueError: A limit makes no sense.
    """

    max_bytes: int = 65_536
    """Size of a record's value, bytes."""
    max_items: int = 100
    """Items of one event."""
    max_id: int = 256
    """Length of an id, characters."""
    max_text: int = 1_024
    """Length of `query`, characters."""
    max_amount: float = 1e12
    """Bound of `value`, either sign, and of `price`."""
    max_quantity: float = 1e6
    max_position: int = 10_000
    max_ahead_ms: int = 60 * 60 * 1000
    """How far an event's time may lie ahead of its record's Kafka timestamp."""
    max_age_ms: int = 30 * 24 * 60 * 60 * 1000
    """How far an event's time may lie behind its record's Kafka timestamp."""
    topic_types: Mapping[str, str] = field(default_factory=lambda: TOPIC_TYPES)
    formats: Mapping[str, str] = {}
    """Names of other vendors' formats (`state.fronts.front.FRONTS`), by topic; all others have our own."""
    scenarios: frozenset[str] = SCENARIOS

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_items", "max_id", "max_position", "max_age_ms"):
            if getattr(self, name) < 1:
                message = f"{name} must be at least 1, not {getattr(self, name)}"
                raise ValueError(message)
        unknown = sorted(set(self.topic_types.values()) - set(EVENT_TYPES))
        if unknown:
            message = f"topic_types names unknown event types: {', '.join(unknown)}"
            raise ValueError(message)


def state_key(tenant: str, user_id: str) -> str:
    """Key of a user's state: the bare user for the default tenant, else `tenant|user`.

    Tenants never contain `|`, and a default-tenant user that does is written in the long form, so
    two users never share a key.
    """
    if tenant == DEFAULT_TENANT and "|" not in user_id:
        return user_id
    return f"{tenant}|{user_id}"
