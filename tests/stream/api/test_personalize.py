"""Amazon Personalize's calls; with boto3 itself: `tests/kafka/test_api.py`."""

import pytest

from stream.api.keys import Access, Keys, hash_of
from stream.api.metrics import ITEMS_REFUSED
from tests.stream.api.fakes import NOW, Api, slate_of

BASE = "/fronts/personalize"
EVENT = {"eventId": "e1", "eventType": "click", "itemId": "i1", "sentAt": NOW / 1000}
PUT = {"trackingId": "t", "userId": "u1", "sessionId": "s1", "eventList": [EVENT]}


async def test_events_are_taken_whole_or_not_at_all() -> None:
    api = Api()
    async with api.client() as http:
        good = await http.post(f"{BASE}/events", json=PUT)
        bad = {**PUT, "eventList": [{**EVENT, "eventId": "e2"}, {**EVENT, "itemId": None}]}
        wrong = await http.post(f"{BASE}/events", json=bad)
        none = await http.post(f"{BASE}/events", json={"userId": "u1"})
        passed = await http.post(
            f"{BASE}/events", json={**PUT, "eventList": [{**EVENT, "eventType": "rate"}]}
        )
    assert (good.status_code, good.content) == (200, b"")
    assert passed.status_code == 200
    for answer in (wrong, none):
        assert (answer.status_code, answer.headers["x-amzn-ErrorType"]) == (400, "InvalidInputException")
        assert answer.json()["__type"] == "InvalidInputException"
    assert [(event["event_id"], event["type"]) for event in api.events()] == [("e1", "click")]


async def test_recommendations_are_the_users_latest_slate() -> None:
    api = Api()
    api.store.put("u1", slate_of("u1", number=7), NOW)
    async with api.client() as http:
        mine = (await http.post(f"{BASE}/recommendations", json={"userId": "u1", "numResults": 2})).json()
        nobody = (await http.post(f"{BASE}/recommendations", json={"userId": "x"})).json()
        wrong = await http.post(f"{BASE}/recommendations", json={"userId": "u1", "filterArn": "arn:x"})
    assert (mine["recommendationId"], [item["itemId"] for item in mine["itemList"]]) == (
        "events-0-7",
        ["i1", "i2"],
    )
    assert "recommendationId" not in nobody
    assert [item["itemId"] for item in nobody["itemList"]] == ["p1", "p2"]
    assert (wrong.status_code, "filterArn" in wrong.json()["message"]) == (400, True)


async def test_a_ranking_follows_the_slate_and_keeps_the_rest_as_it_came() -> None:
    api = Api()
    api.store.put("u1", slate_of("u1"), NOW)
    async with api.client() as http:
        told = await http.post(
            f"{BASE}/personalize-ranking", json={"userId": "u1", "inputList": ["z", "i3", "y", "i1"]}
        )
    assert [item["itemId"] for item in told.json()["personalizedRanking"]] == ["i1", "i3", "z", "y"]


async def test_items_go_to_the_catalogue_and_users_are_passed_over() -> None:
    api = Api()
    async with api.client() as http:
        item = {"itemId": "i1", "properties": '{"price": 2.5, "category": "tea|drinks"}'}
        items = await http.post(f"{BASE}/items", json={"datasetArn": "arn:x", "items": [item]})
        wrong = await http.post(f"{BASE}/items", json={"items": [{"itemId": "", "properties": "{}"}]})
        users = await http.post(f"{BASE}/users", json={"users": [{"userId": "u1"}]})
    assert (items.status_code, wrong.status_code, users.status_code) == (200, 400, 200)
    assert [(sent.topic, sent.key) for sent in api.producer.sent] == [("items", b"i1")]
    assert api.events()[0]["category"] == "tea"
    assert api.metrics.value(ITEMS_REFUSED) == 1


@pytest.mark.parametrize(
    ("right", "path"), [("slates", "events"), ("events", "recommendations"), ("events", "items")]
)
async def test_errors_are_in_the_words_of_aws(right: str, path: str) -> None:
    keys = Keys({hash_of("fs_k"): Access("shop", "north", frozenset({right}))}, "1")
    signed = "AWS4-HMAC-SHA256 Credential=fs_k/20261201/eu-west-1/personalize/aws4_request, Signature=0"
    async with Api(keys=keys).client(Authorization=signed) as http:
        answer = await http.post(f"{BASE}/{path}", json=PUT)
    assert (answer.status_code, answer.headers["x-amzn-ErrorType"]) == (403, "AccessDeniedException")


async def test_a_broker_that_hangs_is_an_unavailable_service() -> None:
    api = Api(api_ack_seconds=0.05)
    api.producer.holds = True
    async with api.client() as http:
        answer = await http.post(f"{BASE}/events", json=PUT)
    assert (answer.status_code, answer.headers["x-amzn-ErrorType"]) == (503, "ServiceUnavailable")
