import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.codecs import Marker, encode_marker
from stream.store import MARKER, Memory, PartitionStore
from tests.stream.records import record

MEMORY = Memory(cache_bytes=1 << 20, write_buffer_bytes=1 << 16)


def marker_row(topic, offset, writer="w"):
    return MARKER + topic.encode(), encode_marker(offset, writer)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "p0"


@pytest.fixture
def store(path):
    made = PartitionStore(path, MEMORY)
    yield made
    made.close()


def reopened(store):
    store.close()
    return PartitionStore(store.path, MEMORY)


def test_a_new_store_is_empty_and_reads_the_changelog_from_its_start(store):
    assert store.position == 0
    assert store.get([b"ann", b"bob"]) == [None, None]
    assert list(store.users()) == []
    assert store.applied("events") == -1


def test_what_was_applied_is_read_back_in_the_order_asked_for(store):
    store.apply([(b"ann", b"1"), (b"bob", b"2")], {}, 2)
    assert store.get([b"bob", b"eve", b"ann"]) == [b"2", None, b"1"]
    assert store.get([]) == []


def test_markers_and_position_go_along_with_the_rows(store):
    store.apply([(b"ann", b"1"), marker_row("events", 41)], {"events": Marker(41, "w")}, 9)
    assert (store.applied("events"), store.position) == (41, 9)


def test_a_reopened_store_goes_on_where_it_stopped(store):
    store.apply([(b"ann", b"1"), marker_row("events", 41)], {"events": Marker(41, "w")}, 9)
    again = reopened(store)
    assert again.position == 9
    assert again.get([b"ann"]) == [b"1"]
    assert again.applied("events") == -1  # until the changelog's tail was read
    again.restored(["events", "clicks"])
    assert again.markers == {"events": Marker(41, "w")}
    assert again.applied("clicks") == -1
    again.close()


def test_each_input_topic_has_a_marker_of_its_own(store):
    rows = [marker_row("clicks", 7), marker_row("purchases", 3)]
    store.apply(rows, {"clicks": Marker(7, "w"), "purchases": Marker(3, "w")}, 2)
    again = reopened(store)
    again.restored(["clicks", "purchases"])
    assert (again.applied("clicks"), again.applied("purchases")) == (7, 3)
    again.close()


def test_a_row_without_value_deletes(store):
    store.apply([(b"ann", b"1"), (b"bob", b"2")], {}, 2)
    store.apply([(b"ann", None)], {}, 3)
    assert store.get([b"ann", b"bob"]) == [None, b"2"]


def test_users_are_listed_without_what_the_store_keeps_for_itself(store):
    store.apply([(b"ann", b"1"), marker_row("events", 0), ("zoë".encode(), b"2")], {}, 3)
    assert dict(store.users()) == {b"ann": b"1", "zoë".encode(): b"2"}


def test_a_failing_write_changes_neither_rows_nor_position(store):
    store.apply([(b"ann", b"1")], {}, 1)
    with pytest.raises(ValueError, match="bytes"):
        store.apply([(b"ann", b"2"), (b"bob", object())], {"events": Marker(5, "w")}, 2)
    assert store.get([b"ann", b"bob"]) == [b"1", None]
    assert (store.position, store.applied("events")) == (1, -1)
    again = reopened(store)
    assert again.position == 1
    again.close()


def test_a_run_of_the_changelog_brings_the_copy_up_to_date(store):
    run = [
        record(b"1", 4, topic="profiles", key=b"ann"),
        record(encode_marker(17, "w"), 5, topic="profiles", key=MARKER + b"events"),
        record(None, 9, topic="profiles", key=b"ann"),
    ]
    store.extend(run)
    store.restored(["events"])
    assert store.position == 10
    assert store.get([b"ann"]) == [None]
    assert store.applied("events") == 17


def test_a_copy_behind_the_changelog_is_kept(store):
    store.apply([(b"ann", b"1")], {}, 5)
    store.close()
    again = PartitionStore.opened(store.path, MEMORY, changelog_end=5)
    assert (again.position, again.get([b"ann"])) == (5, [b"1"])
    again.close()


def test_a_copy_of_a_changelog_that_was_created_again_is_emptied(store):
    store.apply([(b"ann", b"1"), marker_row("events", 3)], {"events": Marker(3, "w")}, 5)
    store.close()
    again = PartitionStore.opened(store.path, MEMORY, changelog_end=4)
    again.restored(["events"])
    assert (again.position, again.get([b"ann"]), again.applied("events")) == (0, [None], -1)
    again.close()


def test_closing_twice_does_nothing(store):
    store.close()
    store.close()
    assert not store._open


def test_a_second_process_cannot_open_the_same_folder(store):
    store.apply([(b"ann", b"1")], {}, 1)
    code = (
        "import sys; from pathlib import Path; from stream.store import Memory, PartitionStore\n"
        "memory = Memory(cache_bytes=1 << 20, write_buffer_bytes=1 << 16)\n"
        "PartitionStore(Path(sys.argv[1]), memory)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(store.path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert found.returncode != 0
    assert "lock" in found.stderr.lower()
    assert store.get([b"ann"]) == [b"1"]


@settings(max_examples=12, deadline=None)  # each example opens a database per cycle
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.none() | st.binary(max_size=4))),
        max_size=6,
    )
)
def test_cycles_and_restore_leave_the_same_state_as_a_dict(tmp_path_factory, cycles):
    """Applied cycle by cycle with restarts, or read back from the changelog in one run."""
    folder = tmp_path_factory.mktemp("store")
    applied, expected, log = PartitionStore(folder / "applied", MEMORY), {}, []
    for cycle in cycles:
        log += [record(value, len(log) + i, key=key) for i, (key, value) in enumerate(cycle)]
        applied.apply(cycle, {}, len(log))
        applied = reopened(applied)
        expected.update(cycle)
    restored = PartitionStore(folder / "restored", MEMORY)
    if log:
        restored.extend(log)
    kept = {key: value for key, value in expected.items() if value is not None}
    assert dict(applied.users()) == dict(restored.users()) == kept
    assert applied.position == restored.position == len(log)
    applied.close()
    restored.close()


def test_users_come_in_key_order(store):
    store.apply([(b"%d" % i, b"x") for i in range(50)], {}, 50)
    keys = [key for key, _ in store.users()]
    assert all(left < right for left, right in pairwise(keys))
    assert len(keys) == 50


def test_usage_tells_what_lies_in_memory_and_what_on_disk(store):
    before = store.usage()
    store.apply([(b"u%d" % n, b"x" * 500) for n in range(50)], {}, 1)
    written = store.usage()
    assert written.memtables > before.memtables + 20_000
    assert before.sst_files == written.sst_files == 0
    store._db.flush()
    flushed = store.usage()
    assert flushed.sst_files > 500
    assert flushed.memtables < written.memtables
