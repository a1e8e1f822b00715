from pathlib import Path

import pytest

from state.catalogue import CatalogueItem
from state.event import Event, EventItem
from stream.event_file import EventFile
from stream.formats.amazon import items, load
from stream.formats.base import ORDER_START, FormatError, Rejects

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "amazon"


def loaded(*lines: bytes) -> tuple[list[Event], Rejects]:
    rejects = Rejects()
    return list(load(lines, rejects)), rejects


def test_a_line_is_a_users_purchases_a_second_apart() -> None:
    events, rejects = loaded(b"1 7 8\n", b"2 7\n")
    assert events[0] == Event(
        event_id="amazon-1-0",
        type="purchase",
        user_id="amazon-1",
        session_id="1",
        time=ORDER_START,
        items=(EventItem("7"),),
    )
    assert [(e.event_id, e.user_id, e.items[0].item_id, e.time - ORDER_START) for e in events[1:]] == [
        ("amazon-1-1", "amazon-1", "8", 1000),
        ("amazon-2-2", "amazon-2", "7", 2000),
    ]
    assert not rejects.counts


@pytest.mark.parametrize(("line", "reason"), [(b"1\n", "wrong_columns"), (b"1 \xff\n", "not_utf8")])
def test_a_bad_line_is_a_reject_with_its_number_and_the_next_one_is_read(line: bytes, reason: str) -> None:
    events, rejects = loaded(line, b"2 7\n")
    assert [event.event_id for event in events] == ["amazon-2-0"]
    assert [(reject.line, reject.reason) for reject in rejects.examples] == [(1, reason)]


def test_an_item_has_its_attributes_also_as_words_of_a_title() -> None:
    assert list(items([b'{"4": [1, 2],\n', b'"83": []}'], Rejects())) == [
        CatalogueItem(item_id="4", title="a1 a2", attributes={"attributes": [1, 2]}),
        CatalogueItem(item_id="83", attributes={"attributes": []}),
    ]


def test_a_catalogue_of_another_kind_is_refused_whole() -> None:
    with pytest.raises(FormatError, match="not a file of Amazon attributes"):
        list(items([b"item,attribute\n"], Rejects()))


@pytest.mark.data
def test_the_real_files_are_read_whole_and_every_item_has_attributes() -> None:
    path = DATA / "Beauty.txt.gz"
    if not path.exists():
        pytest.skip(f"{path} is absent: the real Amazon file is NOT checked here")
    file = EventFile(path, "amazon", catalogue=[DATA / "Beauty_item2attributes.json.gz"])
    events = list(file)
    assert not file.rejects.counts
    assert (len(events), len({event.user_id for event in events})) == (198_502, 22_363)
    bought = {event.items[0].item_id for event in events}
    assert (len(bought), {item.item_id for item in file.items()} >= bought) == (12_101, True)
    assert file.note.startswith("no times, only an order")
