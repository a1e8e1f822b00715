import pytest

from state.errors import InvalidItem
from state.parse_item import parse_item


def test_every_field_arrives():
    item = parse_item(
        "a",
        {
            "title": "T",
            "category": "c",
            "brand": "b",
            "price": 9,
            "available": False,
            "attributes": {"color": "red"},
            "sizes": [41],
        },
    )
    assert (item.item_id, item.title, item.category, item.brand) == ("a", "T", "c", "b")
    assert (item.price, item.available) == (9.0, False)
    assert item.attributes == {"color": "red", "sizes": [41]}


def test_an_item_is_available_unless_it_says_otherwise():
    item = parse_item("a", {})
    assert item.available
    assert (item.title, item.price, item.attributes) == (None, None, {})


@pytest.mark.parametrize(
    ("key", "given"), [("7", None), ("7", 7), ("7", "7"), ("7", 7.0), (None, 7), ("", 7)]
)
def test_the_key_says_which_item_it_is(key, given):
    assert parse_item(key, {"item_id": given}).item_id == "7"


@pytest.mark.parametrize(
    ("reason", "key", "fields"),
    [
        ("missing_item", None, {}),
        ("wrong_id", "a", {"item_id": "b"}),
        ("wrong_id", "a\n", {}),
        ("wrong_type", "a", {"available": "yes"}),
        ("wrong_type", "a", {"price": "9"}),
        ("wrong_value", "a", {"price": -1}),
        ("wrong_value", "a", {"price": float("nan")}),
    ],
)
def test_a_record_that_breaks_the_contract_is_left_out(reason, key, fields):
    with pytest.raises(InvalidItem) as caught:
        parse_item(key, fields)
    assert caught.value.reason == reason
