"""What a metric is, and the registry that a process is scraped from.

Names follow Prometheus: `freshslate_`, base units, `_total` for counters. Labels hold no user and no item,
and their values come from closed sets. Which there are: `stream/worker_metrics.py`,
`stream/monitor_metrics.py`.

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


def counter(name: str, unit: str, text: str, *labels: str) -> Metric:
    """A counter."""
    return Metric(f"{NAMESPACE}_{name}_total", "counter", unit, text, labels)


def gauge(name: str, unit: str, text: str, *labels: str) -> Metric:
    """A gauge."""
    return Metric(f"{NAMESPACE}_{name}", "gauge", unit, text, labels)


def histogram(name: str, unit: str, buckets: tuple[float, ...], text: str, *labels: str) -> Metric:
    """A histogram; `buckets` are upper bounds, in `unit`."""
    return Metric(f"{NAMESPACE}_{name}", "histogram", unit, text, labels, buckets)


def info(name: str, text: str, *labels: str) -> Metric:
    """A gauge of 1 whose labels tell something."""
    return Metric(f"{NAMESPACE}_{name}", "info", "", text, labels)


class Metrics(Collector):
    """The values of one worker's metrics, and the registry they are scraped from.

    Not thread-safe: scrape in the thread of the worker's event loop.

    Args:
        declared: the metrics there are.
        now: epoch seconds.
    """

    def __init__(self, declared: Sequence[Metric], now: Callable[[], float] = time.time) -> None:
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
