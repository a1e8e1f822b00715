import pytest

from state.fronts.segment import TYPES, translate
from tests.state.fronts.cases import golden, only


def track(event, **properties):
    return only(translate({"event": event, "userId": "u", "properties": properties}, {}))


def test_every_event_that_is_understood_is_in_a_golden_request_or_is_another_name_of_one():
    names = {case["payload"].get("event", "").lower() for case in golden("segment")["cases"]}
    kinds = {TYPES[name] for name in names if name in TYPES}
    assert kinds == set(TYPES.values())


@pytest.mark.parametrize("name", ["Product Viewed", "product_viewed", "PRODUCT  VIEWED", "Viewed Product"])
def test_names_are_compared_without_case_and_underscores(name):
    assert track(name, product_id="a")["type"] == "view"


def test_a_product_is_known_by_its_sku_where_it_has_no_id():
    assert track("Product Viewed", sku="s")["items"] == [{"item_id": "s", "sku": "s"}]


def test_an_event_of_one_product_may_have_it_in_a_list_and_a_cart_beside_it_is_context():
    assert track("Product Added", products=[{"product_id": "a"}])["items"] == [{"item_id": "a"}]
    event = track("Product Added", product_id="a", products=[{"product_id": "b"}])
    assert event["items"] == [{"item_id": "a"}]
    assert event["context"]["segment"]["properties"] == {"products": [{"product_id": "b"}]}


def test_revenue_goes_before_the_total_and_money_of_a_view_is_none():
    assert track("Order Completed", revenue=20, total=25, products=[{"sku": "a"}])["value"] == 20
    assert track("Order Completed", total="25.50", products=[{"sku": "a"}])["value"] == 25.5
    assert "value" not in track("Product Viewed", sku="a", total=3)


def test_a_query_that_is_an_object_is_kept_as_context():
    event = track("Products Searched", query={"brand": "Acme"})
    assert "query" not in event
    assert event["context"]["segment"]["properties"] == {"query": {"brand": "Acme"}}


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ({}, "missing_type"),
        ({"type": "track"}, "missing_type"),
        ({"type": 3}, "wrong_type"),
        ({"type": "page"}, "passed_over"),
        ({"type": "track", "event": "Course Clicked"}, "passed_over"),
        ({"event": "Product List Viewed", "properties": {"category": "Deals"}}, "passed_over"),
        ({"event": "Product Viewed", "properties": []}, "wrong_type"),
        ({"event": "Product Viewed", "properties": {"sku": "a", "price": "cheap"}}, "wrong_type"),
        ({"event": "Order Completed", "properties": {"products": {"sku": "a"}}}, "wrong_type"),
        ({"event": "Order Refunded", "properties": {"order_id": "1"}}, "missing_item"),
    ],
)
def test_what_is_left_out_says_why(call, reason):
    assert only(translate(call, {})) == reason


def test_a_retry_that_was_sent_later_has_the_same_id_and_another_event_another():
    call = {"event": "Product Viewed", "properties": {"sku": "a"}, "sentAt": "2025-11-22T17:03:21Z"}
    first = only(translate(call, {}))["event_id"]
    assert only(translate(call | {"sentAt": "2025-11-22T17:05:00Z"}, {}))["event_id"] == first
    assert only(translate(call | {"userId": "v"}, {}))["event_id"] != first


def test_the_context_of_a_batch_is_each_calls_unless_it_says_otherwise():
    calls = [{"event": "Product Viewed", "properties": {"sku": "a"}, "context": {"ip": "2"}}]
    (event,) = translate({"batch": calls, "context": {"ip": "1", "app": "x"}}, {})
    assert event["context"] | {"segment": 0} == {"ip": "2", "app": "x", "segment": 0}
