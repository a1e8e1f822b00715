"""`GET /v1/slates/{user}` and the stream."""

import asyncio
import json

import pytest

from stream.api import slates
from stream.api.context import User
from stream.api.keys import Access, Keys, hash_of
from tests.stream.api.fakes import NOW, Api, slate_of


async def test_the_latest_slate_comes_with_its_age_and_tag() -> None:
    api = Api()
    api.store.put("u1", slate_of(number=7), NOW - 2500)
    async with api.client() as http:
        answer = await http.get("/v1/slates/u1")
        again = await http.get("/v1/slates/u1", headers={"If-None-Match": answer.headers["ETag"]})
        fewer = await http.get("/v1/slates/u1?limit=1", headers={"If-None-Match": answer.headers["ETag"]})
        api.store.put("u1", slate_of(number=8), NOW)
        newer = await http.get("/v1/slates/u1", headers={"If-None-Match": answer.headers["ETag"]})
    assert answer.json()["slate_id"] == "events-0-7"
    assert (answer.headers["Age"], answer.headers["X-Slate-Age-Ms"]) == ("2", "2500")
    assert (again.status_code, again.content) == (304, b"")
    assert [item["item_id"] for item in fewer.json()["items"]] == ["i1"]
    assert (newer.status_code, newer.json()["slate_id"]) == (200, "events-0-8")


async def test_a_user_without_a_slate_in_a_scenario_gets_a_popular_one_that_says_so() -> None:
    api = Api()
    api.store.put("u1", slate_of(), NOW)
    async with api.client() as http:
        cart = await http.get("/v1/slates/u1?scenario=cart")
        nobody = await http.get("/v1/slates/%F0%9F%A6%84")
        slashed = await http.get("/v1/slates/a%2Fb/c")
    assert (cart.json()["kind"], cart.json()["scenario"]) == ("popular", "cart")
    assert (nobody.json()["kind"], nobody.json()["user_id"]) == ("popular", "🦄")
    assert all(0 < item["propensity"] <= 1 for item in nobody.json()["items"])
    assert slashed.json()["user_id"] == "a/b/c"
    assert "ETag" not in nobody.headers


@pytest.mark.parametrize(
    ("query", "told"), [("scenario=moon", "cart, feed"), ("limit=0", "limit"), ("limit=x", "limit")]
)
async def test_a_wrong_parameter_says_what_there_is(query: str, told: str) -> None:
    async with Api().client() as http:
        answer = await http.get(f"/v1/slates/u1?{query}")
    assert (answer.status_code, answer.json()["reason"]) == (400, "wrong_parameter")
    assert told in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/slates/u1", "/v1/stream/slates?user=u1"])
async def test_a_key_sees_its_own_tenants_users_alone(path: str) -> None:
    keys = Keys({hash_of("s"): Access("north", "north", frozenset({"slates"}))}, "1")
    api = Api(keys=keys)
    api.store.put("u1", slate_of(number=1), NOW)
    api.store.put("north|u1", slate_of(number=2, tenant="north"), NOW)
    join = "&" if "?" in path else "?"
    async with api.client(Authorization="Bearer s") as http:
        refused = await http.get(f"{path}{join}tenant=default")
        if "stream" not in path:
            own = await http.get(path)
            assert own.json()["slate_id"] == "events-0-2"
    assert (refused.status_code, refused.json()["reason"]) == (403, "wrong_tenant")


async def test_who_may_see_every_tenant_names_one() -> None:
    api = Api()
    api.store.put("north|u1", slate_of(number=2, tenant="north"), NOW)
    async with api.client() as http:
        assert (await http.get("/v1/slates/u1?tenant=north")).json()["slate_id"] == "events-0-2"
        assert (await http.get("/v1/slates/u1")).json()["kind"] == "popular"


async def test_without_the_right_nothing_is_shown() -> None:
    keys = Keys({hash_of("s"): Access("shop", "default", frozenset({"events"}))}, "1")
    async with Api(keys=keys).client(Authorization="Bearer s") as http:
        for path in ("/v1/slates/u1", "/v1/stream/slates?user=u1"):
            assert (await http.get(path)).json()["reason"] == "missing_right"


async def test_a_stream_without_a_user_says_what_is_missing() -> None:
    async with Api().client() as http:
        answer = await http.get("/v1/stream/slates")
    assert (answer.status_code, answer.json()["reason"]) == (400, "wrong_parameter")


async def test_a_stream_shows_the_latest_slate_then_every_one_and_ends_with_the_process() -> None:
    api = Api()
    api.store.put("u1", slate_of(number=1), NOW)
    stream = slates._events(api.context, User("u1", "default"), "feed")
    assert await anext(stream) == b"retry: 1000\n\n"
    assert (await anext(stream)).startswith(b"event: slate\nid: events-0-1\ndata: {")
    api.store.put("u1", slate_of(number=2, scenario="cart"), NOW)
    api.store.put("u1", slate_of(number=3), NOW)
    event = await anext(stream)
    assert event.startswith(b"event: slate\nid: events-0-3\n")
    assert json.loads(event.split(b"data: ")[1])["kind"] == "own"
    assert api.store.subscribers == 1
    ending = asyncio.create_task(anext(stream, b"end"))
    await asyncio.sleep(0)
    api.context.closing.set()
    while (last := await ending) != b"end":
        ending = asyncio.create_task(anext(stream, b"end"))
        assert last == b": still here\n\n"
    assert api.store.subscribers == 0


async def test_a_silent_stream_says_that_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slates, "SILENCE_SECONDS", 0.01)
    stream = slates._events(Api().context, User("u1", "default"), None)
    assert [await anext(stream) for _ in range(3)] == [
        b"retry: 1000\n\n",
        b": still here\n\n",
        b": still here\n\n",
    ]
    await stream.aclose()


async def test_a_slate_from_a_clock_ahead_of_ours_has_no_age() -> None:
    api = Api()
    api.store.put("u1", slate_of(number=7), NOW + 90_000)
    async with api.client() as http:
        answer = await http.get("/v1/slates/u1")
    assert (answer.headers["Age"], answer.headers["X-Slate-Age-Ms"]) == ("0", "0")
