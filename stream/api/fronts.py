"""Other vendors' calls that send events, below `/fronts`, each answered in the vendor's own way."""

import base64
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stream.api.azure import azure_routes
from stream.api.credentials import IN_QUERY
from stream.api.personalize import personalize_routes
from stream.api.problem import problem
from stream.api.translated import Taken, payload_of, take

PREFIX: Final = "/fronts"
JSON: Final = "application/json"
PIXEL: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""A transparent GIF of one pixel."""


def front_routes() -> list[Route]:
    """Every route of the fronts."""
    routes = [
        Route(f"{PREFIX}/segment/v1/{{call}}", post_segment, methods=["POST"]),
        Route(f"{PREFIX}/ga4/mp/collect", post_ga4, methods=["POST"]),
        Route(f"{PREFIX}/snowplow/{{path:path}}", post_snowplow, methods=["POST"]),
        Route(f"{PREFIX}/snowplow/{{path:path}}", get_snowplow, methods=["GET"]),
        Route(f"{PREFIX}/cloudevents", post_cloudevents, methods=["POST"]),
    ]
    return [*routes, *personalize_routes(f"{PREFIX}/personalize"), *azure_routes(f"{PREFIX}/azure")]


async def post_segment(request: Request) -> Response:
    """`track`, `page`, `identify` and their like, one or a `batch`."""
    payload = await payload_of(request)
    if isinstance(payload, dict) and "batch" not in payload:
        payload.setdefault("type", request.path_params["call"])
    taken = await take(request, "segment", payload)
    if taken.is_refused:
        return _json(400, {"success": False, "message": taken.faults[0].message, "errors": taken.faults})
    return _json(200, {"success": True} | ({"errors": taken.faults} if taken.faults else {}))


async def post_ga4(request: Request) -> Response:
    """The Measurement Protocol, which tells nobody what is wrong; here all of it refused is an error."""
    _raise_if_refused(await take(request, "ga4", await payload_of(request)))
    return Response(None, 204)


async def post_snowplow(request: Request) -> Response:
    """What a tracker posts to its collector."""
    _raise_if_refused(await take(request, "snowplow", await payload_of(request)))
    return Response("ok", 200, media_type="text/plain")


async def get_snowplow(request: Request) -> Response:
    """The collector's pixel: one event of a tracker that can only fetch images, in the query."""
    said = {name: value for name, value in request.query_params.items() if name != IN_QUERY}
    _raise_if_refused(await take(request, "snowplow", {"e": None, **said}))
    return Response(PIXEL, 200, {"Cache-Control": "no-store"}, media_type="image/gif")


async def post_cloudevents(request: Request) -> Response:
    """One event, structured or binary, or a batch."""
    taken = await take(request, "cloudevents", await payload_of(request))
    ids = [event.event_id for event in taken.events]
    body = {"accepted": len(ids), "event_ids": ids, "errors": taken.faults}
    return _json(422 if taken.is_refused else 202, body)


def _raise_if_refused(taken: Taken) -> None:
    if taken.is_refused:
        fault = taken.faults[0]
        raise problem("all_refused", f"{fault.reason}: {fault.message}")


def _json(status: int, body: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(body), status, media_type=JSON)
