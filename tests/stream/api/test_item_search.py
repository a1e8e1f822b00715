"""`GET /v1/items`."""

import pytest

from tests.stream.api.fakes import Api
from tests.stream.records import record


def api_of(count: int = 30) -> Api:
    api = Api()
    items = [{"title": f"item {n}", "category": "ab"[n % 2]} for n in range(count)]
    api.items.take([record(item, n, key=b"i%d" % n) for n, item in enumerate(items)])
    return api


async def test_items_come_by_page_with_their_number_and_categories() -> None:
    async with api_of().client() as http:
        first = (await http.get("/v1/items")).json()
        second = (await http.get("/v1/items?offset=24")).json()
        some = (await http.get("/v1/items?query=item+2&category=a&limit=2")).json()
    assert (len(first["items"]), first["total"], first["categories"]) == (24, 30, ["a", "b"])
    assert len(second["items"]) == 6
    assert [item["item_id"] for item in some["items"]] == ["i2", "i12"]


async def test_items_come_by_id_and_unknown_ones_do_not() -> None:
    async with api_of().client() as http:
        told = (await http.get("/v1/items?id=i3&id=nothing&id=i1")).json()
        many = await http.get("/v1/items?" + "&".join(f"id=i{n}" for n in range(201)))
    assert [item["item_id"] for item in told["items"]] == ["i3", "i1"]
    assert many.json()["reason"] == "wrong_parameter"


@pytest.mark.parametrize("query", ["offset=-1", "limit=0", "limit=201", "offset=x", "limit=nan"])
async def test_a_wrong_page_says_what_is_wrong(query: str) -> None:
    async with api_of().client() as http:
        answer = await http.get(f"/v1/items?{query}")
    assert (answer.status_code, answer.json()["reason"]) == (400, "wrong_parameter")
