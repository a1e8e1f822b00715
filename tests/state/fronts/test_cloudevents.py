import pytest

from state.fronts.cloudevents import translate
from tests.state.fronts.cases import only

EVENT = {
    "specversion": "1.0",
    "id": "A-1",
    "source": "/shop",
    "type": "com.shop.click",
    "data": {"user_id": "u", "item_id": "a"},
}


@pytest.mark.parametrize(
    ("name", "kind"),
    [("click", "click"), ("com.shop.add_to_cart", "add_to_cart"), ("com.shop.purchase.v2", "purchase")],
)
def test_the_type_is_the_last_part_without_a_version(name, kind):
    assert only(translate(EVENT | {"type": name}, {}))["type"] == kind


@pytest.mark.parametrize("name", ["com.shop.user.created", "v1", "com.shop.forget", "", "com.shop."])
def test_another_type_is_passed_over_unless_the_data_have_one(name):
    found = only(translate(EVENT | {"type": name}, {}))
    assert found == "passed_over" if name else found["type"] is None
    data = EVENT["data"] | {"type": "like"}
    assert only(translate(EVENT | {"type": name, "data": data}, {}))["type"] == "like"


def test_what_the_data_say_goes_before_the_envelope():
    data = {"event_id": "own", "time": 5, "type": "view", "context": {"device": "mobile"}}
    event = only(translate(EVENT | {"time": "2025-11-22T17:03:21Z", "data": data}, {}))
    assert (event["event_id"], event["time"], event["type"]) == ("own", 5, "view")
    assert event["context"] == {
        "device": "mobile",
        "cloudevents": {"source": "/shop", "type": "com.shop.click"},
    }


def test_headers_of_binary_mode_are_unescaped_over_http_and_not_on_kafka():
    names = {"specversion": "1.0", "id": "%41", "type": "com.shop.click", "source": "%C3%A9"}
    for mark, its_id, source in (("-", "A", "é"), ("_", "%41", "%C3%A9")):
        headers = {f"ce{mark}{name}": value for name, value in names.items()}
        event = only(translate(EVENT["data"], headers))
        assert (event["event_id"], event["context"]["cloudevents"]["source"]) == (its_id, source)


def test_structured_mode_may_repeat_the_attributes_as_headers():
    headers = {"content-type": "application/cloudevents+json", "ce-id": "B", "ce-specversion": "1.0"}
    assert only(translate(EVENT, headers))["event_id"] == "A-1"


def test_an_event_without_an_id_has_one_of_its_content():
    nameless = {name: value for name, value in EVENT.items() if name != "id"}
    event_id = only(translate(nameless, {}))["event_id"]
    assert event_id.startswith("cloudevents-")
    assert only(translate(nameless | {"source": "/other"}, {}))["event_id"] != event_id


@pytest.mark.parametrize("content", ["application/json", "Application/JSON; charset=utf-8", "a/b+json", None])
def test_json_has_many_names(content):
    assert only(translate(EVENT | {"datacontenttype": content}, {}))["type"] == "click"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"specversion": None}, "wrong_type"),
        ({"specversion": 1.0}, "wrong_type"),
        ({"specversion": "2.0"}, "unsupported_schema"),
        ({"datacontenttype": "application/avro"}, "wrong_type"),
        ({"data": None}, "wrong_type"),
        ({"data": "text"}, "wrong_type"),
        ({"data_base64": "!"}, "wrong_value"),
        ({"data_base64": "e3s="}, "not_json"),
        ({"type": 7}, "wrong_type"),
        ({"data": {"context": 7}}, "wrong_type"),
    ],
)
def test_what_is_left_out_says_why(changed, reason):
    assert only(translate(EVENT | changed, {})) == reason


def test_a_batch_is_known_by_its_type_or_by_being_an_array():
    batch = {"content-type": "application/cloudevents-batch+json"}
    assert [event["event_id"] for event in translate([EVENT, EVENT | {"id": "B"}], {})] == ["A-1", "B"]
    assert only(translate(EVENT, batch)) == "wrong_type"
    assert translate([], batch) == []
