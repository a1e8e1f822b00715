from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.catalogue import CatalogueItem
from state.event import Event, EventItem
from stream.event_file import EventFile
from stream.formats.base import Rejects
from stream.formats.taobao import items, load

DATA = Path(__file__).parents[3].parent / "shared" / "data"
HEADER = b"user_id,item_id,category_id,behavior,timestamp\n"


def loaded(*lines: bytes) -> tuple[list[Event], Rejects]:
    rejects = Rejects()
    return list(load(lines, rejects)), rejects


def test_a_row_becomes_an_event() -> None:
    events, rejects = loaded(HEADER, b"543462,1715,1464116,pv,1511658000\n")
    assert events == [
        Event(
            event_id="taobao-2",
            type="view",
            user_id="543462",
            time=1_511_658_000_000,
            items=(EventItem("1715"),),
            context={"category_id": "1464116"},
        )
    ]
    assert not rejects.counts


@pytest.mark.parametrize(
    ("behavior", "kind"),
    [(b"pv", "view"), (b"cart", "add_to_cart"), (b"fav", "like"), (b"buy", "purchase")],
)
def test_every_behaviour_has_a_type(behavior: bytes, kind: str) -> None:
    (event,), _ = loaded(b"1,2,3," + behavior + b",1511658000")
    assert event.type == kind


def test_a_file_without_a_header_loses_no_row() -> None:
    events, rejects = loaded(b"1,2,3,pv,1511658000", b"1,4,3,buy,1511658001")
    assert [event.event_id for event in events] == ["taobao-1", "taobao-2"]
    assert not rejects.counts


def test_a_json_line_gives_the_same_event_as_the_row() -> None:
    (row,), _ = loaded(b"543462,1715,1464116,pv,1511658000")
    message = (
        b'{"user_id": "543462", "item_id":"1715", "category_id": "1464116", "behavior": "pv", '
        b'"ts": "2017-11-26T01:00:00Z"}'
    )
    (same,), rejects = loaded(message)
    assert same == row
    assert not rejects.counts


def test_json_ids_may_be_numbers_and_times_epoch_seconds() -> None:
    (event,), _ = loaded(b'{"user_id": 1, "item_id": 2, "behavior": "buy", "timestamp": 1511658000}')
    assert (event.user_id, event.items[0].item_id, event.time) == ("1", "2", 1_511_658_000_000)
    assert event.context == {}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1,2,3,pv", "wrong_columns"),
        (b"1,2,3,pv,1511658000,9", "wrong_columns"),
        (b",2,3,pv,1511658000", "missing_user"),
        (b"1,,3,pv,1511658000", "missing_item"),
        (b"1,2,3,look,1511658000", "unknown_type"),
        (b"1,2,3,pv,yesterday", "wrong_time"),
        (b"1,2,3,pv,1511658000000", "wrong_time"),
        (b"1,2,\xff,pv,1511658000", "not_utf8"),
        (b'{"user_id": "1"', "not_json"),
        (b'{"user_id": "1"}', "wrong_type"),
        (b'{"user_id": "", "item_id": "2", "behavior": "pv", "timestamp": 1511658000}', "missing_user"),
        (b'{"user_id": "1", "item_id": "2", "behavior": "pv"}', "wrong_time"),
        (b'{"user_id": "1", "item_id": "2", "behavior": "pv", "ts": "soon"}', "wrong_time"),
    ],
)
def test_a_bad_line_is_a_reject_with_its_number_and_the_next_one_is_read(line: bytes, reason: str) -> None:
    events, rejects = loaded(HEADER, line + b"\n", b"1,2,3,pv,1511658000\n")
    assert [event.event_id for event in events] == ["taobao-3"]
    assert [(reject.line, reject.reason) for reject in rejects.examples] == [(2, reason)]


def test_an_item_has_its_latest_category() -> None:
    lines = [b"1,2,3,pv,1511658000", b"nonsense", b"1,2,4,pv,1511658000", b"1,5,,pv,1511658000"]
    assert list(items(lines, Rejects())) == [
        CatalogueItem(item_id="2", category="4"),
        CatalogueItem(item_id="5"),
    ]


@given(st.lists(st.binary(max_size=60)))
def test_no_bytes_at_all_stop_the_file(lines: list[bytes]) -> None:
    events, rejects = loaded(*lines, b"1,2,3,pv,1511658000")
    assert events[-1].items == (EventItem("2"),)
    assert len(events) + rejects.counts.total() <= len(lines) + 1


@pytest.mark.data
def test_the_real_stream_is_read_whole_and_in_order() -> None:
    path = DATA / "taobao" / "stream_2h.csv.gz"
    if not path.exists():
        pytest.skip(f"{path} is absent: the real Taobao stream is NOT checked here")
    file = EventFile(path, "taobao")
    events = list(file)
    assert len(events) == 96_087
    assert len({event.user_id for event in events}) == 58_673
    assert not file.rejects.counts
    assert events == sorted(events, key=lambda event: event.time)
    assert Counter(event.type for event in events)["purchase"] == 2141


@pytest.mark.data
def test_the_real_messages_are_events_of_the_file() -> None:
    path = DATA / "fixtures" / "taobao_kafka_messages.log"
    if not path.exists():
        pytest.skip(f"{path} is absent: real Kafka messages of another project are NOT checked here")
    file = EventFile(path, "taobao")
    messages = list(file)
    rows = EventFile(DATA / "taobao" / "stream_2h.csv.gz", "taobao", limit=2000)
    known = {fields_of(row) for row in rows}
    assert len(messages) == 1000
    assert not file.rejects.counts
    # One interaction of the messages is not in the file.
    assert len({fields_of(message) for message in messages} - known) == 1


def fields_of(event: Event) -> tuple[object, ...]:
    return event.user_id, event.type, event.time, event.items[0].item_id, event.context["category_id"]
