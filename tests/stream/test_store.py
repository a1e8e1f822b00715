import contextlib
import logging
import random
import resource
import shutil
import subprocess
import sys
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.errors import DamagedCopy, DiskFault
from stream.codecs import Marker, encode_marker
from stream.store import MARKER, MOST_AGE_SECONDS, Memory, PartitionStore
from stream.topics import PROFILES_CONFIG

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
    store.extend([(b"ann", b"1"), marker_row("events", 17), (b"ann", None)], 10)
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


@pytest.mark.parametrize(("days", "kept"), [(5.9, True), (6.1, False)])
def test_a_copy_that_may_lack_tombstones_is_rebuilt(store, days, kept):
    written = time.time()
    store.apply([(b"ann", b"1")], {}, 5)
    store.close()
    again = PartitionStore.opened(store.path, MEMORY, changelog_end=5, now=written + 86_400 * days)
    assert (again.position, again.get([b"ann"])) == ((5, [b"1"]) if kept else (0, [None]))
    again.close()


def test_tombstones_stay_longer_in_the_changelog_than_a_copy_is_trusted():
    assert int(PROFILES_CONFIG["delete.retention.ms"]) > 1000 * MOST_AGE_SECONDS


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
        log += cycle
        applied.apply(cycle, {}, len(log))
        applied = reopened(applied)
        expected.update(cycle)
    restored = PartitionStore(folder / "restored", MEMORY)
    if log:
        restored.extend(log, len(log))
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


# Faults of the disk ----------------------------------------------------------------------------------

ROWS = [(b"u%05d" % n, b"%d" % n * 100) for n in range(2000)]
LONG = [(b"u%05d" % n, random.Random(n).randbytes(700)) for n in range(3000)]


def write(store, rows):
    """Ten rows a cycle."""
    for n in range(0, len(rows), 10):
        store.apply(rows[n : n + 10], {}, n + 10)


def flip(file, at):
    """Other bits in 8 bytes of a file, from this share of its length on."""
    content = bytearray(file.read_bytes())
    start = int(at * (len(content) - 8))
    content[start : start + 8] = bytes(255 - each for each in content[start : start + 8])
    file.write_bytes(content)


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.fixture
def closed(store):
    """A copy of 2000 rows at rest, at position 2000."""
    store.apply(ROWS, {}, len(ROWS))
    store.close()
    return store.path


DAMAGES = {
    "a table's end": ("*.sst", lambda file: flip(file, 1)),
    "half a table": ("*.sst", cut),
    "a table lost": ("*.sst", lambda file: file.unlink()),
    "the manifest": ("MANIFEST-*", lambda file: flip(file, 1)),
    "the manifest lost": ("MANIFEST-*", lambda file: file.unlink()),
    "no manifest named": ("CURRENT", lambda file: file.write_bytes(b"")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_copy_is_told_in_one_line_and_started_afresh(closed, caplog, damage):
    name, harm = DAMAGES[damage]
    (file,) = closed.glob(name)
    harm(file)
    with caplog.at_level(logging.WARNING):
        again = PartitionStore.opened(closed, MEMORY, changelog_end=2000)
    assert (again.position, again.get([b"u00001"])) == (0, [None])
    (line,) = [record.getMessage() for record in caplog.records]
    assert f"the local copy {closed} is damaged (" in line
    assert line.endswith("it is thrown away and rebuilt from the changelog")
    assert "\n" not in line
    again.extend(ROWS, 2000)
    assert again.get([b"u00001"]) == [b"1" * 100]
    again.close()


def test_a_manifest_cut_short_leaves_an_older_copy(closed):
    (file,) = closed.glob("MANIFEST-*")
    cut(file)
    again = PartitionStore.opened(closed, MEMORY, changelog_end=2000)
    assert again.position == len(list(again.users())) < 2000
    again.close()


def test_a_copy_whose_index_is_lost_is_empty_again(closed):
    (closed / "CURRENT").unlink()
    again = PartitionStore.opened(closed, MEMORY, changelog_end=2000)
    assert (again.position, again.get([b"u00001"])) == (0, [None])
    again.close()


def test_a_block_that_is_not_what_was_written_is_never_read_and_ends_the_copy(closed):
    (file,) = closed.glob("*.sst")
    flip(file, 0.5)
    store = PartitionStore(closed, MEMORY)
    assert store.position == 2000  # so far nobody can know
    with pytest.raises(DamagedCopy, match="checksum"):
        store.get([key for key, _ in ROWS])
    store.close()
    assert not closed.exists()


def test_a_compaction_that_meets_a_bad_block_ends_the_copy_at_the_next_write(closed):
    (file,) = closed.glob("*.sst")
    flip(file, 0.5)
    store = PartitionStore(closed, MEMORY)
    store.apply(ROWS, {}, 2000)
    store._db.flush()
    store._db.compact_range(None, None)
    with pytest.raises(DamagedCopy):
        store.apply(ROWS[:1], {}, 2001)
    store.close()
    assert not closed.exists()


def test_a_folder_removed_under_a_running_worker_is_a_damaged_copy(store):
    shutil.rmtree(store.path)
    with pytest.raises(DamagedCopy):
        write(store, ROWS * 50)
    store.close()
    again = PartitionStore.opened(store.path, MEMORY, changelog_end=50)
    assert again.position == 0
    again.close()


def test_what_a_crash_takes_from_a_copy_is_its_latest_part_and_the_offset_with_it(store, tmp_path):
    store.apply(ROWS[:1000], {}, 1000)
    store._db.flush()
    store.apply(ROWS[1000:], {}, 2000)
    shutil.copytree(store.path, tmp_path / "crashed")
    crashed = PartitionStore(tmp_path / "crashed", MEMORY)
    kept = {key for key, _ in crashed.users()}
    assert 1000 <= crashed.position == len(kept) <= 2000
    assert kept == {key for key, _ in ROWS[: crashed.position]}
    crashed.close()


def test_a_copy_taken_while_the_worker_wrote_on_has_no_holes(store, tmp_path):
    """The manifest first, the tables later: with a log of RocksDB's own, rows in between could be missing."""
    copy = tmp_path / "copy"
    write(store, LONG[:100])
    shutil.copytree(
        store.path, copy, ignore=lambda _, names: [n for n in names if n[-4:] in (".sst", "LOCK")]
    )
    write(store, LONG)
    for file in store.path.iterdir():
        # A compaction may remove a table meanwhile.
        with contextlib.suppress(FileNotFoundError):
            if file.suffix in (".sst", ".log"):
                shutil.copy(file, copy)
    copied = PartitionStore.opened(copy, MEMORY, changelog_end=3000)
    assert dict(copied.users()) == dict(LONG[: copied.position])
    copied.close()


@pytest.fixture
def full():
    """A disk on which no file grows beyond 20,000 bytes, for this process, until the test ends."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_stops_the_worker_and_says_which_folder_and_setting(store, full, caplog):
    with pytest.raises(DiskFault) as fault, caplog.at_level(logging.WARNING):
        write(store, LONG)
    assert str(store.path) in str(fault.value)
    assert "File too large" in str(fault.value)
    assert "FRESHSLATE_DATA_DIR" in str(fault.value)
    store.close()
    assert store.path.exists()
    assert caplog.records == []  # said once


def test_after_a_full_disk_the_copy_is_the_state_at_an_earlier_offset(store, full):
    with pytest.raises(DiskFault):
        write(store, LONG)
    store.close()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    again = PartitionStore.opened(store.path, MEMORY, changelog_end=3000)
    assert dict(again.users()) == dict(LONG[: again.position])
    again.close()


def test_a_folder_that_cannot_be_made_is_a_fault_of_the_disk(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskFault, match="file"):
        PartitionStore(tmp_path / "file" / "p0", MEMORY)


def test_a_fault_at_the_end_is_told_and_keeps_nobody_from_closing(store, full, caplog):
    store.apply(LONG[:70], {}, 70)
    with caplog.at_level(logging.WARNING):
        store.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "FRESHSLATE_DATA_DIR" in caplog.text
