"""Other vendors' calls, with the payloads of `tests/state/fronts/golden`."""

import json
from pathlib import Path

import pytest

from stream.api.keys import Access, Keys, hash_of
from tests.stream.api.fakes import NOW, Api

GOLDEN = Path(__file__).parents[2] / "state" / "fronts" / "golden"
TRACK = {
    "type": "track",
    "event": "Product Clicked",
    "messageId": "m1",
    "userId": "u1",
    "properties": {"product_id": "sku-1"},
}
GA4 = {
    "client_id": "c1",
    "user_id": "u1",
    "timestamp_micros": NOW * 1000,
    "events": [{"name": "view_item", "params": {"items": [{"item_id": "sku-1"}]}}],
}
OURS = {"type": "click", "user_id": "u1", "item_id": "sku-1"}
CLOUD = {"specversion": "1.0", "id": "c-1", "source": "/shop", "type": "com.shop.click", "data": OURS}


async def test_a_call_of_segment_is_answered_as_segment_does() -> None:
    api = Api()
    async with api.client() as http:
        track = await http.post("/fronts/segment/v1/track", json={**TRACK, "type": None} | {"type": "track"})
        plain = await http.post("/fronts/segment/v1/batch", content=json.dumps({"batch": [TRACK]}))
        page = await http.post("/fronts/segment/v1/page", json={"userId": "u1", "messageId": "m2"})
        wrong = await http.post("/fronts/segment/v1/track", json={**TRACK, "userId": None})
    assert [(each.status_code, each.json()["success"]) for each in (track, plain, page, wrong)] == [
        (200, True),
        (200, True),
        (200, True),
        (400, False),
    ]
    assert [event["type"] for event in api.events()] == ["click", "click"]


async def test_google_gets_no_content_and_a_wrong_call_says_why() -> None:
    api = Api()
    async with api.client() as http:
        good = await http.post("/fronts/ga4/mp/collect?measurement_id=G-1", json=GA4)
        wrong = await http.post("/fronts/ga4/mp/collect", json={"events": 7})
        broken = await http.post("/fronts/ga4/mp/collect", content=b"{")
    assert (good.status_code, good.content) == (204, b"")
    assert [(each.status_code, each.json()["reason"]) for each in (wrong, broken)] == [
        (422, "all_refused"),
        (400, "not_json"),
    ]
    assert [event["type"] for event in api.events()] == ["view"]


async def test_cloud_events_come_structured_binary_or_in_a_batch() -> None:
    api = Api()
    binary = {"ce-specversion": "1.0", "ce-id": "c-2", "ce-source": "/shop", "ce-type": "com.shop.click"}
    async with api.client() as http:
        kind = {"Content-Type": "application/cloudevents+json"}
        structured = await http.post("/fronts/cloudevents", content=json.dumps(CLOUD), headers=kind)
        plain = await http.post("/fronts/cloudevents", json=OURS, headers=binary)
        kind = {"Content-Type": "application/cloudevents-batch+json"}
        batch = await http.post("/fronts/cloudevents", content=json.dumps([CLOUD]), headers=kind)
        wrong = await http.post("/fronts/cloudevents", json={"specversion": "0.3"})
    assert [each.status_code for each in (structured, plain, batch, wrong)] == [202, 202, 202, 422]
    assert plain.json()["event_ids"] == ["c-2"]
    assert len(api.producer.sent) == 3


async def test_a_tracker_of_snowplow_is_told_ok() -> None:
    golden = json.loads((GOLDEN / "snowplow.json").read_text(encoding="utf-8"))
    payload = golden["cases"][0]["payload"]
    api = Api()
    async with api.client() as http:
        answer = await http.post("/fronts/snowplow/com.snowplowanalytics.snowplow/tp2", json=payload)
    assert (answer.status_code, answer.text) == (200, "ok"), answer.text
    assert api.producer.sent


@pytest.mark.parametrize("path", ["segment/v1/track", "ga4/mp/collect", "snowplow/x", "cloudevents"])
async def test_hostile_bodies_are_bad_requests(path: str) -> None:
    api = Api()
    async with api.client() as http:
        for body in (b"", b"[" * 100_000, b"\xff", b"null", b"7", b'"<script>"'):
            assert (await http.post(f"/fronts/{path}", content=body)).status_code in {200, 202, 204, 400, 422}
        huge = await http.post(f"/fronts/{path}", content=b" " * (10 << 20))
    assert (huge.status_code, api.producer.sent) == (413, [])


async def test_a_tracker_that_can_only_fetch_images_gets_a_pixel() -> None:
    golden = json.loads((GOLDEN / "snowplow.json").read_text(encoding="utf-8"))
    event = golden["cases"][0]["payload"]["data"][0]
    keys = Keys({hash_of("s"): Access("shop", "default", frozenset({"events"}))}, "1")
    by_post, by_get = Api(keys=keys), Api(keys=keys)
    secret = {"api_secret": "s"}
    async with by_post.client() as http:
        await http.post("/fronts/snowplow/com.snowplowanalytics.snowplow/tp2", params=secret, json=event)
    async with by_get.client() as http:
        pixel = await http.get("/fronts/snowplow/i", params={**event, **secret})
        without = await http.get("/fronts/snowplow/i", params=event)
        nothing = await http.get("/fronts/snowplow/i", params=secret)
        view = await http.get("/fronts/snowplow/i", params={"e": "pv", **secret})
    assert (pixel.status_code, pixel.headers["Content-Type"], pixel.content[:6]) == (
        200,
        "image/gif",
        b"GIF89a",
    )
    assert [each.status_code for each in (without, nothing, view)] == [401, 422, 200]
    assert by_get.events() == by_post.events() != []
    assert "api_secret" not in str(by_get.events())
