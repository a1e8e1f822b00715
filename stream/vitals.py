"""What a worker's pages tell: the facts of its health and its lag, gathered where they arise."""

import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from aiokafka import TopicPartition
from msgspec.structs import replace

from stream.config import Settings
from stream.connection import connection
from stream.health import Facts, Stall, Verdict, healthy, ready
from stream.lag import BrokerEnds, Lag, LagWatch, following
from stream.logs import worker_name
from stream.worker_metrics import CYCLE_SECONDS, LAST_COMMIT

if TYPE_CHECKING:
    from stream.worker import Worker


class Page(NamedTuple):
    """What is answered."""

    status: int
    body: bytes


class Vitals:
    """Watches one worker.

    Args:
        worker: to watch; asked, never changed.
        settings: the worker's.
        crash: what has brought the worker down, if anything has.
        clock: seconds, never backwards.
    """

    def __init__(
        self,
        worker: "Worker",
        settings: Settings,
        crash: Callable[[], BaseException | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._worker = worker
        self._settings = settings
        self._crash = crash
        self._clock = clock
        self._started = clock()
        self._stall = Stall()
        self._lag = LagWatch(
            ends=BrokerEnds(connection(settings), f"{settings.app_id}-lag"),
            probe=TopicPartition(settings.input_topics[0], 0),
            next_offsets=lambda: following(worker.partitions, settings.input_topics, worker.source.passed()),
            gauges=worker.metrics,
            clock=clock,
        )
        self.assigned: frozenset[int] | None = None
        """Partitions of the running assignment, as the group said; None where there is no assignment."""

    @property
    def lags(self) -> Mapping[TopicPartition, Lag] | None:
        """By input partition that is open; None: not known."""
        return self._lag.lags

    async def run(self) -> None:
        """Look at the lag for ever."""
        await self._lag.run(self._settings.lag_poll_seconds, self.facts)

    def facts(self) -> Facts:
        """The facts now; each look also tells how long nothing has advanced."""
        facts = self._facts()
        commits = self._worker.metrics.histogram(CYCLE_SECONDS).count
        stalled = self._stall.observe(self._clock(), facts, commits=commits)
        return replace(facts, stalled_seconds=stalled)

    def healthy(self) -> Page:
        """Whether the worker does its work: 200, or 503 with reasons."""
        facts = self.facts()
        return self._page("healthy", healthy(facts, stall_seconds=self._settings.stall_seconds), facts)

    def ready(self) -> Page:
        """Whether the worker is up to date: 200, or 503 with reasons."""
        facts = self.facts()
        return self._page("ready", ready(facts), facts)

    def _facts(self) -> Facts:
        worker, crash = self._worker, self._crash()
        # A loop that was refused has given its partitions up, whatever the group said last.
        assigned = self.assigned if self.assigned == worker.loop.assignment else None
        is_lag_known = assigned is not None and self._lag.covers(assigned)
        return Facts(
            failed=() if crash is None else (f"failed: {type(crash).__name__}: {crash}".rstrip(": "),),
            models_left=self._models_left(),
            assigned=assigned,
            restored=worker.partitions.opened,
            restore_left=worker.partitions.restore_left,
            lag_records=self._lag.records if is_lag_known else None,
            lag_problem=self._lag.problem,
        )

    def _models_left(self) -> int | None:
        replica = self._worker.replica
        return 0 if replica.caught_up.is_set() else sum(replica.lag().values()) or None

    def _page(self, question: str, verdict: Verdict, facts: Facts) -> Page:
        metrics = self._worker.metrics
        committed = metrics.value(LAST_COMMIT)
        body: dict[str, Any] = {
            question: verdict.ok,
            "reasons": verdict.reasons,
            "worker": worker_name(),
            "version": version("freshslate"),
            "uptime_seconds": round(self._clock() - self._started, 1),
            "partitions": sorted(facts.assigned or ()),
            "restored": sorted(facts.restored),
            "lag_records": facts.lag_records,
            "lag_seconds": None if facts.lag_records is None else self._lag.seconds,
            "last_commit_seconds_ago": round(metrics.now() - committed, 1) if committed else None,
        }
        return Page(200 if verdict.ok else 503, msgspec.json.encode(body))
