"""What an operator asks of one user: the timeline, why a slate is as it is, to have the user forgotten."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from state.errors import InvalidEvent
from state.event import FORGET, HEARTBEAT_TENANT, Origin
from stream.api.context import allowed, context_of, limit_of, number_of, user_of
from stream.api.keys import ADMIN
from stream.api.past import NoSuchPast, Past
from stream.api.problem import problem
from stream.api.user import User
from stream.codecs import decode_event
from stream.inspection import InspectionError
from stream.times import parse_iso

STEPS: Final = 100
"""Steps of a timeline where the request says nothing."""
WAIT_SECONDS: Final = 10.0
"""How long to wait for a worker to forget a user, where the request says nothing."""
MOST_WAIT_SECONDS: Final = 60.0
GRACE_SECONDS: Final = 10.0
"""That writing the wish, and the last look for what came of it, may take beyond the wait."""
_JSON: Final = "application/json"
_THEN: Final = {"then": True, "now": False}


async def get_timeline(request: Request) -> Response:
    """The user's events, sessions, slate differences and rewards, from the log."""
    user = _user(request)
    limit, since = limit_of(request) or STEPS, _since(request)
    async with _reading(request, "ask for less with ?since=") as past:
        return _json(200, await past.timeline(user, limit, since))


async def get_why(request: Request) -> Response:
    """A slate as it was published, and who speaks for its items."""
    access = allowed(request, ADMIN)
    profile = request.query_params.get("profile", "then")
    if profile not in _THEN:
        raise problem("wrong_parameter", f"profile={profile!r} is neither then nor now")
    since = _since(request)
    slate_id = request.path_params["slate_id"]
    async with _reading(request, "ask for less with ?since=, or ?profile=now, which is quick") as past:
        return _json(200, await past.why(slate_id, access.tenant, then=_THEN[profile], since=since))


async def delete_user(request: Request) -> Response:
    """Have the user forgotten; 202 where no worker has done it in time."""
    user = _user(request)
    wait = number_of(request, "wait", MOST_WAIT_SECONDS) or WAIT_SECONDS
    async with _reading(request, waits=wait + GRACE_SECONDS) as past:
        told = await past.forget(user, wait)
    return _json(200 if told.forgotten else 202, told)


def _user(request: Request) -> User:
    """The user in the path, as events can name one.

    Raises:
        Problem: No event can.
    """
    user = user_of(request, allowed(request, ADMIN))
    if user.tenant == HEARTBEAT_TENANT:
        raise problem("wrong_tenant", f"the tenant {HEARTBEAT_TENANT!r} is the workers' own")
    fields = {"event_id": "x", "type": FORGET, "user_id": user.user_id, "tenant": user.tenant}
    context = context_of(request)
    try:
        event = decode_event(msgspec.json.encode(fields), Origin("http", 0, 0, context.now()), context.rules)
    except InvalidEvent as error:
        raise problem("wrong_parameter", f"no event can be of this user: {error.detail}") from None
    return User(event.user_id, event.tenant)


def _since(request: Request) -> int | None:
    """The time in the query, epoch milliseconds.

    Raises:
        Problem: It is none.
    """
    text = request.query_params.get("since")
    if text is None:
        return None
    try:
        since = int(text) if text.isascii() and text.isdigit() else parse_iso(text)
    except (ValueError, OverflowError):
        since = -1
    if not 0 <= since < 1 << 62:
        detail = f"since={text!r} is neither ISO 8601 nor epoch milliseconds; a + in it must be written %2B"
        raise problem("wrong_parameter", detail)
    return since


@asynccontextmanager
async def _reading(request: Request, hint: str = "", *, waits: float = 0.0) -> AsyncIterator[Past]:
    """The log, for one request; what goes wrong there becomes a problem."""
    context = context_of(request)
    try:
        async with context.turns.turn(hint, waits=waits):
            yield context.past
    except NoSuchPast as error:
        raise problem("not_found", str(error)) from None
    except InspectionError as error:
        raise problem("internal", str(error)) from None


def _json(status: int, body: Any) -> Response:
    return Response(msgspec.json.encode(body), status, {"Cache-Control": "no-store"}, media_type=_JSON)
