"""The catalogue over HTTP."""

import json

import pytest
from aiokafka.errors import KafkaError

from stream.api.metrics import ITEMS, ITEMS_REFUSED
from tests.stream.api.fakes import Api
from tests.stream.api.fakes2 import ADMIN, SHOP, keys

CALLS = [("PUT", "/v1/items/a"), ("DELETE", "/v1/items/a"), ("POST", "/v1/items")]


def written(api: Api) -> list[tuple[bytes, dict | None]]:
    assert {sent.topic for sent in api.producer.sent} <= {api.settings.items_topic}
    return [(sent.key, sent.value and json.loads(sent.value)) for sent in api.producer.sent]


async def test_an_item_is_put_and_withdrawn() -> None:
    api = Api()
    async with api.client() as http:
        put = await http.put("/v1/items/a%2Fb", json={"title": "T", "color": "red"})
        gone = await http.delete("/v1/items/a%2Fb")
    assert (put.status_code, put.json()) == (202, {"accepted": 1, "item_ids": ["a/b"], "errors": []})
    assert (gone.status_code, gone.json()) == (202, {"accepted": 1, "item_ids": ["a/b"], "errors": []})
    (key, item), tombstone = written(api)
    assert (key, item["title"], item["attributes"]) == (b"a/b", "T", {"color": "red"})
    assert tombstone == (b"a/b", None)
    assert api.metrics.value(ITEMS) == 2


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'[{"item_id": "a"}, {"price": 1}, {"item_id": "b"}]'),
        ("application/x-ndjson; charset=utf-8", b'{"item_id": "a"}\n{"price": 1}\n{"item_id": "b"}\n'),
        ("Text/CSV", b"item_id,price\na,\n,1\nb,\n"),
    ],
)
async def test_of_many_items_the_wrong_one_is_named_and_the_rest_is_taken(kind: str, body: bytes) -> None:
    api = Api()
    async with api.client(Content_Type=kind) as http:
        answer = await http.post("/v1/items", content=body)
    told = answer.json()
    assert (answer.status_code, told["accepted"], told["item_ids"]) == (202, 2, ["a", None, "b"])
    assert [(error["index"], error["reason"]) for error in told["errors"]] == [(1, "missing_item")]
    assert [key for key, _ in written(api)] == [b"a", b"b"]
    assert api.metrics.value(ITEMS_REFUSED, "missing_item") == api.metrics.value(ITEMS_REFUSED) == 1


async def test_where_all_are_wrong_nothing_is_written() -> None:
    api = Api()
    async with api.client() as http:
        answers = [
            await http.put("/v1/items/a", json={"item_id": "b"}),
            await http.put("/v1/items/a", content=b"{", headers={"Content-Type": "application/json"}),
            await http.put("/v1/items/" + "x" * 300, json={}),
            await http.delete("/v1/items/a%00"),
            await http.post("/v1/items", json=[{"item_id": ""}]),
        ]
        none = await http.post("/v1/items", json=[])
    told = [
        (each.status_code, each.json()["accepted"], each.json()["errors"][0]["reason"]) for each in answers
    ]
    assert told == [
        (422, 0, "wrong_id"),
        (422, 0, "not_json"),
        (422, 0, "wrong_id"),
        (422, 0, "wrong_id"),
        (422, 0, "missing_item"),
    ]
    assert (none.status_code, none.json()["accepted"]) == (202, 0)
    assert api.producer.sent == []


@pytest.mark.parametrize("path", ["/v1/items", "/v1/items/a"])
async def test_another_content_type_and_a_body_too_large_are_refused(path: str) -> None:
    api = Api()
    method = "POST" if path == "/v1/items" else "PUT"
    async with api.client() as http:
        wrong = await http.request(method, path, content=b"{}", headers={"Content-Type": "text/plain"})
        kind = {"Content-Type": "application/json"}
        large = await http.request(method, path, content=b" " * (5 << 20), headers=kind)
    assert (wrong.status_code, wrong.json()["reason"]) == (415, "wrong_content_type")
    assert (large.status_code, large.json()["reason"]) == (413, "too_large")
    assert api.producer.sent == []


async def test_without_an_acknowledgement_nothing_is_accepted() -> None:
    api = Api(api_ack_seconds=0.05)
    async with api.client() as http:
        api.producer.fails = KafkaError("no")
        failed = await http.post("/v1/items", json=[{"item_id": "a"}, {"item_id": "b", "price": -1}])
        api.producer.fails = None
        api.producer.holds = True
        held = await http.delete("/v1/items/a")
    assert (failed.status_code, failed.headers["Retry-After"]) == (503, "2")
    reasons = [(error["index"], error["reason"]) for error in failed.json()["errors"]]
    assert (failed.json()["accepted"], reasons) == (0, [(0, "not_written"), (1, "wrong_value")])
    assert (held.status_code, held.json()["errors"][0]["reason"]) == (503, "not_written")
    assert api.metrics.value(ITEMS) == 0
    assert api.metrics.value(ITEMS_REFUSED, "not_written") == 2
    assert api.metrics.value(ITEMS_REFUSED, "wrong_value") == 1


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_the_catalogue_needs_the_right_admin(method: str, path: str) -> None:
    api = Api(keys=keys())
    async with api.client() as http:
        told = [
            await http.request(method, path, json={"item_id": "a"}, headers=headers)
            for headers in (SHOP, {}, ADMIN)
        ]
    assert [each.status_code for each in told] == [403, 401, 202]
    assert told[0].json()["reason"] == "missing_right"
    assert len(api.producer.sent) == 1


async def test_markup_in_names_stays_what_it_was() -> None:
    api = Api()
    name = "<script>alert('x')</script>\u2028\""
    async with api.client() as http:
        answer = await http.post("/v1/items", json=[{"item_id": name, "title": name}])
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["item_ids"] == [name]
    assert written(api)[0][1]["title"] == name


async def test_another_method_is_told_all_that_there_are() -> None:
    async with Api().client() as http:
        answer = await http.get("/v1/items/a")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "DELETE, PUT")
