"""Records as Arrow tables: a column per field, and the record itself."""

import json

import msgspec
import pyarrow as pa
import pytest
from msgspec import UNSET

import stream.arrow_rows
from state.errors import UnreadableState
from state.event import EventRules
from state.slate import Pool, Reward, Slate
from stream.arrow_rows import ExportError, arrow_type, events, rewards, slates, table_of
from stream.codecs import encode_slate
from tests.stream.records import T, click, record
from tests.stream.screens.made import slate

SLATE = slate("sku-1", "sku-2", "sku-3")


def rows(values, kind):
    return table_of([record(value, n) for n, value in enumerate(values)], kind).to_pylist()


def test_a_slate_has_a_column_per_field_of_the_wire_and_the_record_beside():
    table = table_of([record(encode_slate(SLATE), 7, partition=3)], slates())
    assert [name for name in table.column_names if name not in Slate.__struct_fields__] == [
        "time_utc",
        "raw",
        "partition",
        "offset",
        "timestamp",
    ]
    (row,) = table.to_pylist()
    assert msgspec.json.decode(row["raw"], type=Slate) == SLATE
    assert (row["partition"], row["offset"]) == (3, 7)
    assert row["time_utc"].timestamp() * 1000 == row["time"] == SLATE.time
    assert row["timestamp"].timestamp() * 1000 == T + 7000
    assert [item["item_id"] for item in row["items"]] == [item.item_id for item in SLATE.items]
    assert row["items"][0]["sources"][0] == {"name": SLATE.items[0].sources[0].name, "score": 0.1}
    assert row["trigger"]["topic"] == SLATE.trigger.topic


def test_what_a_slate_does_not_have_is_null_and_a_pool_is_nested():
    pool = Pool(("a", "b"), (0.5, 0.25), "AAA=", "12345678")
    bare, full = rows(
        [encode_slate(SLATE), encode_slate(msgspec.structs.replace(SLATE, pool=pool))], slates()
    )
    assert SLATE.pool is UNSET
    assert bare["pool"] is None
    assert full["pool"]["items"] == ["a", "b"]
    assert full["pool"]["scores"] == [0.5, 0.25]


def test_every_field_of_the_wire_has_a_column_type():
    for struct in (Slate, Reward):
        table = table_of([], slates() if struct is Slate else rewards())
        assert set(struct.__struct_fields__) <= set(table.column_names)
        assert not any(pa.types.is_null(field.type) for field in table.schema)
    with pytest.raises(TypeError, match="no column type for"):
        arrow_type(dict[str, int])


def test_an_event_has_the_fields_that_workers_see():
    kind = events(EventRules())
    value = click("u1", "i1", time="2025-11-22T17:04:22.512Z", context={"page": 2}, mystery=1)
    (row,) = rows([value], kind)
    assert (row["type"], row["user_id"], row["tenant"], row["rejected"]) == ("click", "u1", "default", None)
    assert row["items"] == [{"item_id": "i1", "quantity": 1.0, "price": None}]
    assert row["time"] == 1_763_831_062_512
    assert json.loads(row["context"]) == {"page": 2}
    assert json.loads(row["raw"])["mystery"] == 1


def test_an_event_that_workers_refuse_has_its_reason_and_its_bytes():
    (row,) = rows([b"{"], events(EventRules()))
    assert (row["rejected"], row["raw"], row["type"], row["items"]) == ("not_json", b"{", None, None)


def test_a_slate_of_a_newer_version_is_refused():
    with pytest.raises(UnreadableState):
        table_of([record(encode_slate(msgspec.structs.replace(SLATE, schema_version=99)))], slates())


def test_without_pyarrow_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ExportError, match=r"pip install 'freshslate\[parquet\]'"):
        stream.arrow_rows.load_pyarrow()
