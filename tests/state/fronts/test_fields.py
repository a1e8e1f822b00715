import pytest

from state.errors import InvalidEvent, InvalidRequest
from state.fronts.fields import (
    LeftOut,
    array,
    base64_text,
    content_id,
    each,
    filled,
    first,
    item_of,
    json_text,
    kind_of,
    needs_items,
    number,
    pass_over,
    place_of,
    refuse,
    rest,
    short,
    slate_named,
    table,
    text,
)


def reason_of(function, *args):
    with pytest.raises(InvalidEvent) as caught:
        function(*args)
    return caught.value.reason


def test_events_are_translated_one_by_one_and_a_bad_one_is_left_out_at_its_place():
    def one(event, index):
        return [{"n": index}, {"n": index}] if event else pass_over("nothing in it")

    assert each([{"a": 1}, {}, 7], one) == [
        {"n": 0},
        {"n": 0},
        LeftOut(1, "passed_over", "nothing in it"),
        LeftOut(2, "wrong_type", "the event must be an object, not a number"),
    ]
    assert each("x", one) == [LeftOut(0, "wrong_type", "expected an array of events, got text")]


def test_what_nests_without_end_is_left_out():
    def one(event, index):
        raise RecursionError

    assert each([{}], one) == [LeftOut(0, "wrong_value", "nested without end")]


@pytest.mark.parametrize(
    ("given", "read"),
    [(None, None), ("", None), (3, 3), (2.5, 2.5), ("3", 3), (" -2.50 ", -2.5), (".5", 0.5)],
)
def test_a_number_may_come_as_text(given, read):
    assert number(given, "price") == read
    assert type(number(given, "price")) is type(read)


@pytest.mark.parametrize("given", [True, [], {}, "1,000", "$3", "1e3", "NaN", "\u0661", "1" * 50])
def test_what_is_no_number_is_refused(given):
    assert reason_of(number, given, "price") == "wrong_type"


def test_values_of_the_wrong_kind_are_refused_and_absent_ones_are_empty():
    assert (table(None, "a"), array(None, "a"), text(None, "a"), text("", "a")) == ({}, [], None, None)
    assert reason_of(table, [], "a") == "wrong_type"
    assert reason_of(array, {}, "a") == "wrong_type"
    assert reason_of(text, 1, "a") == "wrong_type"


def test_a_product_keeps_its_other_fields_but_none_that_would_be_taken_for_ours():
    product = {"sku": "s", "price": "9.50", "quantity": None, "item_id": "not this one", "name": "Shoe"}
    assert item_of(product, ("product_id", "sku"), "p") == {
        "item_id": "s",
        "price": 9.5,
        "sku": "s",
        "name": "Shoe",
    }


@pytest.mark.parametrize(
    ("lists", "slate"),
    [
        (["slate:events-3-17"], "events-3-17"),
        ([None, 7, "related", "slate:e"], "e"),
        (["slate:"], None),
        (["sale"], None),
    ],
)
def test_a_list_names_a_slate_by_its_prefix(lists, slate):
    assert slate_named(*lists) == slate


@pytest.mark.parametrize(
    ("items", "place"),
    [
        ([{"position": 3}], 3),
        ([{"position": "3"}], 3),
        ([{"position": 0}], None),
        ([{"position": float("inf")}], None),
        ([{}], None),
        ([{"position": 1}, {"position": 2}], None),
        ([], None),
    ],
)
def test_a_place_is_that_of_the_one_item_counted_from_one(items, place):
    assert place_of(items) == place


def test_a_list_that_does_not_say_what_it_shows_is_passed_over_and_a_refund_is_asked_for_its_items():
    assert reason_of(needs_items, {"type": "impression"}, "view_item_list") == "passed_over"
    assert reason_of(needs_items, {"type": "refund"}, "refund") == "missing_item"
    needs_items({"type": "impression", "slate_id": "s"}, "view_item_list")
    needs_items({"type": "refund", "items": [{}]}, "refund")


def test_an_id_of_what_is_said_does_not_depend_on_the_order_of_fields():
    same = content_id("v", 0, {"a": 1, "b": [2]})
    assert same == content_id("v", 0, {"b": [2], "a": 1})
    assert same.startswith("v-")
    assert len({same, content_id("v", 1, {"a": 1, "b": [2]}), content_id("w", 0, {"a": 1, "b": [2]})}) == 3
    assert reason_of(content_id, "v", {1, 2}) == "wrong_value"


def test_json_and_base_64_within_fields_are_read_or_refused():
    assert json_text('{"a": 1}', "p") == {"a": 1}
    assert reason_of(json_text, "{", "p") == "not_json"
    assert reason_of(json_text, b"\xff", "p") == "not_json"
    assert reason_of(json_text, "[" * 100_000, "p") == "not_json"
    assert base64_text("-_8", "p") == base64_text("+/8=", "p") == b"\xfb\xff"
    assert reason_of(base64_text, "a", "p") == "wrong_value"
    assert reason_of(base64_text, "é", "p") == "wrong_value"
    assert reason_of(base64_text, 1, "p") == "wrong_type"


def test_small_helpers():
    assert first({"a": "", "b": 0, "c": 1}, ("a", "b", "c")) == 0
    assert rest({"a": 1, "b": None}, {"a"}) == {"b": None}
    assert filled(a=0, b=None, c="", d=[], e={}, f=False) == {"a": 0, "f": False}
    assert [kind_of(each) for each in (None, True, 1, "", [], {}, 1j)] == [
        "null",
        "a boolean",
        "a number",
        "text",
        "an array",
        "an object",
        "complex",
    ]
    assert len(short("x" * 1000)) == 60
    with pytest.raises(InvalidRequest, match="userId is needed"):
        refuse("userId", "is needed")
