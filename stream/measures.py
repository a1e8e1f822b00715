"""What a committed cycle adds to the metrics, all of it at once.

A cycle of one event pays for it what a cycle of hundreds does, so this may touch each event, but only in
passes over lists.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import NamedTuple, TypeVar

from state.event import HEARTBEAT_TENANT, Inbound
from state.slate import Reward
from state.slates import Slates, WireSlate
from state.step import Outcome
from stream.metrics import Metrics
from stream.work import Laps, Result
from stream.worker_metrics import (
    CYCLE_EVENTS,
    CYCLE_SECONDS,
    DUPLICATES,
    EMPTY_SLATES,
    EVENT_TO_SLATE,
    EVENTS,
    EXPOSURES,
    HEARTBEAT_ANSWERED,
    HEARTBEAT_SECONDS,
    HEARTBEATS_ANSWERED,
    LAST_COMMIT,
    PROPENSITY,
    RECORD_TO_SLATE,
    REJECTED,
    REWARD_DELAY,
    REWARDS,
    SLATES,
    STAGE_SECONDS,
    TRANSACTION_SECONDS,
    UNATTRIBUTED,
)

T = TypeVar("T")

_SCENARIO: Callable[[WireSlate], str] = attrgetter("scenario")
_TYPE: Callable[[Reward], str] = attrgetter("type")


class Cycle(NamedTuple):
    """One committed cycle. Durations are seconds."""

    records: int
    """Events and dead letters."""
    results: Sequence[Result]
    """Of each of its partitions."""
    queued: Sequence[float]
    """How long each of its chunks waited."""
    step: float
    commit: float
    apply: float
    phases: Mapping[str, float]
    """Parts of the commit."""
    committed_at: float
    """Epoch seconds."""


class Transaction(NamedTuple):
    """The latest committed cycle of a partition."""

    committed_at: float
    """Epoch seconds."""
    records: int
    """Events and dead letters of the partition."""
    cycle_records: int
    """Those of all partitions of the cycle."""
    cycle_partitions: int
    seconds: Mapping[str, float]
    """By stage, and by phase of the commit: `stream.worker_metrics.STAGES` and `PHASES`."""


def transactions(cycle: Cycle, sizes: Mapping[int, int]) -> dict[int, Transaction]:
    """What a committed cycle was, by its partitions; `sizes` are their numbers of records."""
    laps = [sum(parts) for parts in zip(*(result.laps for result in cycle.results), strict=True)]
    seconds = dict(zip(Laps._fields, laps, strict=True))
    seconds |= {"commit": cycle.commit, "apply": cycle.apply, **cycle.phases}
    return {
        partition: Transaction(cycle.committed_at, size, cycle.records, len(sizes), seconds)
        for partition, size in sizes.items()
    }


def measure(metrics: Metrics, cycle: Cycle) -> None:
    """Count one cycle."""
    results = cycle.results
    inbounds = list(chain.from_iterable(result.inbounds for result in results))
    events = [(origin.topic, event.type) for event, origin in inbounds if event.tenant != HEARTBEAT_TENANT]
    metrics.count(EVENTS, events)
    if len(events) < len(inbounds):
        _heartbeats(metrics, [inbound for inbound in inbounds if inbound.event.is_heartbeat], cycle)
    metrics.count(REJECTED, chain.from_iterable(result.rejected for result in results))
    metrics.add(DUPLICATES, sum(result.duplicates for result in results))
    _slates(metrics, [result.outcome.slates.of_shoppers() for result in results], cycle.committed_at)
    _rewards(metrics, [reward for result in results for reward in result.outcome.rewards])
    _feedback(metrics, [result.outcome for result in results])
    _times(metrics, cycle)


def _heartbeats(metrics: Metrics, answered: Sequence[Inbound], cycle: Cycle) -> None:
    """Count the answers."""
    metrics.add(HEARTBEATS_ANSWERED, len(answered))
    metrics.observe(HEARTBEAT_SECONDS, [cycle.committed_at - event.time / 1000 for event, _ in answered])
    for _, origin in answered:
        metrics.set(HEARTBEAT_ANSWERED, cycle.committed_at, str(origin.partition))


def _slates(metrics: Metrics, runs: Sequence[Slates], committed_at: float) -> None:
    slates = [slate for run in runs for slate in run.wire]
    metrics.count(SLATES, [(slate.scenario, slate.policy) for slate in slates])
    metrics.count(EMPTY_SLATES, [(slate.scenario, slate.policy) for run in runs for slate in run.empty()])
    for scenario, of_it in _grouped(slates, _SCENARIO).items():
        event_ages = [committed_at - slate.trigger.time / 1000 for slate in of_it]
        metrics.observe(EVENT_TO_SLATE, event_ages, scenario)
        record_ages = [committed_at - slate.time / 1000 for slate in of_it]
        metrics.observe(RECORD_TO_SLATE, record_ages, scenario)
    for run in runs:
        for policy, propensities in run.propensities_by_policy().items():
            metrics.observe(PROPENSITY, propensities, policy)


def _rewards(metrics: Metrics, rewards: Sequence[Reward]) -> None:
    metrics.count(REWARDS, [(reward.type, reward.policy) for reward in rewards])
    for kind, of_it in _grouped(rewards, _TYPE).items():
        metrics.observe(REWARD_DELAY, [reward.delay_seconds for reward in of_it], kind)


def _feedback(metrics: Metrics, outcomes: Sequence[Outcome]) -> None:
    reasons = chain.from_iterable(outcome.unattributed for outcome in outcomes)
    metrics.count(UNATTRIBUTED, [(reason,) for reason in reasons])
    seen: Counter[str] = Counter()
    for outcome in outcomes:
        for each in outcome.exposed:
            seen[each.how] += len(each.positions)
    for how, items in seen.items():
        metrics.add(EXPOSURES, items, how)


def _times(metrics: Metrics, cycle: Cycle) -> None:
    decode, read, decide, encode = (
        sum(parts) for parts in zip(*(r.laps for r in cycle.results), strict=True)
    )
    metrics.observe(STAGE_SECONDS, cycle.queued, "queue")
    for stage, seconds in (
        ("decode", decode),
        ("read", read),
        ("decide", decide),
        ("encode", encode),
        ("commit", cycle.commit),
        ("apply", cycle.apply),
    ):
        metrics.observe(STAGE_SECONDS, [seconds], stage)
    for phase, seconds in cycle.phases.items():
        metrics.observe(TRANSACTION_SECONDS, [seconds], phase)
    metrics.observe(CYCLE_EVENTS, [cycle.records])
    metrics.observe(CYCLE_SECONDS, [cycle.step + cycle.commit + cycle.apply])
    metrics.set(LAST_COMMIT, cycle.committed_at)


def _grouped(things: Iterable[T], key: Callable[[T], str]) -> dict[str, list[T]]:
    groups: dict[str, list[T]] = {}
    for thing in things:
        groups.setdefault(key(thing), []).append(thing)
    return groups
