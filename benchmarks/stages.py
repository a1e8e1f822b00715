"""Where the time of one event goes, in this process: `stream.work.work` on real profiles, no broker.

Two passes over the same events: one plain, for the total, and one with a stopwatch around each stage. A
stopwatch costs some 0.2 us a call; `of the step itself` is what no stage claims.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from unittest.mock import patch

from aiokafka.structs import ConsumerRecord
from msgspec import Struct

import state.recommend
import state.step
import stream.work
from benchmarks.inputs import Input, deltas_of
from state.event import Event
from state.models import Models
from state.policy.shares import Shares
from state.ranking.ranker import Ranker
from state.recommend import Recommender
from state.slates import Slates
from stream.codecs import decode_delta, encode_event
from stream.config import Settings
from stream.ranker import decode_ranker, ranker_of
from stream.store import Memory, PartitionStore
from stream.work import Engine, Result, work
from stream.worker import (
    calm_collector,
    event_rules,
    model_config,
    recommend_rules,
    shares,
    step_rules,
    warm,
)

TOPIC: Final = "events"
RUN: Final = 125
"""Records per call: a cycle of 1000 over 8 partitions."""

STAGES: Final[Mapping[str, Sequence[tuple[Any, str]]]] = {
    "decode event": ((stream.work, "decode_event"),),
    "read profile (RocksDB)": ((PartitionStore, "get"),),
    "decode profile": ((stream.work, "decode_profile"),),
    "fold session": ((state.step, "fold_event"),),
    "attribute reward": ((state.step, "answer"),),
    "retrieve": ((state.recommend, "retrieve_all"),),
    "features": ((state.recommend, "featurise"),),
    "rank": ((Ranker, "rank"),),
    "choose": (),
    "render items": ((state.recommend, "render"),),
    "build slate": ((Recommender, "__call__"),),
    "open slate": ((Slates, "opened"), (state.step, "with_slate")),
    "encode slate": ((stream.work, "encode_slate"),),
    "encode profile": ((stream.work, "encode_profile"),),
    "encode reward, delta": ((stream.work, "encode_reward"), (stream.work, "encode_delta")),
    "write profile (RocksDB)": ((PartitionStore, "apply"),),
    "decode delta": (),
    "learn": ((Models, "learn"),),
}
"""What to time, by stage; the policies and the delta's decoder are given by name below."""


class Stages(Struct):
    """Microseconds per event."""

    total: float
    """Of a pass without stopwatches: step, state and learning."""
    by_stage: dict[str, float]
    slate_bytes: float
    profile_bytes: float
    items: int
    """Items the models know at the end."""
    sessions: int
    """Sessions that can be neighbours at the end."""


class Stopwatch:
    """Adds up the time of each stage, what it calls in other stages left out."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner: list[float] = []

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, under the stopwatch."""
        clock, inner, seconds = time.perf_counter, self._inner, self.seconds

        def run(*arguments: Any, **named: Any) -> Any:
            inner.append(0.0)
            started = clock()
            try:
                return function(*arguments, **named)
            finally:
                passed = clock() - started
                seconds[stage] += passed - inner.pop()
                if inner:
                    inner[-1] += passed

        return run

    @contextmanager
    def everywhere(self, shares: Shares) -> Iterator[None]:
        """Time every stage while the context lasts."""
        with ExitStack() as stack:
            targets = [(stage, owner, name) for stage, places in STAGES.items() for owner, name in places]
            targets += [("choose", kind, "choose_all") for kind in set(map(type, shares.policies))]
            for stage, owner, name in targets:
                stack.enter_context(patch.object(owner, name, self.timed(stage, getattr(owner, name))))
            yield


def measure(given: Input, ranker: bytes | None = None) -> Stages:
    """Warm up on history and warm-up events, then measure the first round plainly, the second in stages.

    With the artefact of a ranker, that one orders the candidates.
    """
    settings = Settings()
    warm(settings)
    with TemporaryDirectory() as folder:
        bench = Bench(settings, Path(folder))
        if ranker is not None:
            bench.recommender.ranker = ranker_of(decode_ranker(ranker))
        bench.models.learn(deltas_of(given.history))
        bench.run(records(given.warm_up, 0))
        calm_collector()
        first, second = given.rounds[0], given.rounds[min(1, len(given.rounds) - 1)]
        start = len(given.warm_up)
        started = time.perf_counter()
        bench.run(records(first, start))
        total = time.perf_counter() - started
        watch = Stopwatch()
        with watch.everywhere(bench.shares):
            bench.decode_delta = watch.timed("decode delta", decode_delta)
            started = time.perf_counter()
            bench.run(records(second, start + len(first)))
            passed = time.perf_counter() - started
        by_stage = {stage: 1e6 * watch.seconds[stage] / len(second) for stage in STAGES}
        by_stage["of the step itself"] = 1e6 * passed / len(second) - sum(by_stage.values())
        bench.store.close()
    return Stages(
        1e6 * total / len(first),
        by_stage,
        bench.slate_bytes / max(1, bench.slates),
        bench.profile_bytes / max(1, bench.profiles),
        bench.models.n_items,
        bench.models.n_sessions,
    )


class Bench:
    """One partition's state and the models, fed with records."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.models = Models(model_config(settings))
        self.shares = shares(settings)
        self.recommender = Recommender(self.models, self.shares, recommend_rules(settings))
        self.engine = Engine(
            decide=self.recommender,
            events=event_rules(settings),
            step=step_rules(settings),
            writer="benchmark",
            version="0",
        )
        memory = Memory(
            cache_bytes=settings.rocksdb_cache_bytes, write_buffer_bytes=settings.rocksdb_write_buffer_bytes
        )
        self.store = PartitionStore(folder / "p0", memory)
        self.decode_delta: Callable[[bytes], Any] = decode_delta
        self.position = 0
        self.slates = self.slate_bytes = self.profiles = self.profile_bytes = 0

    def run(self, given: Sequence[ConsumerRecord[Any, Any]]) -> None:
        """Process, apply and learn, run by run."""
        for at in range(0, len(given), RUN):
            result = work(0, {TOPIC: given[at : at + RUN]}, self.store, self.engine)
            self.position += len(result.changelog)
            self.store.apply(result.changelog, result.markers, self.position)
            self.models.learn([self.decode_delta(value or b"") for _, value, _ in result.deltas])
            self._count(result)

    def _count(self, result: Result) -> None:
        self.slates += len(result.slates)
        self.slate_bytes += sum(len(value or b"") for _, value, _ in result.slates)
        self.profiles += len(result.changelog)
        self.profile_bytes += sum(len(value) for _, value in result.changelog)


def records(events: Sequence[Event], start: int) -> Sequence[ConsumerRecord[Any, Any]]:
    """The events as the consumer would deliver them, offsets from `start`."""
    return [
        ConsumerRecord(
            topic=TOPIC,
            partition=0,
            offset=start + n,
            timestamp=event.time,
            timestamp_type=0,
            key=event.key.encode(),
            value=encode_event(event),
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=0,
            headers=(),
        )
        for n, event in enumerate(events)
    ]
