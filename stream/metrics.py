"""Every metric of a worker: declared once, here, with its kind, labels, unit and help.

Names follow Prometheus: `freshslate_`, base units, `_total` for counters. Labels hold no user and no item,
and their values come from closed sets. Dashboards, alerts and `docs/operations.md` are tested against
`METRICS`.

Nothing here is called per event: `stream/measures.py` takes a whole cycle at a time, `stream/sizes.py` looks
at how large things are when somebody scrapes.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Literal, TypeAlias

from msgspec import Struct
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.registry import Collector

from stream.histogram import Histogram, Values

NAMESPACE: Final = "freshslate"

Kind: TypeAlias = Literal["counter", "gauge", "histogram", "info"]
Family: TypeAlias = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily | InfoMetricFamily
Labels: TypeAlias = tuple[str, ...]


class Metric(Struct, frozen=True, eq=False):
    """One declared metric; compared by identity."""

    name: str
    """As samples are called, but for a histogram's `_bucket`, `_count` and `_sum`."""
    kind: Kind
    unit: str
    help: str
    labels: Labels
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram, in `unit`."""


def _counter(name: str, unit: str, text: str, *labels: str) -> Metric:
    return Metric(f"{NAMESPACE}_{name}_total", "counter", unit, text, labels)


def _gauge(name: str, unit: str, text: str, *labels: str) -> Metric:
    return Metric(f"{NAMESPACE}_{name}", "gauge", unit, text, labels)


def _histogram(name: str, unit: str, buckets: tuple[float, ...], text: str, *labels: str) -> Metric:
    return Metric(f"{NAMESPACE}_{name}", "histogram", unit, text, labels, buckets)


def _info(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"{NAMESPACE}_{name}", "info", "", text, labels)


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
EVENTS: Final = _counter(
    "events", "events", "Events processed, duplicates among them; rejected records are not.", "topic", "type"
)
REJECTED: Final = _counter(
    "events_rejected", "records", "Records written to the dead letter topic.", "topic", "reason"
)
DUPLICATES: Final = _counter("events_duplicate", "events", "Events that had been processed before.")
QUEUE: Final = _gauge("queue_chunks", "chunks", "Chunks of records that wait for the next cycle.")
LAG: Final = _gauge(
    "consumer_lag_records",
    "records",
    "Records of an input partition that wait, as of the latest look at where it ends.",
    "topic",
    "partition",
)
LAG_SECONDS: Final = _gauge(
    "consumer_lag_seconds",
    "seconds",
    "How long ago the record that comes next was first seen to wait; 0 where none does.",
    "topic",
    "partition",
)

# Slates out
SLATES: Final = _counter("slates", "slates", "Slates published, empty ones among them.", "scenario", "policy")
EMPTY_SLATES: Final = _counter(
    "slates_empty", "slates", "Slates published without any item.", "scenario", "policy"
)
EVENT_TO_SLATE: Final = _histogram(
    "event_to_slate_seconds",
    "seconds",
    LATENCY,
    "From the event's own time to the commit of the slate that answers it.",
    "scenario",
)
RECORD_TO_SLATE: Final = _histogram(
    "record_to_slate_seconds",
    "seconds",
    LATENCY,
    "From the record's Kafka timestamp (the broker's where the topic says LogAppendTime, else the "
    "producer's) to the commit of the slate that answers it.",
    "scenario",
)
PROPENSITY: Final = _histogram(
    "propensity_ratio",
    "ratio",
    PROBABILITY,
    "Probability with which each published item was drawn at its position.",
    "policy",
)
REWARDS: Final = _counter(
    "rewards", "rewards", "Feedback joined to the slate that it answers.", "type", "policy"
)
REWARD_DELAY: Final = _histogram(
    "reward_delay_seconds",
    "seconds",
    DELAY,
    "From a slate to the feedback on it, by the type of the feedback.",
    "type",
)
UNATTRIBUTED: Final = _counter(
    "feedback_unattributed", "items", "Items of feedback that earned nothing, by why.", "reason"
)
EXPOSURES: Final = _counter("exposures", "items", "Items of slates that were seen, each once.", "how")

# The cycle
CYCLE_EVENTS: Final = _histogram(
    "cycle_events", "events", EVENTS_OF_A_CYCLE, "Records of one cycle, so of one transaction."
)
CYCLE_SECONDS: Final = _histogram(
    "cycle_seconds",
    "seconds",
    LATENCY,
    "One cycle, from the first decode until the last partition is applied.",
)
STAGE_SECONDS: Final = _histogram(
    "stage_seconds",
    "seconds",
    STAGE,
    "One stage of a cycle (queue: of a chunk): waiting in the queue, decoding events, reading profiles, "
    "deciding, encoding, committing the transaction, applying it to the local state.",
    "stage",
)
TRANSACTION_SECONDS: Final = _histogram(
    "transaction_seconds",
    "seconds",
    STAGE,
    "One phase of a transaction: writing its records, committing the input offsets, ending it.",
    "phase",
)
LAST_COMMIT: Final = _gauge(
    "last_commit_timestamp_seconds",
    "seconds",
    "Time of the latest commit, since the epoch; absent before the first.",
)
LOOP_DELAY: Final = _histogram(
    "event_loop_delay_seconds",
    "seconds",
    STAGE,
    "How much later than asked for the event loop woke up a timer.",
)

# Partitions of state
REBALANCES: Final = _counter("rebalances", "assignments", "Assignments of partitions that the group gave.")
ENDED: Final = _counter(
    "assignments_ended",
    "assignments",
    "Assignments given up because a transaction was refused (Refused) or Kafka failed; nothing is lost.",
    "error",
)
ASSIGNED: Final = _gauge("partitions_assigned", "partitions", "Partitions that the group gave this worker.")
OPEN: Final = _gauge("partitions_open", "partitions", "Partitions restored and open.")
RESTORED: Final = _counter(
    "restored_records", "records", "Changelog records read to bring the local state up to date."
)
RESTORE_SECONDS: Final = _histogram(
    "restore_seconds", "seconds", RESTORE, "Opening the partitions of an assignment, restore among it."
)
SST_BYTES: Final = _gauge("rocksdb_sst_files_bytes", "bytes", "State on disk, all open partitions.")
MEMTABLE_BYTES: Final = _gauge("rocksdb_memtables_bytes", "bytes", "Write buffers, all open partitions.")
CACHE_BYTES: Final = _gauge("rocksdb_block_cache_bytes", "bytes", "Block cache, shared by all partitions.")

# Business rules and plug-ins
RULES_REFUSED: Final = _counter(
    "rules_refused", "files", "Changed files of business rules that could not be followed."
)
RULES_INFO: Final = _info("rules_info", "Version of the business rules in force; always 1.", "version")
POLICY_FILE_REFUSED: Final = _counter(
    "policy_file_refused", "files", "Changed policy files that could not be followed."
)
POLICY_FILE_INFO: Final = _info(
    "policy_file_info", "Version of the policy file in force; always 1.", "version"
)
SOURCE_ERRORS: Final = _counter(
    "source_errors",
    "calls",
    "Calls of a plugged-in candidate source that raised or answered what cannot be used; it was left out.",
    "source",
)
SOURCE_SECONDS: Final = _counter(
    "source_seconds", "seconds", "Time that a plugged-in candidate source took to propose items.", "source"
)

# The shared models
REPLICA_RECORDS: Final = _counter(
    "replica_records", "records", "Records folded into the shared models.", "topic"
)
REPLICA_SKIPPED: Final = _counter(
    "replica_skipped_items", "records", "Catalogue records that could not be read."
)
REPLICA_LAG: Final = _gauge(
    "replica_lag_records",
    "records",
    "Offsets between what the shared models contain and what is known to be committed.",
    "topic",
)
CAUGHT_UP: Final = _gauge(
    "replica_caught_up", "boolean", "1 once the shared models contain all that was there at the start."
)
MODEL_ITEMS: Final = _gauge("model_items", "items", "Items that the shared models know.")
MODEL_SESSIONS: Final = _gauge("model_sessions", "sessions", "Sessions that can be neighbours.")
MODEL_RULES: Final = _gauge("model_rules", "rules", "Pairs of items kept as rules.")
MODEL_BYTES: Final = _gauge("model_bytes", "bytes", "Arrays of a shared model.", "model")

# The ranker
RANKER: Final = _info(
    "ranker_info",
    "Version of the learned ranker that serves; always 1, absent where the blend serves alone.",
    "version",
)
RANKER_TRAINED: Final = _gauge(
    "ranker_trained_timestamp_seconds", "seconds", "When that ranker was trained, since the epoch."
)
RANKER_REFUSED: Final = _counter(
    "ranker_refused",
    "rankers",
    "Published rankers that were damaged or did not fit; the one before serves on.",
)

BUILD: Final = _info(
    "build_info",
    "Version of Freshslate and Python, and the processing guarantee; always 1.",
    *("version", "python", "processing_guarantee"),
)

METRICS: Final = tuple(each for each in list(vars().values()) if isinstance(each, Metric))
"""All of them, in the order above."""


class Metrics(Collector):
    """The values of one worker's metrics, and the registry they are scraped from.

    Not thread-safe: scrape in the thread of the worker's event loop.

    Args:
        now: epoch seconds.
        declared: the metrics there are.
    """

    def __init__(self, now: Callable[[], float] = time.time, declared: Sequence[Metric] = METRICS) -> None:
        self.now: Final = now
        self._declared = declared
        self.registry: Final = CollectorRegistry()
        """What `/metrics` shows: our own metrics, and those of the process and the interpreter."""
        self._values: dict[Metric, dict[Labels, float]] = {}
        self._histograms: dict[Metric, dict[Labels, Histogram]] = {}
        self._looks: list[Callable[[], None]] = []
        for metric in declared:
            if metric.kind == "histogram":
                self._histograms[metric] = {} if metric.labels else {(): Histogram(metric.buckets)}
            else:
                # A counter without labels is 0 from the start, so that its first increase is seen as one.
                seen = metric.kind == "counter" and not metric.labels
                self._values[metric] = {(): 0.0} if seen else {}
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    # Writing --------------------------------------------------------------------------------------

    def add(self, metric: Metric, amount: float, *labels: str) -> None:
        """Raise a counter."""
        values = self._values[metric]
        values[labels] = values.get(labels, 0.0) + amount

    def count(self, metric: Metric, seen: Iterable[Labels]) -> None:
        """Raise a counter by one for each label set of `seen`."""
        for labels, amount in Counter(seen).items():
            self.add(metric, amount, *labels)

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """Say what a gauge stands at, or a counter that somebody else counts."""
        self._values[metric][labels] = value

    def forget(self, metric: Metric, *labels: str) -> None:
        """Show no such sample any more."""
        self._values[metric].pop(labels, None)

    def clear(self, metric: Metric) -> None:
        """Show no sample of this gauge any more."""
        self._values[metric].clear()

    def observe(self, metric: Metric, values: Iterable[float] | Values, *labels: str) -> None:
        """Count values into a histogram."""
        series = self._histograms[metric]
        found = series.get(labels)
        if found is None:
            found = series[labels] = Histogram(metric.buckets)
        found.observe(values)

    def set_lag(self, topic: str, partition: int, records: int, seconds: float) -> None:
        """Say how far an input partition is behind."""
        self.set(LAG, records, topic, str(partition))
        self.set(LAG_SECONDS, seconds, topic, str(partition))

    def forget_lag(self, topic: str, partition: int) -> None:
        """An input partition is no longer ours."""
        self.forget(LAG, topic, str(partition))
        self.forget(LAG_SECONDS, topic, str(partition))

    def before_scrape(self, look: Callable[[], None]) -> None:
        """Call this before every scrape, to set gauges that nobody needs in between."""
        self._looks.append(look)

    # Reading --------------------------------------------------------------------------------------

    def value(self, metric: Metric, *labels: str) -> float:
        """A counter or gauge as last written; without labels the sum over all, 0 where there is none."""
        values = self._values[metric]
        return values.get(labels, 0.0) if labels else sum(values.values())

    def histogram(self, metric: Metric, *labels: str) -> Histogram:
        """A histogram; an empty one where nothing was observed."""
        return self._histograms[metric].get(labels) or Histogram(metric.buckets)

    def describe(self) -> Iterator[Family]:
        """Every family, without samples."""
        return map(_family, self._declared)

    def collect(self) -> Iterator[Family]:
        """Every family with its samples, as the registry asks for them."""
        for look in self._looks:
            look()
        for metric in self._declared:
            family = _family(metric)
            if isinstance(family, HistogramMetricFamily):
                for labels, histogram in self._histograms[metric].items():
                    family.add_metric(labels, histogram.buckets(), histogram.sum)
            elif isinstance(family, InfoMetricFamily):
                for labels in self._values[metric]:
                    family.add_metric(labels, {})
            else:
                for labels, value in self._values[metric].items():
                    family.add_metric(labels, value)
            yield family


_FAMILIES: Final = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
    "info": InfoMetricFamily,
}


def _family(metric: Metric) -> Family:
    stem = metric.name.removesuffix("_total").removesuffix("_info")
    # OpenMetrics wants a unit to end the name; the library would append it to one that does not.
    unit = {"unit": metric.unit} if metric.unit and stem.endswith("_" + metric.unit) else {}
    family: Family = _FAMILIES[metric.kind](stem, metric.help, labels=metric.labels, **unit)
    return family
