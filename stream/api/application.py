"""The routes, and what goes round them."""

from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from stream.api.console import console_routes
from stream.api.context import Context, context_of
from stream.api.dead_letters import get_dead_letters, post_drop, post_redrive
from stream.api.events import post_events, post_recommend
from stream.api.fronts import front_routes
from stream.api.guard import Guard, KeyRing
from stream.api.item_search import get_items
from stream.api.items import delete_item, post_items, put_item
from stream.api.judging import get_policies, post_judge
from stream.api.limiter import Limiter
from stream.api.live import get_item_counts, get_live
from stream.api.metrics import STORE_BYTES, STORE_EVICTED, STORE_USERS, STREAMS, WAITING
from stream.api.openapi import get_openapi
from stream.api.page import get_docs
from stream.api.problem import MEDIA_TYPE, REASONS, Problem, problem
from stream.api.slates import get_slate, stream_slates
from stream.api.users import delete_user, get_timeline, get_why
from stream.web import exposition

_REASON_OF: Final = {404: "not_found", 405: "wrong_method"}


async def metrics(request: Request) -> Response:
    """For Prometheus."""
    body, headers = await exposition(
        context_of(request).metrics.registry,
        accept=request.headers.get("accept", ""),
        accept_encoding=request.headers.get("accept-encoding", ""),
    )
    return Response(body, headers=headers)


async def healthz(request: Request) -> Response:
    """The process runs."""
    del request
    return _json(200, {"healthy": True})


async def readyz(request: Request) -> Response:
    """Whether requests should come here."""
    reason = context_of(request).ready()
    return _json(503 if reason else 200, {"ready": not reason, "reason": reason})


def routes() -> list[Route]:
    """Every route but the console's; an endpoint's name is its label in metrics."""
    return [
        # Routes are tried in this order: those that are asked for most come first.
        Route("/v1/slates/{slate_id}/why", get_why, methods=["GET"]),
        Route("/v1/slates/{user:path}", get_slate, methods=["GET"]),
        Route("/v1/events", post_events, methods=["POST"]),
        Route("/v1/recommend", post_recommend, methods=["POST"]),
        Route("/v1/stream/slates", stream_slates, methods=["GET"]),
        Route("/v1/items", get_items, methods=["GET"]),
        Route("/v1/live", get_live, methods=["GET"]),
        Route("/v1/live/items", get_item_counts, methods=["GET"]),
        Route("/v1/policies", get_policies, methods=["GET"]),
        Route("/v1/policies/judge", post_judge, methods=["POST"]),
        Route("/v1/dead-letters", get_dead_letters, methods=["GET"]),
        Route("/v1/dead-letters/redrive", post_redrive, methods=["POST"]),
        Route("/v1/dead-letters/drop", post_drop, methods=["POST"]),
        # Ids may have slashes.
        Route("/v1/items/{item_id:path}", put_item, methods=["PUT"]),
        Route("/v1/items/{item_id:path}", delete_item, methods=["DELETE"]),
        Route("/v1/items", post_items, methods=["POST"]),
        Route("/v1/users/{user:path}/timeline", get_timeline, methods=["GET"]),
        Route("/v1/users/{user:path}", delete_user, methods=["DELETE"]),
        Route("/openapi.json", get_openapi, methods=["GET"]),
        Route("/docs", get_docs, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
        Route("/healthz", healthz, methods=["GET"]),
        Route("/readyz", readyz, methods=["GET"]),
    ]


def application(context: Context, keys: KeyRing, limiter: Limiter) -> ASGIApp:
    """The API, ready to be served.

    Args:
        context: What endpoints work with.
        keys: In force.
        limiter: Of requests.
    """
    settings = context.settings
    around = []
    if settings.api_cors_origins:
        around.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.api_cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type", "X-Request-Id"],
                expose_headers=["ETag", "X-Request-Id", "X-Slate-Age-Ms"],
            )
        )
    made = Starlette(
        routes=[*routes(), *front_routes(), *console_routes()],
        middleware=around,
        exception_handlers={Problem: _refused, HTTPException: _http, Exception: _failed},
    )
    made.state.context = context
    context.metrics.before_scrape(lambda: _look(context))
    return Guard(made, keys, limiter, context.metrics)


def _look(context: Context) -> None:
    store, shown = context.store, context.metrics
    shown.set(STORE_USERS, len(store))
    shown.set(STORE_BYTES, store.size)
    shown.set(STORE_EVICTED, store.evicted)
    shown.set(STREAMS, store.subscribers)
    shown.set(WAITING, context.writer.waiting)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return Response(error.body(request.state.request_id), error.status, error.headers, MEDIA_TYPE)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    reason = _REASON_OF.get(error.status_code, "wrong_parameter")
    if REASONS[reason] != error.status_code:
        return _refused(request, Problem(error.status_code, reason, error.detail, error.headers))
    details = {
        "not_found": f"there is no {request.url.path} here; docs/http.md has every call",
        "wrong_method": f"{request.method} is not for {request.url.path}",
    }
    headers = {"Allow": ", ".join(_methods(request))} if reason == "wrong_method" else error.headers
    return _refused(request, Problem(error.status_code, reason, details[reason], headers))


def _methods(request: Request) -> list[str]:
    """What the path can be asked for; Starlette says it of the first route alone."""
    fitting = [
        route
        for route in request.app.routes
        if isinstance(route, Route) and route.path_regex.match(request.url.path)
    ]
    return sorted({method for route in fitting for method in route.methods or ()})


def _failed(request: Request, error: Exception) -> Response:
    del error  # the guard logs it
    return _refused(request, problem("internal", "the fault is ours; the log has more under this request id"))


def _json(status: int, body: object) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
