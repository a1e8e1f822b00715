"""What other vendors' clients send, through everything but the broker."""

import json

from stream.config import Settings
from tests.flow.walk import Walk
from tests.state.fronts.cases import golden
from tests.stream.records import T, click, record

FORMATS = {"web": "segment", "mp": "ga4", "sp": "snowplow", "pz": "personalize", "orders": "cloudevents"}
SETTINGS = Settings(
    slate_size=5,
    candidates=20,
    inputs=("events", *FORMATS),
    input_formats=tuple(f"{topic}={name}" for topic, name in FORMATS.items()),
)


def view(user, item, n):
    call = {"type": "track", "event": "Product Viewed", "messageId": f"{user}-{n}", "userId": user}
    return call | {"properties": {"product_id": item}}


def test_a_session_of_another_vendors_events_teaches_the_same_models():
    walk = Walk(SETTINGS)
    walk.send(view("ann", "tent", 1), view("ann", "stove", 2), topic="web")
    walk.send(click("bob", "tent"), topic="events")
    assert "stove" in walk.latest("bob")
    walk.send(view("ann", "tent", 1), topic="web")
    assert sum(delta.duplicates for delta in walk.deltas) == 1


def test_feedback_in_another_format_answers_the_slate_that_its_list_names():
    walk = Walk(SETTINGS)
    walk.send(view("ann", "tent", 1), view("ann", "stove", 2), topic="web")
    walk.send(view("bob", "tent", 1), topic="web")
    slate = walk.slates[-1]
    properties = {"product_id": "stove", "list_id": f"slate:{slate.slate_id}", "position": 1}
    clicked = view("bob", "stove", 2) | {"event": "Product Clicked", "properties": properties}
    walk.send(clicked, topic="web")
    (reward,) = walk.rewards
    assert (reward.slate_id, reward.item_id) == (slate.slate_id, "stove")


def test_an_order_in_an_envelope_is_earned_by_the_slate_before_it():
    walk = Walk(SETTINGS)
    walk.send(view("ann", "tent", 1), view("ann", "stove", 2), topic="web")
    walk.send(view("bob", "tent", 1), topic="web")
    attributes = {"ce_specversion": "1.0", "ce_id": "o-1", "ce_type": "shop.purchase", "ce_source": "/till"}
    headers = [(name, value.encode()) for name, value in attributes.items()]
    order = json.dumps({"user_id": "bob", "items": [{"item_id": "stove", "price": 30, "quantity": 2}]})
    walk.process(0, {"orders": [record(order.encode(), topic="orders", time=T + 9000, headers=headers)]})
    (reward,) = walk.rewards
    assert (reward.event_id, reward.type, reward.value) == ("o-1", "purchase", 60.0)


def test_every_golden_request_of_one_event_is_a_record_and_every_other_one_a_dead_letter():
    walk = Walk(SETTINGS)
    for topic, name in FORMATS.items():
        for case in golden(name)["cases"]:
            before = walk.read, len(walk.dead_letters)
            headers = [(key, value.encode()) for key, value in case.get("headers", {}).items()]
            value = json.dumps(case["payload"]).encode()
            start = walk.ends[topic, 0]
            walk.ends[topic, 0] += 1
            run = [record(value, start, topic=topic, time=1_763_831_070_000 + walk.read, headers=headers)]
            walk.process(0, {topic: run})
            is_event = len(case["events"]) == 1 and not case["left_out"]
            assert len(walk.dead_letters) - before[1] == (not is_event), case["name"]
            if not is_event:
                *_, (key, kept, added) = walk.dead_letters
                one = len(case["left_out"]) == 1 and not case["events"]
                reason = case["left_out"][0]["reason"] if one else "not_one_event"
                assert (key, kept) == (run[0].key, value)
                assert dict(added)["dlq.reason"].decode() == reason
                assert list(added[: len(headers)]) == headers
    assert walk.read == sum(len(golden(name)["cases"]) for name in FORMATS.values())
