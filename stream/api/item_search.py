"""`GET /v1/items`: what the catalogue says of items, and what a search finds."""

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stream.api.context import allowed, context_of, number_of
from stream.api.item_store import Page
from stream.api.keys import SLATES
from stream.api.problem import problem

PAGE: Final = 24
"""Items of one answer, where the request says nothing."""
MOST: Final = 200
"""Items of one answer, at most."""


def ids_of(request: Request) -> list[str]:
    """The items that are asked for by id.

    Raises:
        Problem: they are too many.
    """
    ids = request.query_params.getlist("id")
    if len(ids) > MOST:
        raise problem("wrong_parameter", f"{len(ids)} ids; at most {MOST}")
    return ids


async def get_items(request: Request) -> Response:
    """Items by id (`?id=`, once or more often), or those that a search finds."""
    allowed(request, SLATES)
    context = context_of(request)
    store, asked = context.items, request.query_params
    ids = ids_of(request)
    start = int(number_of(request, "offset", 1e9, least=0) or 0)
    most = int(number_of(request, "limit", MOST, least=1) or PAGE)
    if ids:
        found = store.get(ids)
        page = Page(found, len(found))
    else:
        page = store.search(asked.get("query", ""), asked.get("category", ""), start=start, most=most)
    body: dict[str, Any] = {"items": page.items, "total": page.total}
    if not ids:
        body["categories"] = store.categories()
    return Response(msgspec.json.encode(body), media_type="application/json")
