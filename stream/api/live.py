"""`GET /v1/live`: what the console draws of the last minutes, and who works."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stream.api.context import allowed_everywhere, context_of
from stream.api.item_search import ids_of
from stream.api.recent import WINDOW_MS


async def get_live(request: Request) -> Response:
    """Slates a second and their age, policies and what they earn, workers and how far behind they are."""
    allowed_everywhere(request)
    context = context_of(request)
    group = await context.group.look()
    body: dict[str, Any] = {
        "now": context.now(),
        "lines": context.recent.lines(),
        "window_ms": WINDOW_MS,
        "policies": context.recent.policies(),
        "group": group.state,
        "workers": group.workers,
        "partitions": [row._asdict() for row in group.partitions],
        "lag": sum(row.lag for row in group.partitions),
    }
    return Response(
        msgspec.json.encode(body), headers={"Cache-Control": "no-store"}, media_type="application/json"
    )


async def get_item_counts(request: Request) -> Response:
    """What items (`?id=`) were shown and earned since this process began to follow the log."""
    allowed_everywhere(request)
    recent = context_of(request).recent
    told = {item_id: recent.item(item_id) for item_id in ids_of(request)}
    return Response(msgspec.json.encode(told), media_type="application/json")
