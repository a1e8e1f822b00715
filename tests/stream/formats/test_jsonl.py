import pytest

from state.catalogue import CatalogueItem
from state.event import Event, EventItem
from stream.codecs import encode_event
from stream.formats.base import Rejects
from stream.formats.jsonl import items, load

EVENT = Event(
    event_id="e1",
    type="click",
    user_id="u1",
    time=1_511_658_000_000,
    items=(EventItem("i1"),),
    scenario="search",
)


def loaded(*lines: bytes) -> tuple[list[Event], Rejects]:
    rejects = Rejects()
    return list(load(lines, rejects)), rejects


def test_an_encoded_event_comes_back() -> None:
    events, rejects = loaded(encode_event(EVENT) + b"\n", b"\n")
    assert events == [EVENT]
    assert not rejects.counts


@pytest.mark.parametrize("time", [b'"1999-01-01T00:00:00Z"', b"4102444800000"])
def test_an_event_of_any_day_is_read(time: bytes) -> None:
    events, rejects = loaded(b'{"type": "click", "user_id": 1, "item_id": 2, "time": ' + time + b"}")
    assert len(events) == 1
    assert not rejects.counts


def test_an_event_without_an_id_gets_one_from_its_line() -> None:
    line = b'{"type": "click", "user_id": 1, "item_id": 2, "time": 1511658000000}'
    events, _ = loaded(b"", line, line)
    assert [event.event_id for event in events] == ["jsonl-0-2", "jsonl-0-3"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"click", "not_json"),
        (b"[1]", "wrong_type"),
        (b'{"user_id": 1, "item_id": 2, "time": 1511658000000}', "missing_type"),
        (b'{"type": "click", "item_id": 2, "time": 1511658000000}', "missing_user"),
        (b'{"type": "click", "user_id": 1, "time": 1511658000000}', "missing_item"),
        (b'{"type": "click", "user_id": 1, "item_id": 2}', "wrong_time"),
        (b'{"type": "click", "user_id": 1, "item_id": 2, "time": 12}', "wrong_time"),
        (b'{"type": "click", "user_id": 1, "query": "' + b"x" * 70_000 + b'"}', "too_large"),
    ],
)
def test_a_bad_line_is_a_reject_with_its_number_and_the_next_one_is_read(line: bytes, reason: str) -> None:
    events, rejects = loaded(line, encode_event(EVENT))
    assert events == [EVENT]
    assert [(reject.line, reject.reason) for reject in rejects.examples] == [(1, reason)]


def test_catalogue_items_are_read_as_the_engine_would() -> None:
    rejects = Rejects()
    lines = [
        b'\xef\xbb\xbf{"item_id": 5, "title": "Shoe", "colour": "red"}\n',
        b"\n",
        b'{"item_id": 6, "price": -1}\n',
    ]
    assert list(items(lines, rejects)) == [
        CatalogueItem(item_id="5", title="Shoe", attributes={"colour": "red"})
    ]
    assert [(reject.line, reject.reason) for reject in rejects.examples] == [(3, "wrong_value")]
