"""What can happen to a worker's local disk, done from outside."""

import random
import resource
from pathlib import Path
from typing import Final

DAMAGES: Final = ("tables", "manifest", "current")
"""What of a RocksDB folder gets damaged: its SST files, its MANIFEST, or CURRENT, which names that."""
FLIPPED_EVERY: Final = 64
"""Bytes between two that are flipped: no block of a file stays whole."""
SPARE_BYTES: Final = 16 << 10
"""What a full disk leaves beyond the log: room for the worker's last words, less than a table of RocksDB."""


def damage(folder: Path, draw: random.Random) -> str:
    """Damage the RocksDB of every partition below a worker's folder, each in a way that is drawn.

    Returns:
        What was done, such as `p0 tables, p1 current`.
    """
    done = []
    for partition in sorted(folder.glob("p*")):
        for kind in draw.sample(DAMAGES, len(DAMAGES)):
            if files := _files(partition, kind):
                for file in files:
                    _flip(file)
                done.append(f"{partition.name} {kind}")
                break
    return ", ".join(done)


def _files(partition: Path, kind: str) -> list[Path]:
    pattern = {"tables": "*.sst", "manifest": "MANIFEST-*", "current": "CURRENT"}[kind]
    return [file for file in sorted(partition.glob(pattern)) if file.stat().st_size]


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[::FLIPPED_EVERY] = bytes(byte ^ 0xFF for byte in data[::FLIPPED_EVERY])
    file.write_bytes(data)


def fill(pid: int, *, log: Path) -> int:
    """Let a process write no file beyond the size that its log will have; that limit, bytes.

    A file size limit (RLIMIT_FSIZE) on the live process stands in for a full disk: it needs neither root nor
    a file system of its own, and a write fails with `File too large` where it would with `No space left`.

    Args:
        pid: of the worker.
        log: what it prints to; its last words must still find room.
    """
    limit = log.stat().st_size + SPARE_BYTES
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, limit))
    return limit
