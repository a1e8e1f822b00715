import gzip
import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from state.event import Event, EventItem
from stream.event_file import EventFile, EventList, Span
from stream.formats import LOADERS, FormatError

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


@pytest.mark.parametrize("content", [ROWS, gzip.compress(ROWS)])
def test_standard_input_is_read_once_and_has_no_span(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    pipe = io.BufferedReader(io.BytesIO(content))  # type: ignore[arg-type]
    monkeypatch.setattr("stream.event_file.sys", SimpleNamespace(stdin=SimpleNamespace(buffer=pipe)))
    file = EventFile(Path("-"), "taobao")
    assert file.span() is None
    assert len(list(file)) == 3


@pytest.mark.parametrize("cut", [20, 40])
def test_a_damaged_gzip_is_one_clear_error(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(ROWS * 50)[:cut])
    with pytest.raises(FormatError, match=r"rows\.csv\.gz is damaged"):
        list(EventFile(path, "taobao"))


def test_bytes_damaged_inside_a_gzip_are_one_clear_error(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(ROWS * 50))
    packed[20] ^= 0xFF
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(packed)
    with pytest.raises(FormatError, match=r"rows\.csv\.gz is damaged"):
        list(EventFile(path, "taobao"))


def test_an_unknown_format_is_told_with_the_known_ones(plain: Path) -> None:
    with pytest.raises(
        FormatError, match="'parquet'; known are taobao, otto, diginetica, online-retail, jsonl"
    ):
        EventFile(plain, "parquet")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="there is no file"):
        EventFile(tmp_path / "nowhere.csv", "taobao")


@pytest.mark.parametrize("name", LOADERS)
def test_every_format_can_be_opened(plain: Path, name: str) -> None:
    assert EventFile(plain, name).path == plain


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
