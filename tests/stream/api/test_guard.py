"""What every request passes."""

import asyncio

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from stream.api.guard import Guard
from stream.api.keys import Access, Keys, hash_of
from stream.api.limiter import Limiter
from stream.api.metrics import REQUEST_SECONDS, REQUESTS
from tests.stream.api.fakes import NOW, Api, slate_of

KEYS = Keys({hash_of("secret"): Access("shop", "default", frozenset({"slates"}))}, "1")


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "missing_key"),
        ({"Authorization": "Bearer "}, "missing_key"),
        ({"Authorization": "Digest secret"}, "missing_key"),
        ({"Authorization": "Bearer guess"}, "unknown_key"),
        ({"X_Api_Key": "guess"}, "unknown_key"),
    ],
)
async def test_without_a_key_in_force_nothing_is_done(headers: dict[str, str], reason: str) -> None:
    async with Api(keys=KEYS).client(**headers) as http:
        answer = await http.get("/v1/slates/u1")
        nowhere = await http.get("/nowhere")
    assert (answer.status_code, answer.json()["reason"]) == (401, reason)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert nowhere.status_code == 401


@pytest.mark.parametrize("headers", [{"Authorization": "bearer secret"}, {"X_Api_Key": "secret"}])
async def test_a_key_is_taken_from_either_header(headers: dict[str, str]) -> None:
    async with Api(keys=KEYS).client(**headers) as http:
        assert (await http.get("/v1/slates/u1")).status_code == 200


async def test_a_key_that_is_withdrawn_is_refused_from_then_on() -> None:
    api = Api(keys=KEYS)
    async with api.client(X_Api_Key="secret") as http:
        assert (await http.get("/v1/slates/u1")).status_code == 200
        api.ring.keys = Keys({}, "2")
        assert (await http.get("/v1/slates/u1")).json()["reason"] == "unknown_key"


async def test_probes_and_metrics_need_no_key() -> None:
    async with Api(keys=KEYS).client() as http:
        assert [(await http.get(page)).status_code for page in ("/healthz", "/readyz", "/metrics")] == [
            200
        ] * 3


async def test_who_asks_too_often_is_told_when_to_come_again() -> None:
    async with Api(api_rate=2).client() as http:
        answers = [await http.get("/v1/slates/u1") for _ in range(3)]
        probe = await http.get("/healthz")
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["Retry-After"] == "1"
    assert probe.status_code == 200


async def test_every_answer_has_the_requests_id() -> None:
    async with Api().client() as http:
        given = await http.get("/v1/slates/u1", headers={"X-Request-Id": "abc-1"})
        made = await http.get("/v1/slates/u1", headers={"X-Request-Id": "a b\x7f"})
        wrong = await http.get("/nowhere", headers={"X-Request-Id": "abc-2"})
    assert given.headers["X-Request-Id"] == "abc-1"
    assert len(made.headers["X-Request-Id"]) == 32
    assert wrong.json()["request_id"] == wrong.headers["X-Request-Id"] == "abc-2"


async def test_requests_are_counted_by_route_and_status_and_not_by_path() -> None:
    api = Api()
    api.store.put("u1", slate_of(), NOW)
    async with api.client() as http:
        for path in ("/v1/slates/u1", "/v1/slates/u2", "/v1/slates/u1?limit=0", "/nowhere"):
            await http.get(path)
        await http.get("/v1/events")
    counted = {
        labels: api.metrics.value(REQUESTS, *labels)
        for labels in (("get_slate", "200"), ("get_slate", "400"), ("none", "404"), ("post_events", "405"))
    }
    assert set(counted.values()) == {2, 1}
    assert counted["get_slate", "200"] == 2
    assert api.metrics.histogram(REQUEST_SECONDS, "get_slate").count == 3


async def test_a_request_that_the_server_gives_up_when_it_ends_is_answered() -> None:
    api = Api()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_soon(task.cancel)
        await asyncio.Event().wait()

    guard = Guard(app, api.ring, Limiter(1.0, lambda: 0.0), api.metrics)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://127.0.0.1") as http:
        answer = await http.get("/v1/slates/u1")
    assert (answer.status_code, answer.json()["reason"]) == (503, "ending")
    assert answer.headers["Retry-After"]


async def test_a_fault_of_ours_is_logged_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    api = Api()

    def broken(*_: object) -> None:
        message = "the password is hunter2"
        raise RuntimeError(message)

    api.store.latest = broken  # type: ignore[assignment, method-assign]
    async with api.client() as http:
        answer = await http.get("/v1/slates/u1", headers={"X-Request-Id": "r7"})
    assert (answer.status_code, answer.json()["reason"]) == (500, "internal")
    assert "hunter2" not in answer.text
    assert "request r7 failed" in caplog.text
    assert "hunter2" in caplog.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example:8080"},
        {"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_without_keys_no_page_of_another_site_reads_or_writes(headers: dict[str, str]) -> None:
    api = Api(api_cors_origins="https://shop.example")
    track = {"userId": "u", "event": "Product Viewed", "properties": {"product_id": "i1"}}
    async with api.client() as http:
        for answer in (
            await http.get("/v1/slates/u1", headers=headers),
            await http.post("/fronts/segment/v1/track", json=track, headers=headers),
        ):
            assert answer.status_code == 403
            assert "wrong_site" in answer.text
    assert api.producer.sent == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://[::1]:3000", "Sec-Fetch-Site": "same-site"},
        {"Origin": "https://shop.example", "Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_pages_of_this_machine_and_named_ones_get_in_without_keys(headers: dict[str, str]) -> None:
    async with Api(api_cors_origins="https://shop.example").client() as http:
        assert (await http.get("/v1/slates/u1", headers=headers)).status_code == 200


async def test_with_keys_the_key_says_who_asks_from_whatever_page() -> None:
    headers = {"X_Api_Key": "secret", "Origin": "https://elsewhere.example", "Sec_Fetch_Site": "cross-site"}
    async with Api(keys=KEYS).client(**headers) as http:
        assert (await http.get("/v1/slates/u1")).status_code == 200
