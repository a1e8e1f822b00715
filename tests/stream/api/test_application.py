"""The routes."""

import pytest

from tests.stream.api.fakes import Api


async def test_what_is_not_there_is_a_problem_that_says_so() -> None:
    async with Api().client() as http:
        answer = await http.get("/v1/slate/u1")
        wrong = await http.get("/v1/events")
    assert (answer.status_code, answer.json()["reason"]) == (404, "not_found")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (wrong.status_code, wrong.json()["reason"], wrong.headers["Allow"]) == (
        405,
        "wrong_method",
        "POST",
    )


async def test_readiness_says_what_is_missing() -> None:
    api = Api()
    async with api.client() as http:
        assert (await http.get("/readyz")).json() == {"ready": True, "reason": ""}
        api.not_ready = "slates are still being read"
        answer = await http.get("/readyz")
        assert (answer.status_code, answer.json()["reason"]) == (503, "slates are still being read")
        assert (await http.get("/healthz")).status_code == 200


@pytest.mark.parametrize("origins", ["", "https://shop.example"])
async def test_pages_of_elsewhere_may_call_only_where_the_settings_say_so(origins: str) -> None:
    asked = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    async with Api(api_cors_origins=origins).client() as http:
        answer = await http.options("/v1/events", headers=asked)
        other = await http.get("/v1/slates/u1", headers={"Origin": "https://evil.example"})
    assert answer.headers.get("Access-Control-Allow-Origin", "") == origins
    assert "Access-Control-Allow-Origin" not in other.headers


async def test_metrics_are_those_of_the_store_at_the_scrape() -> None:
    async with Api().client() as http:
        text = (await http.get("/metrics")).text
    assert "freshslate_api_store_users 0.0" in text
    assert "freshslate_api_events_total 0.0" in text
