"""How large things are, and how far along: looked at when somebody scrapes, not before."""

import contextlib
import os
import platform
import shutil
from pathlib import Path

from state.posterior.posterior import Posterior
from stream.config import Settings
from stream.loop import Loop
from stream.metrics import Metrics
from stream.partitions import Partitions
from stream.ranker import RankerFollower
from stream.replica import Replica
from stream.worker_metrics import (
    ASSIGNED,
    BUILD,
    CACHE_BYTES,
    CAUGHT_UP,
    DISK_FREE,
    DISK_USED,
    LEARNED_LATE,
    LEARNED_UNTIL,
    LEFT_OUT,
    MEMTABLE_BYTES,
    MODEL_BYTES,
    MODEL_ITEMS,
    MODEL_RULES,
    MODEL_SESSIONS,
    OPEN,
    QUEUE,
    RANKER,
    RANKER_REFUSED,
    RANKER_TRAINED,
    REPLICA_LAG,
    REPLICA_RECORDS,
    REPLICA_SKIPPED,
    SST_BYTES,
)


def measure_build(metrics: Metrics, settings: Settings, version: str) -> None:
    """Say which program this is."""
    metrics.set(BUILD, 1, version, platform.python_version(), settings.processing_guarantee)


def measure_sizes(metrics: Metrics, loop: Loop, partitions: Partitions, replica: Replica) -> None:
    """Set every gauge that is read off the worker's parts."""
    metrics.set(QUEUE, loop.waiting)
    metrics.set(ASSIGNED, len(loop.assignment))
    metrics.set(OPEN, len(partitions.opened))
    used = partitions.usage()
    metrics.set(SST_BYTES, used.sst_files)
    metrics.set(MEMTABLE_BYTES, used.memtables)
    metrics.set(CACHE_BYTES, used.block_cache)
    _measure_replica(metrics, replica)


def measure_disk(metrics: Metrics, folder: Path) -> None:
    """Say how much of the disk is left, and how much of it is ours; nothing where the disk does not answer.

    Args:
        metrics: of the worker.
        folder: of this worker alone.
    """
    with contextlib.suppress(OSError):
        metrics.set(DISK_FREE, shutil.disk_usage(folder).free)
    # It passes over folders that go meanwhile, as those of partitions do.
    metrics.set(DISK_USED, sum(_size(place, name) for place, _, names in os.walk(folder) for name in names))


def _size(place: str, name: str) -> int:
    """Bytes on the disk; 0 for what has gone meanwhile, as RocksDB's files do."""
    try:
        found = os.lstat(os.path.join(place, name))
    except OSError:
        return 0
    return found.st_blocks * 512


def _measure_replica(metrics: Metrics, replica: Replica) -> None:
    models = replica.models
    metrics.set(MODEL_ITEMS, models.n_items)
    metrics.set(MODEL_SESSIONS, models.n_sessions)
    metrics.set(MODEL_RULES, models.n_rules)
    for name in ("sessions", "rules", "popularity", "hours", "content"):
        metrics.set(MODEL_BYTES, sum(array.nbytes for array in getattr(models, name)), name)
    metrics.set(CAUGHT_UP, replica.caught_up.is_set())
    metrics.set(REPLICA_SKIPPED, replica.skipped_items)
    for topic, records in replica.folded.items():
        metrics.set(REPLICA_RECORDS, records, topic)
    for topic, offsets in replica.lag().items():
        metrics.set(REPLICA_LAG, offsets, topic)
    _measure_learning(metrics, replica.posterior)


def _measure_learning(metrics: Metrics, posterior: Posterior) -> None:
    if posterior.matured_until is not None:
        metrics.set(LEARNED_UNTIL, posterior.matured_until / 1000)
    for what, items in posterior.late.items():
        metrics.set(LEARNED_LATE, items, what)
    for reason, items in posterior.left_out.items():
        metrics.set(LEFT_OUT, items, reason)


def measure_ranker(metrics: Metrics, rankers: RankerFollower) -> None:
    """Say which ranker serves."""
    metrics.clear(RANKER)
    metrics.clear(RANKER_TRAINED)
    if rankers.artefact is not None:
        metrics.set(RANKER, 1, rankers.artefact.version)
        metrics.set(RANKER_TRAINED, rankers.artefact.card.trained_at / 1000)
    metrics.set(RANKER_REFUSED, rankers.refused)
