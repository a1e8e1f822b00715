"""Damage and a full disk, on a real RocksDB and a real process."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from stream.drill import disk
from stream.store import Memory, PartitionStore

WRITES_UNTIL_IT_CANNOT = """
import sys
sys.stdin.readline()
with open(sys.argv[1], "wb", buffering=0) as file:
    try:
        for _ in range(1000):
            file.write(b"x" * 1024)
    except OSError as error:
        print(error.strerror, flush=True)
"""


def memory() -> Memory:
    return Memory(cache_bytes=1 << 20, write_buffer_bytes=1 << 16)


def a_copy(folder: Path) -> None:
    """A partition's local copy with some tables."""
    store = PartitionStore(folder, memory())
    for round_ in range(6):
        store.apply([(b"u%d" % n, bytes([round_]) * 900) for n in range(100)], {}, round_ + 1)
    store.close()


def reads(folder: Path) -> list[bytes | None]:
    store = PartitionStore(folder, memory())
    try:
        return store.get([b"u%d" % n for n in range(100)])
    finally:
        store.close()


@pytest.mark.parametrize("kind", disk.DAMAGES)
def test_damage_of_every_kind_is_noticed_by_rocksdb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    a_copy(tmp_path / "p3")
    assert reads(tmp_path / "p3")[7] == bytes([5]) * 900
    monkeypatch.setattr(disk, "DAMAGES", (kind,))
    assert disk.damage(tmp_path, random.Random(1)) == f"p3 {kind}"
    with pytest.raises(Exception, match=r"(?i)corrupt|damaged|No such file"):
        reads(tmp_path / "p3")


def test_every_partition_is_damaged_and_the_seed_says_how(tmp_path: Path) -> None:
    for number in range(4):
        a_copy(tmp_path / f"p{number}")
    done = disk.damage(tmp_path, random.Random(2))
    assert [part.split()[0] for part in done.split(", ")] == ["p0", "p1", "p2", "p3"]
    assert len({part.split()[1] for part in done.split(", ")}) > 1


def test_a_worker_without_state_has_nothing_to_damage(tmp_path: Path) -> None:
    assert disk.damage(tmp_path, random.Random(1)) == ""


def test_on_a_full_disk_a_file_takes_a_little_more_and_then_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"l" * 10_000)
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES_UNTIL_IT_CANNOT, str(tmp_path / "file")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    limit = disk.fill(process.pid, log=log)
    said, _ = process.communicate("go\n", timeout=20)
    assert said == "File too large\n"
    assert (tmp_path / "file").stat().st_size <= limit == 10_000 + disk.SPARE_BYTES
