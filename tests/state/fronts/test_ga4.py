import pytest

from state.fronts.fields import LeftOut
from state.fronts.ga4 import TYPES, translate
from tests.state.fronts.cases import golden, only


def sent(name, body=(), **params):
    return only(translate({"client_id": "c", "events": [{"name": name, "params": params}], **dict(body)}, {}))


ITEMS = [{"item_id": "a", "price": 3, "quantity": 2}]


def test_every_event_that_is_understood_is_in_a_golden_request_or_is_another_name_of_one():
    names = {event["name"] for case in golden("ga4")["cases"] for event in case["payload"]["events"]}
    assert {TYPES[name] for name in names if name in TYPES} == set(TYPES.values())


@pytest.mark.parametrize(
    ("micros", "time"),
    [(1_763_831_001_512_999, 1_763_831_001_512), ("1763831001512999", 1_763_831_001_512), (None, None)],
)
def test_microseconds_become_milliseconds_as_a_number_or_as_text(micros, time):
    assert sent("view_item", {"timestamp_micros": micros}, items=ITEMS).get("time") == time


def test_a_purchase_is_known_by_its_transaction_and_a_refund_of_it_is_not():
    assert sent("purchase", transaction_id="T1", items=ITEMS)["event_id"] == "ga4-purchase-T1"
    assert sent("purchase", transaction_id=1, items=ITEMS)["event_id"] == "ga4-purchase-1"
    assert sent("purchase", transaction_id="", items=ITEMS)["event_id"] != "ga4-purchase-"
    one = sent("refund", transaction_id="T1", items=ITEMS)["event_id"]
    assert one != sent("refund", transaction_id="T1", items=[{"item_id": "b"}])["event_id"]


def test_an_event_id_among_the_parameters_goes_first():
    assert sent("purchase", transaction_id="T1", event_id="mine", items=ITEMS)["event_id"] == "mine"


def test_two_equal_events_of_one_request_are_two():
    event = {"name": "add_to_cart", "params": {"items": ITEMS}}
    one, two = translate({"client_id": "c", "events": [event, event]}, {})
    assert one["event_id"] != two["event_id"]


def test_hashed_data_of_the_user_are_not_kept():
    event = sent(
        "view_item", {"user_data": {"sha256_email_address": ["00"]}, "consent": {"x": 1}}, items=ITEMS
    )
    assert event["context"]["ga4"]["request"] == {"consent": {"x": 1}}


def test_a_slate_is_named_by_a_parameter_or_by_the_list_of_the_first_item():
    assert sent("select_item", slate_id="s", items=ITEMS)["slate_id"] == "s"
    items = [{"item_id": "a", "item_list_id": "slate:s"}]
    assert sent("select_item", items=items)["slate_id"] == "s"
    assert "slate_id" not in sent("select_item", item_list_id="related", items=ITEMS)


@pytest.mark.parametrize(
    ("name", "params", "reason"),
    [
        (None, {}, "missing_type"),
        (7, {}, "wrong_type"),
        ("page_view", {}, "passed_over"),
        ("view_item_list", {"item_list_id": "related"}, "passed_over"),
        ("refund", {"transaction_id": "T1"}, "missing_item"),
        ("view_item", {"items": "a"}, "wrong_type"),
        ("view_item", {"items": [7]}, "wrong_type"),
        ("view_item", {"value": "much", "items": ITEMS}, "wrong_type"),
    ],
)
def test_what_is_left_out_says_why(name, params, reason):
    assert sent(name, **params) == reason


def test_a_time_beyond_all_numbers_is_refused():
    assert sent("view_item", {"timestamp_micros": 1e300}, items=ITEMS) == "wrong_time"
    assert sent("view_item", {"timestamp_micros": "now"}, items=ITEMS) == "wrong_type"


def test_what_is_no_request_is_one_reason():
    assert translate([1], {}) == [LeftOut(0, "wrong_type", "expected an object with events, got an array")]
    assert only(translate({"client_id": "c"}, {})) == "wrong_type"
    assert translate({"events": []}, {}) == []
