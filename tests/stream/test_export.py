"""The folder that an export writes; what it reads from Kafka is in `tests/kafka/test_export.py`."""

import os
import signal
from collections import Counter

import pyarrow.parquet as pq
import pytest

import stream.export
from state.event import EventRules
from stream.arrow_rows import ExportError, events
from stream.export import PROGRESS, _Writer, day_of, next_offsets
from stream.heartbeat import heartbeat, heartbeat_key
from tests.stream.records import T, click, record, records

DAY = 86_400_000
LOG = records([click("u", f"i{n}") for n in range(40)])


def writer(folder, *, topic="events", rows=10):
    folder.mkdir(exist_ok=True)
    return _Writer(folder, topic, events(EventRules()), rows)


def exported(folder):
    return [
        row["offset"]
        for path in sorted(folder.glob("day=*/*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]


def test_a_file_has_a_range_of_offsets_and_its_name_says_where_it_begins(tmp_path):
    it = writer(tmp_path)
    it.add(0, LOG[:25])
    assert {path.name for path in tmp_path.glob("day=*/*")} == {"part-0-0.parquet", "part-0-10.parquet"}
    it.flush(0, 25)
    assert sorted(exported(tmp_path)) == list(range(25))
    assert next_offsets(tmp_path) == {0: 25}
    assert (it.exported(1.0, 0).rows, it.exported(1.0, 0).files) == (25, 3)


def test_days_are_those_of_the_records_in_utc(tmp_path):
    it = writer(tmp_path)
    late = [record(click("u", "i"), n, time=T + (n % 2) * DAY) for n in range(6)]
    it.add(0, late)
    it.flush(0, 6)
    assert {path.name: len(list(path.iterdir())) for path in tmp_path.glob("day=*")} == {
        f"day={day_of(T)}": 1,
        f"day={day_of(T + DAY)}": 1,
    }
    assert Counter(exported(tmp_path)) == Counter(range(6))
    assert day_of(1_763_769_599_999) == "2025-11-21"
    assert day_of(1_763_769_600_000) == "2025-11-22"


def test_a_further_run_goes_on_and_removes_what_goes_beyond_the_progress(tmp_path):
    first = writer(tmp_path)
    first.add(0, LOG[:20])
    # As if killed between a part's move and the progress, and in the middle of the next.
    (day,) = tmp_path.glob("day=*")
    (day / "part-0-20.parquet").write_bytes((day / "part-0-0.parquet").read_bytes())
    (day / "part-0-30.part").write_bytes(b"half")
    second = writer(tmp_path)
    assert second.next_offsets == {0: 20}
    assert sorted(exported(tmp_path)) == list(range(20))
    second.add(0, LOG[20:])
    second.flush(0, 40)
    assert sorted(exported(tmp_path)) == list(range(40))
    assert not list(tmp_path.glob("day=*/*.part"))


@pytest.mark.parametrize("moves", range(1, 7))
def test_a_kill_at_any_move_leaves_each_record_once_after_the_next_run(tmp_path, moves):
    folder = tmp_path / "events"
    child = os.fork()
    if not child:
        settle, done = stream.export._settle, []

        def dying(beside, path):
            done.append(path)
            if len(done) == moves:
                os.kill(os.getpid(), signal.SIGKILL)
            settle(beside, path)

        stream.export._settle = dying
        it = writer(folder)
        it.add(0, LOG)
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    it = writer(folder)
    start = it.next_offsets.get(0, 0)
    it.add(0, LOG[start:])
    it.flush(0, 40)
    assert sorted(exported(folder)) == list(range(40))


def test_partitions_go_on_each_from_its_own_place(tmp_path):
    it = writer(tmp_path)
    it.add(0, LOG[:10])
    it.add(3, records([click("u", "i")] * 4, partition=3, start=100))
    it.flush(3, 104)
    assert writer(tmp_path).next_offsets == {0: 10, 3: 104}


def test_a_tombstone_is_no_row(tmp_path):
    it = writer(tmp_path)
    it.add(0, [record(None, 0), record(click("u", "i"), 1)])
    it.flush(0, 2)
    assert exported(tmp_path) == [1]
    assert next_offsets(tmp_path) == {0: 2}


def test_a_heartbeat_is_no_row(tmp_path):
    it = writer(tmp_path)
    it.add(0, [record(heartbeat(0, T), 0, key=heartbeat_key(0)), record(click("u", "i"), 1)])
    it.flush(0, 2)
    assert exported(tmp_path) == [1]


def test_nothing_new_writes_nothing(tmp_path):
    it = writer(tmp_path)
    it.flush(0, 0)
    assert not list(tmp_path.glob("day=*"))
    assert it.exported(1.0, 0).rows == 0


def test_large_records_make_smaller_files(tmp_path, monkeypatch):
    monkeypatch.setattr(stream.export, "FILE_BYTES", 200)
    it = writer(tmp_path, rows=1000)
    it.add(0, LOG)
    assert len(list(tmp_path.glob("day=*/*.parquet"))) > 5


def test_a_folder_of_another_topic_is_refused(tmp_path):
    writer(tmp_path)
    with pytest.raises(ExportError, match="holds the topic events, not clicks"):
        writer(tmp_path, topic="clicks")


def test_a_damaged_progress_is_refused(tmp_path):
    (tmp_path / PROGRESS).write_bytes(b"{")
    with pytest.raises(ExportError, match="is damaged"):
        writer(tmp_path)


def test_a_folder_with_files_of_somebody_else_is_refused(tmp_path):
    (tmp_path / "day=2025-11-22").mkdir()
    (tmp_path / "day=2025-11-22" / "mine.parquet").write_bytes(b"")
    with pytest.raises(ExportError, match="give another folder"):
        writer(tmp_path)
    assert (tmp_path / "day=2025-11-22" / "mine.parquet").exists()
