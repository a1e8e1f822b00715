"""A slate as JSON: what `GET /v1/slates` and `POST /v1/recommend` answer."""

from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import Struct

from state.slate import SlateItem
from stream.api.store import Kept, ShownSlate

Kind: TypeAlias = Literal["own", "fresh", "popular"]

_JSON: Final = msgspec.json.Encoder()


class Answer(Struct, frozen=True, kw_only=True):
    """What is answered."""

    kind: Kind
    """`own`: the user's latest slate; `fresh`: the one that answers the request's own event; `popular`: the
    user has none in this scenario, and this one is on no topic: it cannot be answered by feedback."""
    slate_id: str | None
    user_id: str
    tenant: str
    scenario: str
    time: int
    """Epoch milliseconds: of the event that asked for it."""
    trigger_event_id: str | None
    policy: str
    policy_version: str
    items: tuple[SlateItem, ...]


class Rendered(NamedTuple):
    """An answer, ready to be sent."""

    body: bytes
    etag: str


def render(kind: Kind, slate: ShownSlate, limit: int | None) -> Rendered:
    """An answer's bytes and its tag; equal tags are equal bytes.

    Args:
        kind: of the answer.
        slate: that is shown.
        limit: most items; None for all.
    """
    is_known = kind != "popular"
    items = slate.items if limit is None else slate.items[:limit]
    answer = Answer(
        kind=kind,
        slate_id=slate.slate_id if is_known else None,
        user_id=slate.user_id,
        tenant=slate.tenant,
        scenario=slate.scenario,
        time=slate.time,
        trigger_event_id=slate.trigger.event_id if is_known else None,
        policy=slate.policy,
        policy_version=slate.policy_version,
        items=items,
    )
    return Rendered(_JSON.encode(answer), tag(kind, slate.slate_id, limit))


def tag(kind: Kind, slate_id: str, limit: int | None) -> str:
    """The `ETag` of an answer."""
    return f'"{kind}-{slate_id}-{"all" if limit is None else limit}"'


def tag_of(kept: Kept, limit: int | None) -> str:
    """The `ETag` of a user's own latest slate."""
    return tag("own", kept.head.slate_id, limit)
