import sys
from datetime import date
from pathlib import Path

import pytest

from state.catalogue import CatalogueItem
from stream.formats import parquet
from stream.formats.base import FormatError, Rejects
from stream.formats.form import Input
from stream.formats.parquet import items, load

pa = pytest.importorskip("pyarrow", reason="the extra parquet is not installed: Parquet is NOT checked here")

COLUMNS = {"session": "sid", "item": "sku", "time": "at"}
NOW = 1_511_658_005_000


def written(path: Path, columns: dict[str, object]) -> Path:
    from pyarrow.parquet import write_table

    write_table(pa.table(columns), path, row_group_size=2)
    return path


@pytest.mark.parametrize(
    "times",
    [
        pa.array([NOW // 1000 + 1, NOW // 1000], pa.int64()),
        pa.array([NOW + 1000, NOW], pa.int64()),
        pa.array([NOW // 1000 + 1.0, NOW // 1000], pa.float64()),
        pa.array([(NOW + 1000) * 1_000_000 + 1, NOW * 1_000_000 + 5], pa.timestamp("ns")),
        pa.array([(NOW + 1000) * 1000, NOW * 1000], pa.timestamp("us", "Europe/Berlin")),
        pa.array(["2017-11-26T01:00:06Z", "2017-11-26T01:00:05Z"], pa.string()),
    ],
    ids=lambda array: str(array.type),
)
def test_times_of_any_type_are_read_and_rows_sorted(tmp_path: Path, times: object) -> None:
    path = written(tmp_path / "log", {"sku": ["b", "a"], "sid": [1, 2], "at": times})
    events = list(load(Input(path, COLUMNS), Rejects()))
    assert [(e.event_id, e.session_id, e.items[0].item_id, e.time) for e in events] == [
        ("parquet-2", "2", "a", NOW),
        ("parquet-1", "1", "b", NOW + 1000),
    ]


def test_a_day_is_its_midnight_and_gaps_make_no_fractions_of_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "BATCH_ROWS", 2)
    columns = {"sku": [5.0, None, 7.0], "sid": [b"1", b"2", b"3"], "at": [date(2017, 11, 26)] * 3}
    rejects = Rejects()
    events = list(load(Input(written(tmp_path / "log", columns), COLUMNS), rejects))
    assert [(e.event_id, e.session_id, e.items[0].item_id) for e in events] == [
        ("parquet-1", "1", "5"),
        ("parquet-3", "3", "7"),
    ]
    assert {event.time for event in events} == {1_511_654_400_000}
    assert [(reject.line, reject.reason) for reject in rejects.examples] == [(2, "missing_item")]


def test_the_catalogue_is_read_from_the_rows(tmp_path: Path) -> None:
    path = written(tmp_path / "log", {"sku": [5, 5], "sid": [1, 1], "kind": ["hats", "shoes"]})
    columns = {"session": "sid", "item": "sku", "category": "kind"}
    assert list(items(Input(path, columns), Rejects())) == [CatalogueItem(item_id="5", category="shoes")]


def test_a_column_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "log", {"sku": [5], "sid": [1]})
    with pytest.raises(FormatError, match="there is no column time=at; the file has sku, sid"):
        list(load(Input(path, COLUMNS), Rejects()))


def test_another_file_is_refused_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"sid,sku,at\n")
    with pytest.raises(FormatError, match="cannot be read as Parquet"):
        list(load(Input(path, COLUMNS), Rejects()))


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(FormatError, match=r"needs pyarrow: pip install 'freshslate\[parquet\]'"):
        list(load(Input(tmp_path / "log", COLUMNS), Rejects()))
