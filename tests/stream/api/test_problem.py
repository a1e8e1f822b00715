"""What is answered when a request cannot be done."""

import json

from stream.api.problem import REASONS, problem


def test_a_problem_says_its_status_reason_and_request() -> None:
    error = problem("overloaded", "try again", Retry_After="2")
    assert (error.status, error.headers) == (503, {"Retry-After": "2"})
    assert json.loads(error.body("r-1")) == {
        "type": "docs/http.md#overloaded",
        "title": "Service Unavailable",
        "status": 503,
        "reason": "overloaded",
        "detail": "try again",
        "request_id": "r-1",
    }


def test_hostile_text_stays_a_string() -> None:
    body = problem("not_found", '"}<script>').body('"x')
    assert json.loads(body)["detail"] == '"}<script>'


def test_every_reason_has_an_error_status() -> None:
    assert all(400 <= status < 600 for status in REASONS.values())
