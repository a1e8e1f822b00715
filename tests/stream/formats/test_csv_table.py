from pathlib import Path

import pytest

from state.catalogue import CatalogueItem
from state.event import Event
from stream.formats.base import ORDER_START, FormatError, Rejects
from stream.formats.csv_table import items, load
from stream.formats.form import Input

COLUMNS = {"session": "sid", "item": "sku", "time": "at"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.csv"


def loaded(path: Path, text: str, columns: dict[str, str]) -> tuple[list[Event], Rejects]:
    path.write_bytes(text.encode())
    rejects = Rejects()
    return list(load(Input(path, columns), rejects)), rejects


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found_and_rows_are_sorted_by_time(path: Path, separator: str) -> None:
    text = "\ufeffsid,extra,sku,at\n1,x,b,1511658006\n1,x,a,1511658005\n".replace(",", separator)
    events, rejects = loaded(path, text, COLUMNS)
    assert [(e.event_id, e.session_id, e.items[0].item_id) for e in events] == [
        ("csv-3", "1", "a"),
        ("csv-2", "1", "b"),
    ]
    assert not rejects.counts


def test_without_times_the_order_of_the_file_is_kept(path: Path) -> None:
    events, _ = loaded(path, "sid,sku\n1,b\n1,a\n", {"session": "sid", "item": "sku"})
    assert [(e.items[0].item_id, e.time - ORDER_START) for e in events] == [("b", 2000), ("a", 3000)]


def test_a_file_without_a_header_has_numbered_columns(path: Path) -> None:
    events, _ = loaded(path, "1,a\n1,b\n", {"session": "1", "item": "2"})
    assert [event.items[0].item_id for event in events] == ["a", "b"]


def test_a_quoted_text_may_hold_separators_and_line_ends(path: Path) -> None:
    text = 'sid,sku,name\n1,"a,1","a\nshoe"\n'
    (event,), _ = loaded(path, text, {"session": "sid", "item": "sku"})
    assert (event.event_id, event.items[0].item_id) == ("csv-3", "a,1")
    found = list(items(Input(path, {"session": "sid", "item": "sku", "title": "name"}), Rejects()))
    assert found == [CatalogueItem(item_id="a,1", title="a\nshoe")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [("1,5", "wrong_columns"), ("1,,1511658005", "missing_item"), (f"1,{'x' * 140_000},5", "wrong_columns")],
)
def test_a_bad_line_is_a_reject_with_its_number_and_the_next_one_is_read(
    path: Path, line: str, reason: str
) -> None:
    events, rejects = loaded(path, f"sid,sku,at\n{line}\n\n1,5,1511658005\n", COLUMNS)
    assert [event.event_id for event in events] == ["csv-4"]
    assert [(reject.line, reject.reason) for reject in rejects.examples] == [(2, reason)]


@pytest.mark.parametrize("text", ["", "a,b\n"])
def test_a_file_without_the_columns_is_refused_whole(path: Path, text: str) -> None:
    with pytest.raises(FormatError, match="there is no column session=sid, item=sku, time=at"):
        loaded(path, text, COLUMNS)


def test_bytes_that_are_no_text_are_refused_whole(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00\n")
    with pytest.raises(FormatError, match="not a CSV file"):
        list(load(Input(path, COLUMNS), Rejects()))
