"""Plugged-in candidate sources and policies, built and watched (docs/plugins.md)."""

import logging
import time
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Final

from state.catalogue import CatalogueItem
from state.errors import SetupError
from state.policy.base import Policy
from state.retrieval.blend import Query
from state.retrieval.plugged import Plugged
from state.retrieval.source import CandidateSource, Proposals, checked
from state.retrieval.weights import SOURCES
from state.slate import Delta
from stream.entry_points import NAME, POLICY_GROUP, SOURCE_GROUP
from stream.metrics import Metrics
from stream.worker_metrics import SOURCE_ERRORS, SOURCE_SECONDS

log = logging.getLogger(__name__)

POLICY_METHODS: Final = ("version", "choose_all", "distribution")
WARNING_SECONDS: Final = 60.0
"""Between two lines about one source that fails."""


class Watched(CandidateSource):
    """A source whose mistakes cost its own proposals and nothing else: they are counted and logged.

    Args:
        name: Of the entry point.
        source: The plug-in's own.
        metrics: Count errors and seconds.
    """

    def __init__(self, name: str, source: CandidateSource, metrics: Metrics) -> None:
        self._name = name
        self._source = source
        self._metrics = metrics
        self._quiet_until = float("-inf")
        metrics.add(SOURCE_ERRORS, 0, name)

    def score(self, queries: Sequence[Query]) -> Sequence[Proposals]:
        """Its proposals; none at all where it fails or answers what cannot be used."""
        started = time.perf_counter()
        try:
            return checked(self._source.score(queries), queries)
        except Exception as error:
            self._failed("score", error)
            return [Proposals((), ())] * len(queries)
        finally:
            self._metrics.add(SOURCE_SECONDS, time.perf_counter() - started, self._name)

    def learn(self, deltas: Sequence[Delta]) -> None:
        """Teach it; what fails is lost for this source alone."""
        try:
            self._source.learn(deltas)
        except Exception as error:
            self._failed("learn", error)

    def upsert_item(self, item: CatalogueItem) -> None:
        """Teach it; see `learn`."""
        try:
            self._source.upsert_item(item)
        except Exception as error:
            self._failed("upsert_item", error)

    def withdraw_item(self, item_id: str) -> None:
        """Teach it; see `learn`."""
        try:
            self._source.withdraw_item(item_id)
        except Exception as error:
            self._failed("withdraw_item", error)

    def snapshot(self) -> bytes:
        """As the source says. What it raises is raised: a snapshot without it would lose what it learned."""
        return self._source.snapshot()

    def restore(self, state: bytes) -> None:
        """As the source does it; what it raises is raised, and the topics are read instead."""
        self._source.restore(state)

    def _failed(self, call: str, error: Exception) -> None:
        self._metrics.add(SOURCE_ERRORS, 1, self._name)
        if (now := time.monotonic()) >= self._quiet_until:
            self._quiet_until = now + WARNING_SECONDS
            log.warning("candidate source %s failed in %s and is left out: %r", self._name, call, error)


def plugged_sources(weights: Sequence[tuple[str, float]], metrics: Metrics) -> tuple[Plugged, ...]:
    """Build the sources of these names and weights.

    Raises:
        SetupError: One is not there, cannot be built, or fails when it is asked for the first time.
    """
    return tuple(
        Plugged(name, weight, Watched(name, _source(name), metrics))
        for name, weight in weights
        if weight > 0.0
    )


def plugged_policy(name: str) -> Policy:
    """Build a policy of a plug-in.

    Raises:
        SetupError: It is not there, or is not what it should be.
    """
    policy = _built(POLICY_GROUP, name)
    missing = [each for each in POLICY_METHODS if not hasattr(policy, each)]
    if missing or getattr(policy, "name", None) != name:
        found = f"has no {missing[0]}" if missing else f"calls itself {getattr(policy, 'name', None)!r}"
        message = f"policy {name} {found}; see docs/plugins.md"
        raise SetupError(message)
    return policy  # type: ignore[return-value]  # looked at just now


def _source(name: str) -> CandidateSource:
    if name in SOURCES:
        message = f"candidate source {name} has the name of one of Freshslate's own; rename its entry point"
        raise SetupError(message)
    source = _built(SOURCE_GROUP, name)
    if not isinstance(source, CandidateSource):
        message = f"candidate source {name} is {source!r} and no CandidateSource; see docs/plugins.md"
        raise SetupError(message)
    queries = [Query((), size=1), Query(("nothing",), ("like",), ("it",), size=1)]
    try:
        checked(source.score(queries), queries)
    except Exception as error:
        message = f"candidate source {name} cannot answer for a user of whom nothing is known: {error!r}"
        raise SetupError(message) from error
    return source


def _built(group: str, name: str) -> object:
    """Import and call an entry point."""
    found = list(entry_points(group=group, name=name))
    if len(found) != 1:
        known = ", ".join(each.name for each in entry_points(group=group)) or "none is installed"
        message = f"{group}: {len(found)} plug-ins are called {name!r}, there must be one; known: {known}"
        raise SetupError(message)
    if not NAME.fullmatch(name):
        message = f"{group}: {name!r} cannot be a name; use lower-case letters, digits and '_'"
        raise SetupError(message)
    try:
        return found[0].load()()
    except Exception as error:
        message = f"plug-in {name} ({found[0].value}) cannot be built: {error!r}"
        raise SetupError(message) from error
