"""Amazon Personalize's calls: boto3 with this endpoint works as it is (docs/fronts.md)."""

import json
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from state.errors import InvalidRequest
from state.fronts import personalize as front
from state.fronts.front import LeftOut
from stream.api.catalogue import JSON, read
from stream.api.context import Context, allowed, context_of
from stream.api.items import write_items
from stream.api.keys import ADMIN, EVENTS, SLATES, Access
from stream.api.metrics import ITEMS_REFUSED, SERVED
from stream.api.problem import Problem
from stream.api.shown import shown_to
from stream.api.translated import judged, payload_of, written
from stream.api.user import User

_KINDS: Final = {
    401: "AccessDeniedException",
    403: "AccessDeniedException",
    429: "ThrottlingException",
    500: "InternalFailure",
    503: "ServiceUnavailable",
}
"""Error by the status of a problem; any other is an invalid input."""
_INVALID: Final = "InvalidInputException"

Endpoint = Callable[[Request], Awaitable[Response]]


def personalize_routes(prefix: str) -> list[Route]:
    """Routes of the three services, whose paths do not meet."""
    calls = {
        "/events": post_aws_events,
        "/items": post_aws_items,
        "/users": post_aws_users,
        "/recommendations": post_aws_recommendations,
        "/personalize-ranking": post_aws_ranking,
    }
    return [Route(prefix + path, call, methods=["POST"]) for path, call in calls.items()]


def in_words_of_aws(endpoint: Endpoint) -> Endpoint:
    """The endpoint, with errors as clients of AWS read them."""

    @wraps(endpoint)
    async def answered(request: Request) -> Response:
        try:
            return await endpoint(request)
        except InvalidRequest as error:
            return _error(_INVALID, str(error))
        except Problem as error:
            return _error(_KINDS.get(error.status, _INVALID), error.detail)

    return answered


@in_words_of_aws
async def post_aws_events(request: Request) -> Response:
    """`PutEvents`: all of a request, or nothing where one of its events is refused, as there."""
    access = allowed(request, EVENTS)
    context = context_of(request)
    taken = judged(context, access, front.translate(await payload_of(request), {}))
    if taken.faults:
        return _error(_INVALID, f"event {taken.faults[0].index}: {taken.faults[0].message}")
    await written(context, taken)
    return Response(None, 200)


@in_words_of_aws
async def post_aws_items(request: Request) -> Response:
    """`PutItems`: the catalogue, which all tenants share."""
    allowed(request, ADMIN)
    context = context_of(request)
    records = front.items(await payload_of(request))
    for each in records:
        if isinstance(each, LeftOut):
            context.metrics.add(ITEMS_REFUSED, 1, each.reason)
            return _error(_INVALID, f"item {each.index}: {each.message}")
    checked = read(msgspec.json.encode(records), JSON, context.settings.api_batch_events)
    if checked.faults:
        context.metrics.count(ITEMS_REFUSED, [(fault.reason,) for fault in checked.faults])
        return _error(_INVALID, f"item {checked.faults[0].index}: {checked.faults[0].message}")
    if not all(await write_items(context, checked)):
        return _error("ServiceUnavailable", "Kafka has not acknowledged it in time: send it again")
    return Response(None, 200)


@in_words_of_aws
async def post_aws_users(request: Request) -> Response:
    """`PutUsers`, which is passed over."""
    allowed(request, EVENTS)
    for each in front.users(await payload_of(request)):
        if isinstance(each, LeftOut) and each.reason != "passed_over":
            return _error(_INVALID, each.message)
    return Response(None, 200)


@in_words_of_aws
async def post_aws_recommendations(request: Request) -> Response:
    """`GetRecommendations`: the user's latest slate."""
    access = allowed(request, SLATES)
    asked = front.asked_recommendations(await payload_of(request))
    slate_id, items = await _slate(context_of(request), access, asked)
    return _json(front.recommendations(slate_id, items, asked.most))


@in_words_of_aws
async def post_aws_ranking(request: Request) -> Response:
    """`GetPersonalizedRanking`: the caller's items in the order of the user's latest slate."""
    access = allowed(request, SLATES)
    asked = front.asked_ranking(await payload_of(request))
    slate_id, items = await _slate(context_of(request), access, asked)
    return _json(front.ranking(slate_id, items, asked.ranked))


async def _slate(context: Context, access: Access, asked: front.Asked) -> tuple[str | None, Any]:
    kind, slate = await shown_to(context, User(asked.user_id, access.own_tenant), asked.scenario)
    context.metrics.add(SERVED, 1, kind)
    return (slate.slate_id if kind == "own" else None), slate.items


def _json(body: Any) -> Response:
    return Response(msgspec.json.encode(body), 200, media_type="application/json")


def _error(kind: str, message: str) -> Response:
    told = front.error(kind, message)
    return Response(json.dumps(told.body), told.status, dict(told.headers), media_type="application/json")
