import pytest

from state.event import EventItem
from state.parse import EARLIEST
from stream.formats.base import (
    DETAIL,
    EXAMPLES,
    BadLine,
    Rejects,
    baskets,
    fields_of,
    header_of,
    in_order,
    known_type,
    milliseconds,
    moment,
    parsed,
    part_id,
    price_of,
    required,
    text_of,
)


def test_rejects_are_all_counted_and_the_first_ones_kept() -> None:
    rejects = Rejects()
    for line in range(1, EXAMPLES + 6):
        rejects.add(line, "wrong_time" if line % 2 else "not_json", "x" * 500)
    assert rejects.counts.total() == EXAMPLES + 5
    assert set(rejects.counts) == {"wrong_time", "not_json"}
    assert [reject.line for reject in rejects.examples] == list(range(1, EXAMPLES + 1))
    assert {len(reject.detail) for reject in rejects.examples} == {DETAIL}


def test_cleared_rejects_are_empty() -> None:
    rejects = Rejects()
    rejects.add(1, "not_json", "")
    rejects.clear()
    assert not rejects.counts
    assert not rejects.examples


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_line_loses_its_end_and_its_byte_order_mark(end: bytes) -> None:
    assert text_of("\ufeffcafé".encode() + end) == "café"


def test_bytes_that_are_not_utf8_are_a_bad_line() -> None:
    with pytest.raises(BadLine) as caught:
        text_of(b"\xff\xfe")
    assert caught.value.reason == "not_utf8"


def test_seconds_become_milliseconds() -> None:
    assert milliseconds("1511658000") == 1_511_658_000_000


@pytest.mark.parametrize("text", ["", "soon", "-1511658000", "12", "1511658000000", "1e9"])
def test_what_is_not_epoch_seconds_is_a_wrong_time(text: str) -> None:
    with pytest.raises(BadLine) as caught:
        milliseconds(text)
    assert caught.value.reason == "wrong_time"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("1511658000", 1_511_658_000_000),
        ("1511658000.25", 1_511_658_000_250),
        ("1511658000123", 1_511_658_000_123),
        ("2017-11-26T01:00:00.5Z", 1_511_658_000_500),
        ("2017-11-26 01:00:00 UTC", 1_511_658_000_000),
    ],
)
def test_a_moment_is_seconds_milliseconds_or_iso(text: str, time: int) -> None:
    assert moment(text) == time


@pytest.mark.parametrize("text", ["", "soon", "12", "-1", "nan", "inf", "2017-02-30"])
def test_what_is_no_moment_is_a_wrong_time(text: str) -> None:
    with pytest.raises(BadLine) as caught:
        moment(text)
    assert caught.value.reason == "wrong_time"


def test_made_up_times_are_a_second_apart_and_the_engine_takes_them() -> None:
    assert in_order(86_400) - in_order(0) == 86_400_000
    assert in_order(0) >= EARLIEST


@pytest.mark.parametrize(("text", "price"), [("", None), ("0", None), ("0.00", None), ("2.5", 2.5)])
def test_a_price_of_0_is_unknown(text: str, price: float | None) -> None:
    assert price_of(text) == price


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "free"])
def test_what_is_no_price_is_a_wrong_value(text: str) -> None:
    with pytest.raises(BadLine) as caught:
        price_of(text)
    assert caught.value.reason == "wrong_value"


def test_an_unknown_type_is_told_with_the_known_ones() -> None:
    assert known_type("pv", {"pv": "view"}) == "view"
    with pytest.raises(BadLine, match="type 'dance'; known are pv"):
        known_type("dance", {"pv": "view"})


def test_a_line_has_a_field_for_each_name() -> None:
    assert fields_of("a;;c", ["1", "2", "3"], ";") == ["a", "", "c"]
    with pytest.raises(BadLine, match="2 columns where x,y,z is expected"):
        fields_of("a,b", ["x", "y", "z"])


@pytest.mark.parametrize(("line", "names"), [(b"\xef\xbb\xbfa,b\r\n", ["a", "b"]), (b"\xff", ["\ufffd"])])
def test_a_header_is_read_whatever_its_bytes_are(line: bytes, names: list[str]) -> None:
    assert header_of(iter([line])) == names
    assert header_of(iter([])) == [""]


def test_parsed_lines_are_numbered_and_refused_ones_are_rejects() -> None:
    def parse(text: str, number: int) -> tuple[str, int] | None:
        return None if text == "skip" else (required(text.strip(), "item_id"), number)

    rejects = Rejects()
    lines = [b"a\n", b"\n", b" \n", b"skip\n", b"\xff\n", b"b"]
    assert list(parsed(lines, rejects, parse, first=2)) == [("a", 2), ("b", 7)]
    assert [(reject.line, reject.reason) for reject in rejects.examples] == [
        (4, "missing_item"),
        (6, "not_utf8"),
    ]


@pytest.mark.parametrize(("field", "reason"), [("user_id", "missing_user"), ("item_id", "missing_item")])
def test_an_empty_id_is_missing(field: str, reason: str) -> None:
    with pytest.raises(BadLine) as caught:
        required("", field)
    assert caught.value.reason == reason
    assert required("7", field) == "7"


def test_a_large_basket_is_cut_without_losing_an_item() -> None:
    items = [EventItem(str(n)) for n in range(250)]
    parts = list(baskets(items))
    assert [number for number, _ in parts] == [0, 1, 2]
    assert [len(part) for _, part in parts] == [100, 100, 50]
    assert [item for _, part in parts for item in part] == items


def test_the_first_part_keeps_the_orders_event_id() -> None:
    assert [part_id("o-1", number) for number in range(3)] == ["o-1", "o-1.1", "o-1.2"]
