"""The folder that one worker process has to itself, and what it finds there of the worker before it."""

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from aiokafka.errors import KafkaError
from filelock import FileLock, Timeout

from state.errors import StopWorker
from stream.config import Settings
from stream.connection import connection
from stream.transaction import end_transaction_of

log = logging.getLogger(__name__)

MOST_WORKERS: Final = 64
"""Worker processes that may share a data folder."""
WRITER: Final = "writer"
"""File with the transactional id of the folder's latest worker, whose open transaction the next one ends."""
END_SECONDS: Final = 5.0
"""How long that may take."""


def own_folder(settings: Settings) -> FileLock:
    """Lock a folder that no other process uses, and the same one again after a restart.

    RocksDB allows one process per folder. Several workers on one machine take the first free number;
    a static member takes its own name.

    Raises:
        StopWorker: none is free.
    """
    names: Iterable[str] = (
        (settings.instance_id,) if settings.instance_id else (f"worker-{n}" for n in range(MOST_WORKERS))
    )
    base = settings.data_dir.absolute() / settings.app_id
    for name in names:
        folder = base / name
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock")
        try:
            return lock.acquire(blocking=False).lock
        except Timeout:
            continue
    message = (
        f"every worker folder under {base} is in use by another process; stop one, or give this worker a "
        "FRESHSLATE_DATA_DIR of its own"
    )
    raise StopWorker(message)


def sign(folder: Path, transactional_id: str) -> str:
    """Leave our transactional id in our folder, and return that of the worker before us; empty for none.

    We hold the folder's lock, so that worker is dead.
    """
    note = folder / WRITER
    former = ""
    try:
        former = note.read_text() if note.exists() else ""
        note.write_text(transactional_id)
    except (OSError, ValueError) as error:
        log.warning("the name of this folder's latest worker was lost: %s", error)
    return former


async def end_open_transaction(former: str, settings: Settings) -> None:
    """End what a dead worker left open, before it holds back the opening of its partitions.

    Where this fails, it is found out then (`stream/partitions.py`), which takes half a second or more.
    """
    if not former or settings.processing_guarantee == "at_least_once":
        return
    try:
        async with asyncio.timeout(END_SECONDS):
            await end_transaction_of(former, connection(settings))
    except (KafkaError, TimeoutError) as error:
        log.warning("the last transaction of %s was left alone: %s", former, error)
