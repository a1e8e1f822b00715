import json
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from hypothesis import given, settings

from state.errors import REASONS, InvalidRequest
from state.fronts.fields import LeftOut
from state.fronts.personalize import (
    STATUS,
    TYPES,
    asked_ranking,
    asked_recommendations,
    error,
    items,
    ranking,
    recommendations,
    translate,
    users,
)
from state.parse_item import parse_item
from tests.state.fronts.cases import anything, damaged, golden, named, only, parted, raised

GOLDEN = golden("personalize")


class Item(NamedTuple):
    item_id: str
    score: float


def put(**event):
    body = {"trackingId": "t", "userId": "u", "sessionId": "s", "eventList": [event]}
    return only(translate(body, {}))


CLICK = {"eventType": "click", "itemId": "a", "sentAt": 1_763_831_001}


def test_types_are_compared_without_case_spaces_and_underscores():
    for name in ("AddToCart", "add_to_cart", "Add to Cart", "add-to-cart"):
        assert put(**CLICK | {"eventType": name})["type"] == "add_to_cart"
    assert all(name == name.lower() and name.isalnum() for name in TYPES)


def test_time_is_seconds_as_a_number_or_as_text():
    assert put(**CLICK)["time"] == 1_763_831_001_000
    assert put(**CLICK | {"sentAt": "1763831001.25"})["time"] == 1_763_831_001_250
    assert put(**CLICK | {"sentAt": 1e30}) == "wrong_time"
    assert put(**CLICK | {"sentAt": "yesterday"}) == "wrong_type"


def test_a_user_who_is_not_logged_in_is_the_session():
    (event,) = translate({"sessionId": "s", "eventList": [CLICK]}, {})
    assert (event["anonymous_id"], event["session_id"]) == ("s", "s")
    assert "anonymous_id" not in put(**CLICK)


def test_a_search_has_the_query_of_its_properties_and_a_purchase_its_value():
    assert put(eventType="search", properties='{"query": "shoes"}')["query"] == "shoes"
    assert put(**CLICK | {"eventType": "purchase", "eventValue": "9.50"})["value"] == 9.5
    assert "value" not in put(**CLICK | {"eventValue": 4})


def test_an_impression_alone_is_one_event_of_what_was_shown():
    event = put(eventType="impression", impression=["a", "b"], recommendationId="s")
    assert event["items"] == [{"item_id": "a"}, {"item_id": "b"}]
    assert event["slate_id"] == "s"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({}, "missing_type"),
        ({"eventType": "rating"}, "passed_over"),
        ({"eventType": 7}, "wrong_type"),
        (CLICK | {"properties": "{"}, "not_json"),
        (CLICK | {"properties": "[]"}, "wrong_type"),
        (CLICK | {"properties": 7}, "wrong_type"),
        (CLICK | {"impression": "a"}, "wrong_type"),
        (CLICK | {"eventType": "purchase", "eventValue": "much"}, "wrong_type"),
    ],
)
def test_what_is_left_out_says_why(event, reason):
    assert put(**event) == reason


@pytest.mark.parametrize("case", **named(GOLDEN["items"]))
def test_a_golden_put_items_request_becomes_records_of_the_catalogue(case):
    events, left_out = parted(items(case["payload"]))
    assert (events, left_out) == (case["events"], case["left_out"])
    assert [parse_item(None, fields).item_id for fields in events] == ["sku-1184422", "movie-10"]


@pytest.mark.parametrize("case", **named(GOLDEN["users"]))
def test_users_are_passed_over(case):
    assert parted(users(case["payload"])) == (case["events"], case["left_out"])
    assert only(users({"users": 7})) == "wrong_type"
    assert only(items({})) == "wrong_type"


@pytest.mark.parametrize("case", GOLDEN["answers"], ids=lambda case: case["operation"])
def test_a_golden_slate_is_answered(case):
    slate_id, shown = case["slate"]["slate_id"], [Item(**item) for item in case["slate"]["items"]]
    if case["operation"] == "GetRecommendations":
        asked = asked_recommendations(case["request"])
        answer = recommendations(slate_id, shown, asked.most)
    else:
        asked = asked_ranking(case["request"])
        answer = ranking(slate_id, shown, asked.ranked)
    assert answer == case["response"]
    assert asked.scenario == case["request"]["campaignArn"].rpartition("/")[2]


def test_a_slate_on_no_topic_has_no_recommendation_id():
    assert recommendations(None, [Item("a", 1.0)], 1) == {"itemList": [{"itemId": "a", "score": 1.0}]}
    assert "recommendationId" not in ranking(None, [], ["a"])


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"userId": None}, "userId"),
        ({"userId": 7}, "userId"),
        ({"numResults": -1}, "numResults"),
        ({"numResults": 501}, "numResults"),
        ({"numResults": True}, "numResults"),
        ({"filterArn": "arn:aws:personalize:::filter/x"}, "filterArn"),
        ({"promotions": [{"name": "x"}]}, "promotions"),
        ({"campaignArn": 7}, "campaignArn or recommenderArn"),
    ],
)
def test_a_request_that_cannot_be_answered_says_which_field(changed, field):
    with pytest.raises(InvalidRequest) as caught:
        asked_recommendations({"campaignArn": "arn/feed", "userId": "u"} | changed)
    assert caught.value.field == field


@pytest.mark.parametrize("given", [None, [], "a", [7], [""], ["a"] * 501])
def test_a_ranking_needs_items_to_rank(given):
    with pytest.raises(InvalidRequest, match="inputList"):
        asked_ranking({"userId": "u", "inputList": given})


def test_what_is_ranked_counts_once_and_an_unknown_campaign_is_the_feed():
    asked = asked_ranking({"userId": "u", "inputList": ["a", "b", "a"], "campaignArn": "arn/other"})
    assert (asked.ranked, asked.scenario) == (("a", "b"), "feed")
    assert asked_recommendations({"userId": "u"}).most == 25


@settings(max_examples=100)
@given(anything | damaged([case["request"] for case in GOLDEN["answers"]]))
def test_no_request_raises_but_a_refusal(payload):
    for read in (asked_recommendations, asked_ranking):
        refused = raised(InvalidRequest, read, payload)
        assert refused is None or (refused.field and refused.detail)


@settings(max_examples=100)
@given(anything | damaged([case["payload"] for case in GOLDEN["items"] + GOLDEN["users"]]))
def test_no_payload_of_items_or_users_raises(payload):
    for found in (*items(payload), *users(payload)):
        assert isinstance(found, dict) or found.reason in REASONS


def test_a_request_as_the_services_own_client_writes_it_is_read():
    from botocore.serialize import create_serializer

    moment = datetime(2025, 11, 22, 17, 3, 21, 512_000, tzinfo=UTC)
    event = {"eventType": "click", "itemId": "a", "sentAt": moment, "properties": '{"x": "1"}'}
    asked = {"trackingId": "t", "userId": "u", "sessionId": "s", "eventList": [event]}
    operation = model("personalize-events").operation_model("PutEvents")
    written = create_serializer("rest-json").serialize_to_request(asked, operation)
    (found,) = translate(json.loads(written["body"]), {})
    assert found["time"] // 1000 == 1_763_831_001
    assert found["items"] == [{"item_id": "a"}]
    assert found["context"]["personalize"]["properties"] == {"x": "1"}


def model(name):
    from botocore.session import get_session

    return get_session().get_service_model(name)


@pytest.mark.parametrize("case", **named(GOLDEN["cases"]))
def test_golden_put_events_requests_are_such_by_the_services_own_model(case):
    from botocore.validate import ParamValidator

    shape = model("personalize-events").operation_model("PutEvents").input_shape
    report = ParamValidator().validate(case["payload"], shape)
    assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize("case", GOLDEN["answers"], ids=lambda case: case["operation"])
def test_answers_are_read_by_the_services_own_client(case):
    from botocore.parsers import create_parser

    shape = model("personalize-runtime").operation_model(case["operation"]).output_shape
    answer = {"status_code": 200, "headers": {}, "body": json.dumps(case["response"]).encode()}
    parsed = create_parser("rest-json").parse(answer, shape)
    parsed.pop("ResponseMetadata")
    assert parsed == case["response"]


@pytest.mark.parametrize("kind", STATUS)
def test_errors_are_read_by_the_services_own_client(kind):
    from botocore.parsers import create_parser

    status, headers, body = error(kind, "numResults must be a whole number")
    lower = {name.lower(): value for name, value in headers.items()}
    answer = {"status_code": status, "headers": lower, "body": json.dumps(body).encode()}
    parsed = create_parser("rest-json").parse(answer, None)
    assert parsed["Error"] == {"Code": kind, "Message": "numResults must be a whole number"}


def test_no_left_out_event_has_lost_its_place():
    body = {"eventList": [CLICK, {}, CLICK | {"impression": ["a"]}, {"eventType": "x"}]}
    assert [each.index for each in translate(body, {}) if isinstance(each, LeftOut)] == [1, 3]
