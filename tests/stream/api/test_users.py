"""What is asked of one user, over HTTP."""

import asyncio

import pytest
from aiokafka.errors import KafkaError

from stream.api.past import NoSuchPast
from stream.inspection import InspectionError
from stream.knock import BrokerUnreachableError
from tests.stream.api.fakes2 import ADMIN, SHOP, PastApi, keys

CALLS = [
    ("GET", "/v1/users/ada/timeline"),
    ("GET", "/v1/slates/events-0-1/why"),
    ("DELETE", "/v1/users/ada"),
]


async def test_a_timeline_is_asked_for_with_its_limit_and_its_beginning() -> None:
    api = PastApi()
    async with api.client() as http:
        told = await http.get("/v1/users/ada/timeline")
        await http.get("/v1/users/a%2Fb/timeline?limit=5&since=2026-11-22T10:00:00Z&tenant=north")
        await http.get("/v1/users/a%7Cb/timeline?since=1763831000000")
    assert (told.status_code, told.json()["user_id"], told.json()["steps"]) == (200, "ada", [])
    assert told.headers["Cache-Control"] == "no-store"
    assert api.past.asked == [
        ("timeline", "ada", "default", 100, None),
        ("timeline", "a/b", "north", 5, 1_795_341_600_000),
        ("timeline", "a|b", "default", 100, 1_763_831_000_000),
    ]


async def test_a_slate_is_shown_as_it_was_published() -> None:
    api = PastApi(keys=keys("north"))
    async with api.client(**ADMIN) as http:
        told = await http.get("/v1/slates/events-0-1/why")
        await http.get("/v1/slates/events-0-1/why?profile=now&since=5")
    expected = {
        "slate": {"slate_id": "events-0-1", "items": []},
        "profile": "then",
        "models": "now",
        "why": [],
    }
    assert told.json() == expected
    assert api.past.asked == [
        ("why", "events-0-1", "north", True, None),
        ("why", "events-0-1", "north", False, 5),
    ]


async def test_a_user_is_forgotten_or_will_be() -> None:
    api = PastApi()
    async with api.client() as http:
        done = await http.delete("/v1/users/ada")
        api.past.forgotten = False
        later = await http.delete("/v1/users/ada?wait=0.5")
    assert (done.status_code, done.json()["forgotten"], done.json()["took_seconds"]) == (200, True, 0.5)
    assert done.json()["remains"] == [
        {"where": "events", "what": "the events", "seconds": None, "how": "nothing"}
    ]
    assert (later.status_code, later.json()["forgotten"], later.json()["took_seconds"]) == (202, False, None)
    assert api.past.asked == [("forget", "ada", "default", 10.0), ("forget", "ada", "default", 0.5)]


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_they_need_the_right_admin(method: str, path: str) -> None:
    api = PastApi(keys=keys())
    async with api.client() as http:
        told = [(await http.request(method, path, headers=headers)) for headers in (SHOP, {}, ADMIN)]
    assert [each.status_code for each in told] == [403, 401, 200]
    assert len(api.past.asked) == 1


async def test_a_key_reaches_users_of_its_tenant_alone() -> None:
    api = PastApi(keys=keys("north"))
    async with api.client(**ADMIN) as http:
        mine = await http.delete("/v1/users/ada")
        other = await http.delete("/v1/users/ada?tenant=default")
        beats = await http.get("/v1/users/0/timeline?tenant=freshslate-heartbeat")
    assert (mine.status_code, api.past.asked) == (200, [("forget", "ada", "north", 10.0)])
    assert (other.status_code, other.json()["reason"]) == (403, "wrong_tenant")
    assert (beats.status_code, beats.json()["reason"]) == (403, "wrong_tenant")


async def test_nobody_is_forgotten_for_a_worker() -> None:
    api = PastApi(keys=keys("*"))
    async with api.client(**ADMIN) as http:
        answer = await http.delete("/v1/users/0?tenant=freshslate-heartbeat")
    assert (answer.status_code, answer.json()["reason"], api.past.asked) == (403, "wrong_tenant", [])


@pytest.mark.parametrize(
    "path",
    [
        "/v1/users/a%00b/timeline",
        "/v1/users/" + "x" * 257 + "/timeline",
        "/v1/users//timeline",
        "/v1/users/ada/timeline?tenant=a|b",
        "/v1/users/ada/timeline?tenant=%0a",
        "/v1/users/ada/timeline?limit=0",
        "/v1/users/ada/timeline?limit=1001",
        "/v1/users/ada/timeline?limit=1.5",
        "/v1/users/ada/timeline?since=yesterday",
        "/v1/users/ada/timeline?since=-1",
        "/v1/users/ada/timeline?since=99999999999999999999",
        "/v1/users/ada/timeline?since=%D9%A3",
        "/v1/slates/events-0-1/why?profile=later",
        "/v1/slates/events-0-1/why?since=",
    ],
)
async def test_what_makes_no_sense_is_a_bad_request(path: str) -> None:
    api = PastApi()
    async with api.client() as http:
        answer = await http.get(path)
    assert (answer.status_code, answer.json()["reason"]) == (400, "wrong_parameter"), answer.text
    assert api.past.asked == []


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (NoSuchPast("no event of 'ada'"), 404, "not_found"),
        (TimeoutError(), 504, "deadline"),
        (KafkaError("gone"), 503, "kafka_unavailable"),
        (BrokerUnreachableError("a:1", "no"), 503, "kafka_unavailable"),
        (InspectionError("there is no topic slates"), 500, "internal"),
    ],
)
@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_what_goes_wrong_with_the_log_is_a_problem_that_says_so(
    method: str, path: str, error: Exception, status: int, reason: str
) -> None:
    api = PastApi()
    api.past.fails = error
    async with api.client() as http:
        answer = await http.request(method, path)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert ("Retry-After" in answer.headers) == (status == 503)
    if reason == "deadline" and method == "GET":
        assert "since=" in answer.json()["detail"]


async def test_no_more_than_a_few_read_the_log_at_once_and_places_are_given_back() -> None:
    api = PastApi(api_reads=2)
    api.past.holds = asyncio.Event()
    async with api.client() as http:
        asked = [asyncio.create_task(http.request(*call)) for call in CALLS[:2]]
        while len(api.past.asked) < 2:
            await asyncio.sleep(0)
        refused = await http.request(*CALLS[2])
        api.past.holds.set()
        assert [(await each).status_code for each in asked] == [200, 200]
        api.past.fails = NoSuchPast("nothing")
        after = [(await http.request(*call)).status_code for call in CALLS]
    assert (refused.status_code, refused.json()["reason"], refused.headers["Retry-After"]) == (
        503,
        "overloaded",
        "2",
    )
    assert after == [404, 404, 404]


async def test_a_user_with_slashes_has_slates_and_a_timeline() -> None:
    api = PastApi()
    async with api.client() as http:
        slate = await http.get("/v1/slates/a%2Fb%2Fc")
        await http.get("/v1/users/a%2Fb%2Fc/timeline")
        await http.delete("/v1/users/a%2Fb%2Fc")
    assert (slate.status_code, slate.json()["user_id"]) == (200, "a/b/c")
    assert [each[:3] for each in api.past.asked] == [
        ("timeline", "a/b/c", "default"),
        ("forget", "a/b/c", "default"),
    ]
