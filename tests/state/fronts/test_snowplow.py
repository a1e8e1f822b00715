import base64
import json

import pytest

from state.fronts.snowplow import ECOMMERCE, TYPES, translate
from tests.state.fronts.cases import golden, only

PRODUCT = {"id": "a", "category": "Shoes", "price": 9.5, "currency": "EUR"}


def self_describing(schema, data):
    return {"schema": f"iglu:{schema}", "data": data}


def tracked(action, *entities, **fields):
    inner = self_describing(f"{ECOMMERCE}/snowplow_ecommerce_action/jsonschema/1-0-2", action)
    event = {
        "e": "ue",
        "uid": "u",
        "ue_pr": json.dumps(
            self_describing("com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0", inner)
        ),
        "co": json.dumps({"schema": "iglu:contexts", "data": list(entities)}),
    }
    return only(translate({"schema": "iglu:payload_data", "data": [event | fields]}, {}))


def entity(name, **data):
    return self_describing(f"{ECOMMERCE}/{name}/jsonschema/1-0-0", data)


def test_every_action_that_is_understood_is_in_a_golden_request():
    kinds = {event["type"] for case in golden("snowplow")["cases"] for event in case["events"]}
    assert kinds == {*TYPES.values(), "search"}


def test_text_and_base_64_say_the_same():
    plain = tracked({"type": "product_view"}, entity("product", **PRODUCT), eid="1")
    inner = self_describing(
        f"{ECOMMERCE}/snowplow_ecommerce_action/jsonschema/1-0-2", {"type": "product_view"}
    )
    coded = {
        "ue_px": {"schema": "iglu:x/y/jsonschema/1-0-0", "data": inner},
        "cx": {"data": [entity("product", **PRODUCT)]},
    }
    coded = {
        name: base64.urlsafe_b64encode(json.dumps(value).encode()).decode() for name, value in coded.items()
    }
    assert only(translate({"data": [{"e": "ue", "uid": "u", "eid": "1", **coded}]}, {})) == plain
    assert plain["items"] == [{"item_id": "a", "price": 9.5, "category": "Shoes", "currency": "EUR"}]


def test_a_single_event_needs_no_envelope():
    event = {
        "e": "ue",
        "uid": "u",
        "ue_pr": {
            "data": {
                "schema": f"iglu:{ECOMMERCE}/snowplow_ecommerce_action/jsonschema/1-0-0",
                "data": {"type": "product_view"},
            }
        },
    }
    event["co"] = {"data": [entity("product", **PRODUCT)]}
    assert only(translate(event, {}))["type"] == "view"


def test_the_true_time_goes_before_the_devices():
    event = tracked({"type": "product_view"}, entity("product", **PRODUCT), dtm="5", ttm="7")
    assert event["time"] == 7


def test_a_place_counts_within_a_slate_of_ours():
    product = entity("product", **PRODUCT, position=4)
    event = tracked({"type": "list_click", "name": "slate:s-1"}, product)
    assert (event["slate_id"], event["position"]) == ("s-1", 4)
    assert "position" not in tracked({"type": "list_click", "name": "Related"}, product)


def test_money_is_the_deals_and_the_currency_the_first_that_is_said():
    deal = entity("transaction", transaction_id="T", revenue=19, currency="USD")
    event = tracked({"type": "transaction"}, entity("product", **PRODUCT), deal)
    assert (event["value"], event["currency"], event["order_id"]) == (19, "USD", "T")
    event = tracked(
        {"type": "add_to_cart"}, entity("product", **PRODUCT), entity("cart", total_value=50, currency="GBP")
    )
    assert event["currency"] == "GBP"
    assert "value" not in event


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({}, "wrong_type"),
        ({"data": [{}]}, "missing_type"),
        ({"data": [{"e": "pv"}]}, "passed_over"),
        ({"data": [{"e": "ue"}]}, "passed_over"),
        ({"data": [{"e": "ue", "ue_pr": "{"}]}, "not_json"),
        ({"data": [{"e": "ue", "ue_px": "!"}]}, "wrong_value"),
        ({"data": [{"e": "ue", "ue_pr": "[]"}]}, "wrong_type"),
        ({"data": [{"e": "ue", "co": "7"}]}, "wrong_type"),
        ({"event": "page_view", "event_id": "1"}, "passed_over"),
    ],
)
def test_what_is_left_out_says_why(payload, reason):
    assert only(translate(payload, {})) == reason


@pytest.mark.parametrize(
    ("action", "entities", "reason"),
    [
        ({}, [], "missing_type"),
        ({"type": "checkout_step"}, [], "passed_over"),
        ({"type": "list_view"}, [], "passed_over"),
        ({"type": "refund"}, [entity("refund", transaction_id="T")], "missing_item"),
        (
            {"type": "product_view"},
            [self_describing(f"{ECOMMERCE}/product/jsonschema/1-0-0", "a")],
            "wrong_type",
        ),
        ({"type": "product_view"}, ["a"], "wrong_type"),
    ],
)
def test_an_action_that_is_left_out_says_why(action, entities, reason):
    assert tracked(action, *entities) == reason


def test_the_next_model_of_a_schema_is_not_guessed_at():
    event = {
        "e": "ue",
        "uid": "u",
        "ue_pr": {
            "data": {
                "schema": f"iglu:{ECOMMERCE}/snowplow_ecommerce_action/jsonschema/2-0-0",
                "data": {"type": "product_view"},
            }
        },
    }
    assert only(translate({"data": [event]}, {})) == "passed_over"
