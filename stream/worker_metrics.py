"""Every metric of a worker: declared once, here, with its kind, labels, unit and help.

Dashboards, alerts and `docs/operations.md` are tested against `METRICS`.
"""

import time
from collections.abc import Callable
from typing import Final

from stream.metrics import Metric, Metrics, counter, gauge, histogram, info

# fmt: off
LATENCY: Final = (.005, .01, .025, .05, .1, .15, .25, .35, .5, .75, 1, 1.5, 2.5, 5, 10, 30, 60)
"""Seconds; a bound at each objective."""
STAGE: Final = (.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10)
RESTORE: Final = (.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
DELAY: Final = (1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 86400, 3 * 86400, 7 * 86400)
EVENTS_OF_A_CYCLE: Final = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2000, 5000)
PROBABILITY: Final = (.0001, .001, .0025, .005, .01, .025, .05, .1, .25, .5, .75, .9, 1)
# fmt: on

STAGES: Final = ("queue", "decode", "read", "decide", "encode", "commit", "apply")
"""Values of the label `stage`, in the order an event passes them."""
PHASES: Final = ("write", "offsets", "end")
"""Values of the label `phase`, in their order; at least once there is only the first."""

# Events in
EVENTS: Final = counter(
    "events", "events", "Events processed, duplicates among them; rejected records are not.", "topic", "type"
)
REJECTED: Final = counter(
    "events_rejected", "records", "Records written to the dead letter topic.", "topic", "reason"
)
DUPLICATES: Final = counter("events_duplicate", "events", "Events that had been processed before.")
QUEUE: Final = gauge("queue_chunks", "chunks", "Chunks of records that wait for the next cycle.")
LAG: Final = gauge(
    "consumer_lag_records",
    "records",
    "Records of an input partition that wait, as of the latest look at where it ends.",
    "topic",
    "partition",
)
LAG_SECONDS: Final = gauge(
    "consumer_lag_seconds",
    "seconds",
    "How long ago the record that comes next was first seen to wait; 0 where none does.",
    "topic",
    "partition",
)

# Heartbeats
HEARTBEATS_SENT: Final = counter(
    "heartbeats_sent", "heartbeats", "Heartbeats sent, one for each partition of the worker at a time."
)
HEARTBEATS_ANSWERED: Final = counter(
    "heartbeats_answered", "heartbeats", "Heartbeats, of whichever worker, whose slates were committed."
)
HEARTBEAT_SECONDS: Final = histogram(
    "heartbeat_seconds",
    "seconds",
    LATENCY,
    "From sending a heartbeat to the commit of the slate that answers it.",
)
HEARTBEAT_ANSWERED: Final = gauge(
    "heartbeat_answered_timestamp_seconds",
    "seconds",
    "Time of the latest answer to a heartbeat of a partition, since the epoch, by this worker; where it had "
    "the partition before, that of then.",
    "partition",
)

# Slates out
SLATES: Final = counter("slates", "slates", "Slates published, empty ones among them.", "scenario", "policy")
EMPTY_SLATES: Final = counter(
    "slates_empty", "slates", "Slates published without any item.", "scenario", "policy"
)
EVENT_TO_SLATE: Final = histogram(
    "event_to_slate_seconds",
    "seconds",
    LATENCY,
    "From the event's own time to the commit of the slate that answers it.",
    "scenario",
)
RECORD_TO_SLATE: Final = histogram(
    "record_to_slate_seconds",
    "seconds",
    LATENCY,
    "From the record's Kafka timestamp (the broker's where the topic says LogAppendTime, else the "
    "producer's) to the commit of the slate that answers it.",
    "scenario",
)
PROPENSITY: Final = histogram(
    "propensity_ratio",
    "ratio",
    PROBABILITY,
    "Probability with which each published item was drawn at its position.",
    "policy",
)
REWARDS: Final = counter(
    "rewards", "rewards", "Feedback joined to the slate that it answers.", "type", "policy"
)
REWARD_DELAY: Final = histogram(
    "reward_delay_seconds",
    "seconds",
    DELAY,
    "From a slate to the feedback on it, by the type of the feedback.",
    "type",
)
UNATTRIBUTED: Final = counter(
    "feedback_unattributed", "items", "Items of feedback that earned nothing, by why.", "reason"
)
EXPOSURES: Final = counter("exposures", "items", "Items of slates that were seen, each once.", "how")

# The cycle
CYCLE_EVENTS: Final = histogram(
    "cycle_events", "events", EVENTS_OF_A_CYCLE, "Records of one cycle, so of one transaction."
)
CYCLE_SECONDS: Final = histogram(
    "cycle_seconds",
    "seconds",
    LATENCY,
    "One cycle, from the first decode until the last partition is applied.",
)
STAGE_SECONDS: Final = histogram(
    "stage_seconds",
    "seconds",
    STAGE,
    "One stage of a cycle (queue: of a chunk): waiting in the queue, decoding events, reading profiles, "
    "deciding, encoding, committing the transaction, applying it to the local state.",
    "stage",
)
TRANSACTION_SECONDS: Final = histogram(
    "transaction_seconds",
    "seconds",
    STAGE,
    "One phase of a transaction: writing its records, committing the input offsets, ending it.",
    "phase",
)
LAST_COMMIT: Final = gauge(
    "last_commit_timestamp_seconds",
    "seconds",
    "Time of the latest commit, since the epoch; absent before the first.",
)
LOOP_DELAY: Final = histogram(
    "event_loop_delay_seconds",
    "seconds",
    STAGE,
    "How much later than asked for the event loop woke up a timer.",
)

# Partitions of state
REBALANCES: Final = counter("rebalances", "assignments", "Assignments of partitions that the group gave.")
ENDED: Final = counter(
    "assignments_ended",
    "assignments",
    "Assignments given up because a transaction was refused (Refused) or Kafka failed; nothing is lost.",
    "error",
)
ASSIGNED: Final = gauge("partitions_assigned", "partitions", "Partitions that the group gave this worker.")
OPEN: Final = gauge("partitions_open", "partitions", "Partitions restored and open.")
RESTORED: Final = counter(
    "restored_records", "records", "Changelog records read to bring the local state up to date."
)
RESTORE_SECONDS: Final = histogram(
    "restore_seconds", "seconds", RESTORE, "Opening the partitions of an assignment, restore among it."
)
SST_BYTES: Final = gauge("rocksdb_sst_files_bytes", "bytes", "State on disk, all open partitions.")
MEMTABLE_BYTES: Final = gauge("rocksdb_memtables_bytes", "bytes", "Write buffers, all open partitions.")
CACHE_BYTES: Final = gauge("rocksdb_block_cache_bytes", "bytes", "Block cache, shared by all partitions.")
DISK_FREE: Final = gauge(
    "data_dir_free_bytes", "bytes", "Room on the file system of the data folder that the worker may use."
)
DISK_USED: Final = gauge(
    "data_dir_used_bytes", "bytes", "Files of this worker in the data folder: state and snapshots."
)

# Business rules and plug-ins
RULES_REFUSED: Final = counter(
    "rules_refused", "files", "Changed files of business rules that could not be followed."
)
RULES_INFO: Final = info("rules_info", "Version of the business rules in force; always 1.", "version")
POLICY_FILE_REFUSED: Final = counter(
    "policy_file_refused", "files", "Changed policy files that could not be followed."
)
POLICY_FILE_INFO: Final = info(
    "policy_file_info", "Version of the policy file in force; always 1.", "version"
)
SOURCE_ERRORS: Final = counter(
    "source_errors",
    "calls",
    "Calls of a plugged-in candidate source that raised or answered what cannot be used; it was left out.",
    "source",
)
SOURCE_SECONDS: Final = counter(
    "source_seconds", "seconds", "Time that a plugged-in candidate source took to propose items.", "source"
)

# The shared models
REPLICA_RECORDS: Final = counter(
    "replica_records", "records", "Records folded into the shared models.", "topic"
)
REPLICA_SKIPPED: Final = counter(
    "replica_skipped_items", "records", "Catalogue records that could not be read."
)
REPLICA_LAG: Final = gauge(
    "replica_lag_records",
    "records",
    "Offsets between what the shared models contain and what is known to be committed.",
    "topic",
)
CAUGHT_UP: Final = gauge(
    "replica_caught_up", "boolean", "1 once the shared models contain all that was there at the start."
)
MODEL_ITEMS: Final = gauge("model_items", "items", "Items that the shared models know.")
MODEL_SESSIONS: Final = gauge("model_sessions", "sessions", "Sessions that can be neighbours.")
MODEL_RULES: Final = gauge("model_rules", "rules", "Pairs of items kept as rules.")
MODEL_BYTES: Final = gauge("model_bytes", "bytes", "Arrays of a shared model.", "model")
LEARNED_UNTIL: Final = gauge(
    "learned_until_timestamp_seconds",
    "seconds",
    "Slates before this time, since the epoch, are learned from; absent before the first.",
)
LEARNED_LATE: Final = counter(
    "learned_late",
    "items",
    "Exposures and rewards that came after their like had matured; learned from.",
    "what",
)
LEFT_OUT: Final = counter(
    "learning_left_out", "items", "Exposures and rewards that cannot be learned from, by why.", "reason"
)

# The ranker
RANKER: Final = info(
    "ranker_info",
    "Version of the learned ranker that serves; always 1, absent where the blend serves alone.",
    "version",
)
RANKER_TRAINED: Final = gauge(
    "ranker_trained_timestamp_seconds", "seconds", "When that ranker was trained, since the epoch."
)
RANKER_REFUSED: Final = counter(
    "ranker_refused",
    "rankers",
    "Published rankers that were damaged or did not fit; the one before serves on.",
)

BUILD: Final = info(
    "build_info",
    "Version of Freshslate and Python, and the processing guarantee; always 1.",
    *("version", "python", "processing_guarantee"),
)

METRICS: Final = tuple(each for each in list(vars().values()) if isinstance(each, Metric))
"""All of them, in the order above."""


class WorkerMetrics(Metrics):
    """The values of one worker's metrics.

    Args:
        now: epoch seconds.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        super().__init__(METRICS, now)

    def set_lag(self, topic: str, partition: int, records: int, seconds: float) -> None:
        """Say how far an input partition is behind."""
        self.set(LAG, records, topic, str(partition))
        self.set(LAG_SECONDS, seconds, topic, str(partition))

    def forget_lag(self, topic: str, partition: int) -> None:
        """An input partition is no longer ours."""
        self.forget(LAG, topic, str(partition))
        self.forget(LAG_SECONDS, topic, str(partition))


def told(metrics: Metrics) -> str:
    """One line on what was done and what it took; `benchmarks/job.py` reads it."""
    events, cycles = metrics.value(EVENTS), metrics.histogram(CYCLE_SECONDS).count

    def spent(*stages: str) -> float:
        return sum(metrics.histogram(STAGE_SECONDS, stage).sum for stage in stages)

    return (
        f"processed {events:.0f} events in {cycles} cycles: "
        f"step {1e6 * spent('decode', 'read', 'decide', 'encode') / max(1, events):.1f} us, "
        f"commit {1e3 * spent('commit') / max(1, cycles):.2f} ms a cycle, "
        f"apply {1e6 * spent('apply') / max(1, events):.1f} us"
    )
