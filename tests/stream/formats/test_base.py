import pytest

from state.event import EventItem
from stream.formats.base import (
    DETAIL,
    EXAMPLES,
    BadLine,
    Rejects,
    baskets,
    milliseconds,
    part_id,
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
