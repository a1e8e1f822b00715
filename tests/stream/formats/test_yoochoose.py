import pytest

from state.event import Event, EventItem
from stream.formats.base import FormatError, Rejects
from stream.formats.yoochoose import load

APR_7 = 1_396_867_869_277


def loaded(*lines: bytes) -> tuple[list[Event], Rejects]:
    rejects = Rejects()
    return list(load(lines, rejects)), rejects


def test_a_click_has_its_session_and_its_category_as_context() -> None:
    events, rejects = loaded(
        b"1,2014-04-07T10:51:09.277Z,214536502,0\n", b"1,2014-04-07T10:54:09.868Z,214536500,S\n"
    )
    assert events[0] == Event(
        event_id="yoochoose-1",
        type="click",
        user_id="yoochoose-1",
        session_id="1",
        time=APR_7,
        items=(EventItem("214536502"),),
    )
    assert events[1].context == {"category": "S"}
    assert not rejects.counts


def test_sessions_are_merged_by_time() -> None:
    events, _ = loaded(
        b"1,2014-04-07T10:51:09.277Z,a,0",
        b"1,2014-04-07T10:51:19.277Z,c,0",
        b"2,2014-04-07T10:51:10.000Z,b,0",
    )
    assert [event.items[0].item_id for event in events] == ["a", "b", "c"]


def test_the_rows_of_a_session_and_time_are_one_purchase() -> None:
    events, _ = loaded(
        b"420374,2014-04-06T18:44:58.314Z,214537888,12462,1\n",
        b"420374,2014-04-06T18:44:58.314Z,214537850,10471,2\n",
        b"281626,2014-04-06T09:40:13.032Z,214535653,1883,1\n",
    )
    assert [(e.type, e.order_id, e.value) for e in events] == [
        ("purchase", "281626-2014-04-06T09:40:13.032Z", 1883.0),
        ("purchase", "420374-2014-04-06T18:44:58.314Z", 33404.0),
    ]
    assert events[1].items == (EventItem("214537888", 1.0, 12462.0), EventItem("214537850", 2.0, 10471.0))


def test_a_price_and_quantity_of_0_are_unknown() -> None:
    (event,), rejects = loaded(b"1,2014-04-06T18:44:58.314Z,5,0,0\n")
    assert (event.items, event.value) == ((EventItem("5"),), None)
    assert not rejects.counts


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1,2014-04-07T10:51:09.277Z,5", "wrong_columns"),
        (b",2014-04-07T10:51:09.277Z,5,1,1", "missing_user"),
        (b"1,2014-04-07T10:51:09.277Z,,1,1", "missing_item"),
        (b"1,2014-04-31T10:51:09.277Z,5,1,1", "wrong_time"),
        (b"1,2014-04-07T10:51:09.277Z,5,-1,1", "wrong_value"),
        (b"1,2014-04-07T10:51:09.277Z,5,1,many", "wrong_value"),
    ],
)
def test_a_bad_line_is_a_reject_with_its_number_and_the_next_one_is_read(line: bytes, reason: str) -> None:
    good = b"1,2014-04-07T10:51:09.277Z,5,1,1\n"
    events, rejects = loaded(good, line, b"\n", good.replace(b"1,2014", b"2,2014"))
    assert [event.event_id for event in events] == ["yoochoose-buy-1", "yoochoose-buy-4"]
    assert [(reject.line, reject.reason) for reject in rejects.examples] == [(2, reason)]


def test_a_file_of_another_kind_is_refused_whole() -> None:
    with pytest.raises(FormatError, match=r"not a YooChoose file: .* the first one has 2 columns"):
        loaded(b"a,b\n")


def test_an_empty_file_has_no_events() -> None:
    assert loaded()[0] == []
