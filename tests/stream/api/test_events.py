"""`POST /v1/events` and `POST /v1/recommend`."""

import asyncio
import json

import pytest
from aiokafka.errors import KafkaError

from stream.api.keys import Access, Keys, hash_of
from stream.api.metrics import EVENTS, REFUSED, SERVED
from tests.stream.api.fakes import NOW, Api, slate_of

CLICK = {"type": "click", "user_id": "u1", "item_id": "i", "event_id": "e1", "time": NOW}


def keys(*rights: str, tenant: str = "default") -> Keys:
    return Keys({hash_of("secret"): Access("shop", tenant, frozenset(rights))}, "1")


async def test_events_are_accepted_once_the_broker_has_them() -> None:
    api = Api()
    async with api.client() as http:
        answer = await http.post("/v1/events", json=[CLICK, {**CLICK, "event_id": "e2"}])
    assert answer.status_code == 202
    assert answer.json() == {"accepted": 2, "event_ids": ["e1", "e2"], "errors": []}
    assert [event["event_id"] for event in api.events()] == ["e1", "e2"]
    assert {sent.timestamp_ms for sent in api.producer.sent} == {NOW}
    assert api.metrics.value(EVENTS) == 2


async def test_of_a_thousand_events_three_bad_ones_are_named_and_the_rest_is_taken() -> None:
    api = Api()
    events = [{**CLICK, "event_id": f"e{n}"} for n in range(1000)]
    events[3] = {**CLICK, "type": "wave"}
    events[500] = {**CLICK, "time": NOW + 10 * 3_600_000}
    del events[999]["user_id"]
    async with api.client() as http:
        answer = await http.post("/v1/events", json=events)
    told = answer.json()
    assert (answer.status_code, told["accepted"]) == (202, 997)
    assert [(error["index"], error["reason"]) for error in told["errors"]] == [
        (3, "unknown_type"),
        (500, "time_in_future"),
        (999, "missing_user"),
    ]
    assert [n for n, event_id in enumerate(told["event_ids"]) if event_id is None] == [3, 500, 999]
    assert len(api.producer.sent) == 997
    assert (api.metrics.value(REFUSED), api.metrics.value(REFUSED, "missing_user")) == (3, 1)


async def test_where_all_are_bad_nothing_is_sent() -> None:
    api = Api()
    async with api.client() as http:
        answer = await http.post("/v1/events", json=[{**CLICK, "type": "wave"}])
        none = await http.post("/v1/events", json=[])
    assert (answer.status_code, answer.json()["accepted"]) == (422, 0)
    assert (none.status_code, none.json()["accepted"]) == (202, 0)
    assert api.producer.sent == []


async def test_the_same_event_again_has_the_same_id_and_the_worker_passes_it_over() -> None:
    api = Api()
    async with api.client() as http:
        answers = [(await http.post("/v1/events", json=CLICK)).json() for _ in range(2)]
    assert answers[0] == answers[1] == {"accepted": 1, "event_ids": ["e1"], "errors": []}
    assert api.producer.sent[0] == api.producer.sent[1]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_another_content_type_is_refused(kind: str) -> None:
    api = Api()
    async with api.client() as http:
        answer = await http.post("/v1/events", content=json.dumps(CLICK), headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["reason"]) == (415, "wrong_content_type")


@pytest.mark.parametrize("size", [10 << 20, 5 << 20])
async def test_a_body_that_is_too_large_is_refused(size: int) -> None:
    api = Api()
    async with api.client() as http:
        answer = await http.post(
            "/v1/events", content=b" " * size, headers={"Content-Type": "application/json"}
        )
        told = await http.post("/v1/events", json=[CLICK] * 1001)
    assert (answer.status_code, answer.json()["reason"]) == (413, "too_large")
    assert "FRESHSLATE_API_BODY_BYTES" in answer.json()["detail"]
    assert (told.status_code, told.json()["reason"]) == (413, "too_large")


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 200_000, b"\xff\xfe", b"{", b"null"])
async def test_what_is_no_json_is_a_bad_request(body: bytes) -> None:
    api = Api()
    async with api.client(Content_Type="application/json") as http:
        answer = await http.post("/v1/events", content=body)
        recommended = await http.post("/v1/recommend", content=body)
    assert (answer.status_code, answer.json()["reason"]) == (400, "not_json")
    assert (recommended.status_code, recommended.json()["reason"]) == (400, "not_json")


async def test_without_an_acknowledgement_nothing_is_accepted() -> None:
    api = Api(api_ack_seconds=0.05)
    api.producer.holds = True
    async with api.client() as http:
        answer = await http.post("/v1/events", json=[CLICK, {**CLICK, "type": "wave"}])
        recommended = await http.post("/v1/recommend", json=CLICK)
    assert (answer.status_code, answer.json()["accepted"]) == (503, 0)
    assert answer.headers["Retry-After"]
    assert [error["reason"] for error in answer.json()["errors"]] == ["not_written", "unknown_type"]
    assert answer.json()["event_ids"] == ["e1", None]
    assert (recommended.status_code, recommended.json()["reason"]) == (503, "kafka_unavailable")
    assert api.metrics.value(EVENTS) == 0


async def test_an_error_of_the_broker_is_503_too() -> None:
    api = Api()
    api.producer.fails = KafkaError("gone")
    async with api.client() as http:
        assert (await http.post("/v1/events", json=CLICK)).status_code == 503


async def test_a_recommendation_is_the_slate_of_its_own_event() -> None:
    api = Api()
    api.store.put("u1", slate_of(number=1, event_id="e0"), NOW)
    async with api.client() as http:
        asking = asyncio.create_task(http.post("/v1/recommend?wait=20&limit=2", json=CLICK))
        while not api.producer.sent:
            await asyncio.sleep(0.001)
        api.store.put("u1", slate_of(number=2, event_id="other"), NOW)
        api.store.put("u1", slate_of(number=3, event_id="e1"), NOW)
        api.store.put("u1", slate_of(number=4, event_id="later"), NOW)
        answer = await asking
    told = answer.json()
    assert (told["kind"], told["slate_id"], len(told["items"])) == ("fresh", "events-0-3", 2)
    assert answer.headers["X-Event-Id"] == "e1"
    assert api.metrics.value(SERVED, "fresh") == 1


async def test_a_slate_that_does_not_come_in_time_is_the_latest_one_and_says_so() -> None:
    api = Api()
    async with api.client() as http:
        popular = (await http.post("/v1/recommend?wait=0.01", json=CLICK)).json()
        api.store.put("u1", slate_of(number=1, event_id="e0"), NOW)
        own = (await http.post("/v1/recommend?wait=0.01", json=CLICK)).json()
    assert [(told["kind"], told["slate_id"]) for told in (popular, own)] == [
        ("popular", None),
        ("own", "events-0-1"),
    ]


async def test_a_slate_is_not_waited_for_until_the_process_has_ended() -> None:
    api = Api(api_wait_seconds=0.01)
    api.store.put("u1", slate_of(number=1, event_id="e0"), NOW)
    async with api.client() as http, asyncio.timeout(10):
        asking = asyncio.create_task(http.post("/v1/recommend?wait=30", json=CLICK))
        while not api.producer.sent:
            await asyncio.sleep(0.001)
        api.context.closing.set()
        told = (await asking).json()
    assert (told["kind"], told["slate_id"]) == ("own", "events-0-1")


async def test_a_slate_that_is_about_to_come_when_the_process_ends_is_the_answer() -> None:
    api = Api(api_wait_seconds=10)
    api.context.closing.set()
    async with api.client() as http:
        asking = asyncio.create_task(http.post("/v1/recommend?wait=30", json=CLICK))
        while not api.producer.sent:
            await asyncio.sleep(0.001)
        api.store.put("u1", slate_of(number=3, event_id="e1"), NOW)
        assert (await asking).json()["kind"] == "fresh"


async def test_an_event_whose_type_asks_for_no_slate_is_not_waited_for() -> None:
    api = Api(slate_types="click")
    async with api.client() as http:
        told = (await http.post("/v1/recommend?wait=30", json={**CLICK, "type": "view"})).json()
    assert told["kind"] == "popular"
    assert len(api.producer.sent) == 1


@pytest.mark.parametrize(
    ("path", "body", "status", "reason"),
    [
        ("/v1/recommend?wait=0", CLICK, 400, "wrong_parameter"),
        ("/v1/recommend?wait=nan", CLICK, 400, "wrong_parameter"),
        ("/v1/recommend?wait=31", CLICK, 400, "wrong_parameter"),
        ("/v1/recommend?limit=1.5", CLICK, 400, "wrong_parameter"),
        ("/v1/recommend?limit=-1", CLICK, 400, "wrong_parameter"),
        ("/v1/recommend", [CLICK, CLICK], 413, "too_large"),
        ("/v1/recommend", [], 422, "all_refused"),
        ("/v1/recommend", {**CLICK, "scenario": "moon"}, 422, "all_refused"),
    ],
)
async def test_a_wrong_question_says_what_is_wrong(path: str, body: object, status: int, reason: str) -> None:
    api = Api()
    async with api.client() as http:
        answer = await http.post(path, json=body)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert api.producer.sent == []


@pytest.mark.parametrize(
    ("path", "rights"),
    [("/v1/events", ["slates"]), ("/v1/recommend", ["slates"]), ("/v1/recommend", ["events"])],
)
async def test_a_key_without_the_right_is_refused(path: str, rights: list[str]) -> None:
    api = Api(keys=keys(*rights))
    async with api.client(Authorization="Bearer secret") as http:
        answer = await http.post(path, json=CLICK)
    assert (answer.status_code, answer.json()["reason"]) == (403, "missing_right")
    assert api.producer.sent == []


async def test_events_get_the_tenant_of_their_key() -> None:
    api = Api(keys=keys("events", tenant="north"))
    async with api.client(X_Api_Key="secret") as http:
        await http.post("/v1/events", json=CLICK)
    assert [
        (sent.key, event["tenant"]) for sent, event in zip(api.producer.sent, api.events(), strict=True)
    ] == [(b"north|u1", "north")]


async def test_before_all_is_read_nothing_is_taken_that_awaits_its_slate() -> None:
    api = Api()
    api.not_ready = "slates and items are still being read"
    async with api.client() as http:
        answer = await http.post("/v1/recommend", json=CLICK)
        taken = await http.post("/v1/events", json=CLICK)
    assert (answer.status_code, answer.json()["reason"]) == (503, "starting")
    assert answer.headers["Retry-After"]
    assert (taken.status_code, len(api.producer.sent)) == (202, 1)


async def test_a_clock_that_is_ahead_by_less_than_is_allowed_is_taken() -> None:
    api = Api()
    ahead = NOW + 1000 * api.settings.max_event_ahead_seconds
    async with api.client() as http:
        taken = await http.post("/v1/events", json={**CLICK, "time": ahead})
        refused = await http.post("/v1/events", json={**CLICK, "time": ahead + 1000})
    assert (taken.status_code, [event["time"] for event in api.events()]) == (202, [ahead])
    assert (refused.status_code, refused.json()["errors"][0]["reason"]) == (422, "time_in_future")
