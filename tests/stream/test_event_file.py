import gzip
import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from state.catalogue import CatalogueItem
from state.event import Event, EventItem
from stream.event_file import EventFile, EventList, Span
from stream.formats import FORMATS, FormatError

ROWS = b"1,2,3,pv,1511658005\n1,2,3,sing,1511658000\n1,4,3,buy,1511658001\n5,4,3,pv,1511658009\n"


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_bytes(ROWS)
    return path


def test_a_file_can_be_read_again_and_counts_its_rejects_once(plain: Path) -> None:
    file = EventFile(plain, "taobao")
    first, second = list(file), list(file)
    assert first == second
    assert [event.event_id for event in first] == ["taobao-1", "taobao-3", "taobao-4"]
    assert dict(file.rejects.counts) == {"unknown_type": 1}


def test_gzip_is_known_by_its_bytes_not_by_its_name(plain: Path, tmp_path: Path) -> None:
    packed = tmp_path / "rows.data"
    packed.write_bytes(gzip.compress(ROWS))
    assert list(EventFile(packed, "taobao")) == list(EventFile(plain, "taobao"))


def test_the_span_is_of_event_times_in_any_order(plain: Path) -> None:
    assert EventFile(plain, "taobao").span() == Span(1_511_658_001_000, 1_511_658_009_000, 3)


def test_the_limit_counts_events_and_bounds_the_span(plain: Path) -> None:
    file = EventFile(plain, "taobao", limit=2)
    assert len(list(file)) == 2
    assert file.span() == Span(1_511_658_001_000, 1_511_658_005_000, 2)


def test_a_file_without_an_event_has_no_span(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.write_bytes(b"")
    assert EventFile(path, "taobao").span() is None
    assert list(EventFile(path, "taobao")) == []


@pytest.mark.parametrize("content", [ROWS, gzip.compress(ROWS)], ids=["plain", "gzip"])
def test_standard_input_is_read_once_and_has_no_span(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    pipe = io.BufferedReader(io.BytesIO(content))  # type: ignore[arg-type]
    monkeypatch.setattr("stream.formats.packed.sys", SimpleNamespace(stdin=SimpleNamespace(buffer=pipe)))
    file = EventFile(Path("-"), "taobao")
    assert file.span() is None
    assert list(file.items()) == []
    assert len(list(file)) == 3


def test_a_damaged_file_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(ROWS * 50)[:40])
    with pytest.raises(FormatError, match=r"rows\.csv\.gz is damaged"):
        list(EventFile(path, "taobao"))


def test_an_unknown_format_is_told_with_the_known_ones(plain: Path) -> None:
    with pytest.raises(FormatError, match="no format 'excel'; known are jsonl, csv, parquet, taobao, otto,"):
        EventFile(plain, "excel")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="there is no file"):
        EventFile(tmp_path / "nowhere.csv", "taobao")


@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if form.takes == "file"])
def test_every_format_can_be_opened(plain: Path, name: str) -> None:
    columns = {"session": "1", "item": "2"} if name in {"csv", "parquet"} else {}
    assert EventFile(plain, name, columns=columns).path == plain


def test_a_folder_is_read_only_where_the_format_takes_one(plain: Path) -> None:
    with pytest.raises(FormatError, match="is a folder; this format is a file"):
        EventFile(plain.parent, "taobao")
    with pytest.raises(FormatError, match="there is no folder"):
        EventFile(plain, "periods")
    (plain.parent / "period_0.txt").write_bytes(b"7 a\n")
    assert [event.session_id for event in EventFile(plain.parent, "periods")] == ["7"]


def test_columns_are_for_files_that_do_not_know_theirs(plain: Path) -> None:
    with pytest.raises(
        FormatError, match="the format taobao knows its columns; --column is for csv, parquet"
    ):
        EventFile(plain, "taobao", columns={"item": "sku"})
    with pytest.raises(FormatError, match="the format csv needs --column, such as log"):
        EventFile(plain, "csv")


def test_the_catalogue_is_what_the_events_say_unless_there_are_files_of_it(
    plain: Path, tmp_path: Path
) -> None:
    assert list(EventFile(plain, "taobao").items()) == [
        CatalogueItem(item_id="2", category="3"),
        CatalogueItem(item_id="4", category="3"),
    ]
    catalogues = [tmp_path / name for name in ("a.jsonl", "b.jsonl.gz")]
    catalogues[0].write_bytes(b'{"item_id": "2", "brand": "b"}\n')
    catalogues[1].write_bytes(gzip.compress(b'{"brand": "b"}\n{"item_id": 4}\n'))
    file = EventFile(plain, "taobao", catalogue=catalogues)
    assert list(file.items()) == [CatalogueItem(item_id="2", brand="b"), CatalogueItem(item_id="4")]
    assert [(reject.line, reject.reason) for reject in file.item_rejects.examples] == [(2, "missing_item")]
    with pytest.raises(FormatError, match="there is no file"):
        EventFile(plain, "taobao", catalogue=[tmp_path / "nowhere"])


def test_a_format_without_a_catalogue_has_no_items(plain: Path) -> None:
    assert list(EventFile(plain, "otto").items()) == []


def test_what_a_file_cannot_know_is_noted(plain: Path) -> None:
    columns = {"session": "1", "item": "2"}
    assert EventFile(plain, "taobao").note == ""
    assert EventFile(plain, "csv", columns={**columns, "time": "5"}).note == ""
    assert EventFile(plain, "csv", columns=columns).note.startswith("no times, only an order")
    assert EventFile(plain, "diginetica").note.startswith("no time of day")


def test_a_list_is_a_source_too() -> None:
    events = [
        Event(event_id=str(n), type="click", user_id="u", time=time, items=(EventItem("i"),))
        for n, time in enumerate((5, 3, 9))
    ]
    source = EventList(events)
    assert list(source) == events
    assert source.span() == Span(3, 9, 3)
    assert EventList([]).span() is None
    assert not source.rejects.counts
