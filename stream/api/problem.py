"""What is answered when a request cannot be done: `application/problem+json` (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import msgspec

from state.errors import FreshslateError

MEDIA_TYPE: Final = "application/problem+json"


class Problem(FreshslateError):
    """A request that is refused.

    Args:
        status: of HTTP.
        reason: a word for programs, one of `REASONS`, or of `state.errors.REASONS`.
        detail: what is wrong and what to do, for people.
        headers: that go with the answer.
    """

    def __init__(
        self, status: int, reason: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, reason, detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = dict(headers or {})

    def body(self, request_id: str) -> bytes:
        """The answer."""
        return msgspec.json.encode(
            {
                "type": f"docs/http.md#{self.reason}",
                "title": HTTPStatus(self.status).phrase,
                "status": self.status,
                "reason": self.reason,
                "detail": self.detail,
                "request_id": request_id,
            }
        )


REASONS: Final = {
    "missing_key": 401,
    "unknown_key": 401,
    "missing_right": 403,
    "wrong_tenant": 403,
    "wrong_host": 403,
    "wrong_site": 403,
    "not_found": 404,
    "wrong_method": 405,
    "too_large": 413,
    "wrong_content_type": 415,
    "not_json": 400,
    "not_csv": 400,
    "wrong_parameter": 400,
    "all_refused": 422,
    "too_many_requests": 429,
    "internal": 500,
    "starting": 503,
    "kafka_unavailable": 503,
    "overloaded": 503,
    "ending": 503,
    "deadline": 504,
}
"""Every reason of a whole request with its status; a single event has one of `state.errors.REASONS`."""


def problem(reason: str, detail: str, **headers: str) -> Problem:
    """A refusal for one of `REASONS`; headers with underscores for dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Problem(REASONS[reason], reason, detail, named)
