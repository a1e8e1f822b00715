"""What a request is told of many that it brought, events or items, each judged by itself."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec
from starlette.responses import Response

from stream.api.ingest import Fault
from stream.api.writer import RETRY_SECONDS


def in_order(faults: Sequence[Fault], lost: Sequence[Fault]) -> list[Fault]:
    """Refused ones and those that Kafka has not acknowledged, as they stood in the request."""
    return sorted([*faults, *lost], key=attrgetter("index"))


def told(body: Any, *, refused: bool, lost: Sequence[Fault]) -> Response:
    """The answer: 202; 422 where all was refused; 503 where Kafka has not acknowledged all of it.

    Args:
        body: of the answer.
        refused: whether there was something, and nothing of it could be written.
        lost: what Kafka has not acknowledged.
    """
    status, headers = 422 if refused else 202, {}
    if lost:
        status, headers = 503, {"Retry-After": RETRY_SECONDS}
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")
