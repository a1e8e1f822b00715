"""`GET /v1/slates/{user}` and `GET /v1/stream/slates`: what to show a user, now and from now on."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from stream.api.answers import render, tag_of
from stream.api.context import DEFAULT_SCENARIO, Context, allowed, context_of, limit_of, scenario_of, user_of
from stream.api.keys import SLATES
from stream.api.metrics import SERVED
from stream.api.problem import problem
from stream.api.shown import popular_for
from stream.api.store import Kept
from stream.api.user import User

SILENCE_SECONDS: Final = 15.0
"""After so long without a slate a stream says that it is still there."""
JSON: Final = "application/json"
_SILENCE: Final = b": still here\n\n"


class OwnSlate(NamedTuple):
    """A user's own slate as it is answered."""

    status: int
    """200; 304 where the caller has it already."""
    headers: dict[str, str]
    body: bytes


async def get_slate(request: Request) -> Response:
    """The user's latest slate of a scenario, or a popular one that says so."""
    access = allowed(request, SLATES)
    context = context_of(request)
    user = user_of(request, access)
    scenario, limit = scenario_of(request), limit_of(request)
    kept = context.store.latest(user.key, scenario)
    if kept is not None:
        own = own_slate(context, user, kept, limit, request.headers.get("if-none-match"))
        return Response(own.body, own.status, own.headers, media_type=JSON if own.body else None)
    popular = await popular_for(context, user, scenario)
    rendered = render("popular", popular, limit)
    context.metrics.add(SERVED, 1, "popular")
    return Response(rendered.body, 200, {"Cache-Control": "no-store"}, media_type=JSON)


def own_slate(context: Context, user: User, kept: Kept, limit: int | None, known: str | None) -> OwnSlate:
    """The user's latest slate of a scenario.

    Args:
        context: what the API works with.
        user: whose.
        kept: the slate.
        limit: most items; None for all.
        known: tag of the answer that the caller has.
    """
    age = max(0, context.now() - kept.stamped)
    headers = {
        "etag": tag_of(kept, limit),
        "age": str(age // 1000),
        "x-slate-age-ms": str(age),
        "cache-control": "no-cache",
    }
    if known == headers["etag"]:
        return OwnSlate(304, headers, b"")
    context.metrics.add(SERVED, 1, "own")
    return OwnSlate(200, headers, _body(context, user, kept, limit))


def _body(context: Context, user: User, kept: Kept, limit: int | None) -> bytes:
    """The answer; a whole one is kept, since a page that is looked at asks for it again."""
    if limit is None and kept.body:
        return kept.body
    body = render("own", kept.shown(), limit).body
    if limit is None:
        context.store.keep_answer(user.key, kept, body)
    return body


async def stream_slates(request: Request) -> Response:
    """Every slate of a user from now on, as server-sent events; the latest one first."""
    access = allowed(request, SLATES)
    user_id = request.query_params.get("user", "")
    if not user_id:
        raise problem("wrong_parameter", "say whose slates: ?user=")
    request.path_params["user"] = user_id
    user = user_of(request, access)
    scenario = scenario_of(request) if "scenario" in request.query_params else None
    context = context_of(request)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        _events(context, user, scenario), headers=headers, media_type="text/event-stream"
    )


async def _events(context: Context, user: User, scenario: str | None) -> AsyncIterator[bytes]:
    with context.store.subscription(user.key) as queue:
        yield b"retry: 1000\n\n"
        latest = context.store.latest(user.key, scenario or DEFAULT_SCENARIO)
        if latest is not None:
            yield _event(context, user, latest)
        closing = asyncio.create_task(context.closing.wait())
        try:
            while not context.closing.is_set():
                kept = await _next(queue, closing)
                if kept is None:
                    yield _SILENCE
                elif scenario in {None, kept.head.scenario}:
                    yield _event(context, user, kept)
        finally:
            closing.cancel()


async def _next(queue: "asyncio.Queue[Kept]", closing: "asyncio.Task[bool]") -> Kept | None:
    """The next slate; None where there is none for a while, or the process ends."""
    getting = asyncio.create_task(queue.get())
    try:
        await asyncio.wait({getting, closing}, timeout=SILENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        return getting.result() if getting.done() else None
    finally:
        getting.cancel()


def _event(context: Context, user: User, kept: Kept) -> bytes:
    context.metrics.add(SERVED, 1, "own")
    return b"event: slate\nid: %s\ndata: %s\n\n" % (
        kept.head.slate_id.encode(),
        _body(context, user, kept, None),
    )
