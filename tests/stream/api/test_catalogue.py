"""Items as requests bring them."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.parse_item import ITEM_RULES
from stream.api.catalogue import CSV, JSON, JSON_LINES, read, read_one
from stream.api.problem import Problem
from stream.codecs import decode_item

ITEMS = [
    {"item_id": "a", "title": "A, 1", "price": 2.5, "attributes": {"sizes": [1, 2]}, "color": "red"},
    {"item_id": 7, "available": False},
]
LINES = b"\n".join(json.dumps(item).encode() for item in ITEMS)
TABLE = (
    b"item_id,title,price,available,color,attributes\r\n"
    b'a,"A, 1",2.5,,red,"{""sizes"": [1, 2]}"\r\n'
    b"7,,,no,,\r\n"
)


def decoded(checked):
    return [decode_item(entry.item_id.encode(), entry.value) for entry in checked.entries]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (json.dumps(ITEMS).encode(), JSON),
        (json.dumps({"items": ITEMS}).encode(), JSON),
        (LINES, JSON_LINES[0]),
        (b"\xef\xbb\xbf" + LINES + b"\r\n\n", JSON_LINES[1]),
        (TABLE, CSV),
        (b"\xef\xbb\xbf" + TABLE.replace(b"\r\n", b"\n"), CSV),
    ],
)
def test_the_same_items_come_as_an_array_as_lines_and_as_a_table(body: bytes, kind: str) -> None:
    checked = read(body, kind, 10)
    assert (checked.sent, checked.faults) == (2, [])
    first, second = decoded(checked)
    assert (first.item_id, first.title, first.price, first.available) == ("a", "A, 1", 2.5, True)
    assert first.attributes == {"sizes": [1, 2], "color": "red"}
    assert (second.item_id, second.available, second.title, second.price) == ("7", False, None, None)


def test_an_object_is_one_item_and_may_have_items_of_its_own() -> None:
    (entry,) = read(b'{"item_id": "set", "items": ["a", "b"]}', JSON, 10).entries
    assert decode_item(b"set", entry.value).attributes == {"items": ["a", "b"]}


def test_a_wrong_line_is_the_fault_of_its_item_alone() -> None:
    wrong = b'{"item_id": \n{"price": 1}\n\xff\n{"item_id": "e", "price": "1"}'
    lines = b'{"item_id": "a"}\n\n' + wrong + b'\n{"item_id": "f"}'
    checked = read(lines, JSON_LINES[0], 10)
    assert [(entry.place, entry.item_id) for entry in checked.entries] == [(0, "a"), (5, "f")]
    found = [(fault.index, fault.reason, fault.message.partition(":")[0]) for fault in checked.faults]
    assert found == [
        (1, "not_json", "line 3"),
        (2, "missing_item", "line 4"),
        (3, "not_json", "line 5"),
        (4, "wrong_type", "line 6"),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"a,1,yes,x,y", "wrong_type"),
        (b"a,1", "wrong_type"),
        (b"a,cheap,,", "wrong_type"),
        (b"a,1_000,,", "wrong_type"),
        (b"a,nan,,", "wrong_value"),
        (b"a,-1,,", "wrong_value"),
        (b"a,1e999,,", "wrong_value"),
        (b"a,,perhaps,", "wrong_type"),
        (b",1,,", "missing_item"),
        (b"a\x00b,,,", "wrong_id"),
        (b"a,,,\xff", "not_json"),
        (b'a,,,"x"y', "wrong_type"),
        (b"a" * 257 + b",,,", "wrong_id"),
        (b"a,,," + b"x" * 70_000, "too_large"),
        (b'a,,,"' + b"x" * 200_000, "wrong_type"),
    ],
)
def test_a_wrong_row_is_told_with_its_line_and_the_rest_is_taken(row: bytes, reason: str) -> None:
    checked = read(b"item_id,price,available,color\nok,1,true,red\n" + row, CSV, 10)
    assert [entry.item_id for entry in checked.entries] == ["ok"]
    (fault,) = checked.faults
    assert (fault.index, fault.reason) == (1, reason)
    assert fault.message.startswith("line 3: ")
    assert len(fault.message) < 400


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_are_known_by_the_first_line(separator: str) -> None:
    table = "item_id,title,price\na,T,1.5\n".replace(",", separator).encode()
    (item,) = decoded(read(table, CSV, 10))
    assert (item.title, item.price) == ("T", 1.5)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n",
        b"id,title\n1,x",
        b"item_id,item_id\n1,1",
        b"item_id,\n1,1",
        b"item_id,\xff\n1,1",
        "item_id,title\n1,x".encode("utf-16"),
        b'"item_id\n1',
    ],
)
def test_a_table_without_a_proper_header_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(Problem) as refused:
        read(body, CSV, 10)
    assert (refused.value.status, refused.value.reason) == (400, "not_csv")


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[1", b"\xff", b"[" * 200_000, b'{"items": 5}'])
def test_a_body_that_is_no_json_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(Problem) as refused:
        read(body, JSON, 10)
    assert (refused.value.status, refused.value.reason) == (400, "not_json")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (json.dumps([{"item_id": n} for n in range(4)]).encode(), JSON),
        (b"{}\n" * 4, JSON_LINES[0]),
        (b"item_id\n" + b"a\n" * 4, CSV),
        (b"item_id\n" + b"\n" * 4_000_000 + b"a", CSV),
        (b"\n" * 4_000_000 + b"{}", JSON_LINES[0]),
    ],
)
def test_more_than_the_limit_is_refused_as_a_whole(body: bytes, kind: str) -> None:
    with pytest.raises(Problem) as refused:
        read(body, kind, 3)
    assert (refused.value.status, refused.value.reason) == (413, "too_large")
    assert "FRESHSLATE_API_BATCH_EVENTS" in refused.value.detail


def test_as_many_as_the_limit_are_taken() -> None:
    assert len(read(b"item_id\n" + b"a\n" * 3, CSV, 3).entries) == 3
    assert len(read(b'{"item_id": 1}\n' * 3, JSON_LINES[0], 3).entries) == 3


def test_what_a_worker_would_find_too_large_is_refused_though_it_came_smaller() -> None:
    spare = ITEM_RULES.max_bytes - len(b'{"item_id":"a","x":""}')
    checked = read(b'{"item_id":"a","x":"%s"}' % (b"y" * spare), JSON, 10)
    assert [fault.reason for fault in checked.faults] == ["too_large"]


@pytest.mark.parametrize("key", ["", "x" * 257, "a\nb", "\x7f"])
def test_an_id_in_the_path_that_cannot_be_one_is_refused(key: str) -> None:
    (fault,) = read_one(key, b"{}").faults
    assert fault.reason in {"missing_item", "wrong_id"}


def test_the_path_says_which_item_it_is() -> None:
    assert read_one("12", b'{"item_id": 12.0}').entries[0].item_id == "12"
    assert read_one("a/b é", b"{}").entries[0].item_id == "a/b é"
    assert read_one("a", b'{"item_id": "b"}').faults[0].reason == "wrong_id"


@given(st.binary(max_size=300), st.sampled_from([JSON, JSON_LINES[0], CSV]))
def test_no_bytes_at_all_break_it(body: bytes, kind: str) -> None:
    header = b"item_id,price,attributes\n" if kind == CSV else b""
    try:
        checked = read(header + body, kind, 50)
    except Problem:
        return
    assert len(checked.entries) + len(checked.faults) == checked.sent
    for item in decoded(checked):
        assert item.item_id


@pytest.mark.parametrize("kind", [JSON, JSON_LINES[0], CSV])
def test_items_that_were_damaged_on_the_way_are_taken_whole_or_refused(kind: str) -> None:
    good = {JSON: json.dumps(ITEMS).encode(), CSV: TABLE}.get(kind, LINES)
    draw = random.Random(5)
    for _ in range(300):
        body = bytearray(good)
        for _ in range(draw.randint(1, 4)):
            body[draw.randrange(len(body))] = draw.randrange(256)
        try:
            checked = read(bytes(body), kind, 50)
        except Problem:
            continue
        assert len(decoded(checked)) + len(checked.faults) == checked.sent
