"""Azure Personalizer's calls: `Rank`, `Reward` and `Activate` (docs/fronts.md)."""

import uuid
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from state.errors import InvalidRequest
from state.fronts import azure as front
from state.fronts.azure import Decision
from stream.api.context import DEFAULT_SCENARIO, allowed, context_of
from stream.api.keys import EVENTS, SLATES
from stream.api.problem import Problem
from stream.api.shown import shown_to
from stream.api.translated import payload_of, write
from stream.api.user import User

_CODES: Final = {404: "ResourceNotFound", 500: "InternalServerError"}

Endpoint = Callable[[Request], Awaitable[Response]]


def azure_routes(prefix: str) -> list[Route]:
    """Routes of version 1.0."""
    base = f"{prefix}/personalizer/v1.0"
    return [
        Route(f"{base}/rank", post_rank, methods=["POST"]),
        Route(f"{base}/events/{{event_id}}/reward", post_reward, methods=["POST"]),
        Route(f"{base}/events/{{event_id}}/activate", post_activate, methods=["POST"]),
    ]


def in_words_of_azure(endpoint: Endpoint) -> Endpoint:
    """The endpoint, with errors as clients of Azure read them."""

    @wraps(endpoint)
    async def answered(request: Request) -> Response:
        try:
            return await endpoint(request)
        except InvalidRequest as error:
            status, body = front.error_answer("BadRequest", str(error), error.field)
        except Problem as error:
            _, body = front.error_answer(_CODES.get(error.status, "BadRequest"), error.detail)
            status = error.status
        return Response(msgspec.json.encode(body), status, media_type="application/json")

    return answered


@in_words_of_azure
async def post_rank(request: Request) -> Response:
    """Choose one of the caller's actions by the user's latest slate."""
    access = allowed(request, SLATES)
    allowed(request, EVENTS)
    context = context_of(request)
    asked = front.asked(await payload_of(request))
    event_id = asked.event_id or uuid.uuid4().hex
    user = User(asked.user_id or f"azure-{event_id}", access.own_tenant)
    kind, slate = await shown_to(context, user, DEFAULT_SCENARIO)
    preferred = [item.item_id for item in slate.items]
    ranked = front.rank(asked, preferred, event_id, epsilon=context.settings.epsilon)
    is_of_slate = kind == "own" and ranked.chosen in preferred
    decision = Decision(event_id, user.user_id, ranked.chosen, slate.slate_id if is_of_slate else None)
    if not asked.is_deferred:
        await write(context, access, [front.activated(decision)])
    context.decisions.keep(access.own_tenant, decision)
    return _json(201, front.rank_answer(event_id, ranked))


@in_words_of_azure
async def post_reward(request: Request) -> Response:
    """What the chosen action earned."""
    access = allowed(request, EVENTS)
    context = context_of(request)
    decision = context.decisions.find(access.own_tenant, request.path_params["event_id"])
    await write(context, access, [front.rewarded(decision, await payload_of(request))])
    return Response(None, 204)


@in_words_of_azure
async def post_activate(request: Request) -> Response:
    """The user sees the chosen action of a deferred call."""
    access = allowed(request, EVENTS)
    context = context_of(request)
    decision = context.decisions.find(access.own_tenant, request.path_params["event_id"])
    await write(context, access, [front.activated(decision)])
    return Response(None, 204)


def _json(status: int, body: Any) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
