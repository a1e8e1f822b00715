"""The whole job under load: real topics, real worker processes, progress as the deltas tell it."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from msgspec import Struct

from benchmarks.machine import busy_seconds, cpu_seconds
from benchmarks.processes import BenchmarkError
from state.event import Event
from state.slate import Delta
from stream.codecs import decode_delta, encode_delta
from stream.config import Settings
from stream.event_file import EventList
from stream.ranker import publish_ranker
from stream.replay import replay
from stream.topics import create_topics, topic_specs

ROOT: Final = Path(__file__).parents[1]
POLL_MS: Final = 100
SKIPPED_SHARE: Final = 0.2
"""Of a round's events, while which the rest of them is still being loaded: outside the timing."""
START_SECONDS: Final = 120.0
SLATES_SAMPLED: Final = 500
STALL_SECONDS: Final = 60.0
"""Without any progress for so long a round has failed."""
STOP_SECONDS: Final = 20.0
COUNTS: Final = re.compile(
    r"processed (?P<events>\d+) events in (?P<cycles>\d+) cycles: step (?P<step>[\d.]+) us, "
    r"commit (?P<commit>[\d.]+) ms a cycle, apply (?P<apply>[\d.]+) us"
)
"""The line a worker logs when it stops; `stream/worker.py`."""


class Sample(NamedTuple):
    """How far the job was at a moment, and what it had used by then."""

    events: int
    worker: float | None
    broker: float | None
    others: float | None = None
    """CPU seconds of every process that is no part of the benchmark."""
    at: float = 0.0


class Progress(NamedTuple):
    """One delta."""

    time: int
    """When it was written, epoch milliseconds: the cycle had been computed, and was about to be committed."""
    events: int
    """Records it covers."""


class Timing(NamedTuple):
    """The part of a round that is timed."""

    skipped: int
    """Events before it."""
    events: int
    seconds: float


class JobRound(Struct):
    """One round of one job."""

    events: int
    """Within the timing."""
    seconds: float
    rate: float
    """Events per second and worker."""
    worker_cpu_us: float | None
    """CPU microseconds per event, all workers."""
    broker_cpu_us: float | None
    others_cores: float | None
    """Cores that processes outside the benchmark kept busy meanwhile: above 0.1, the round was disturbed."""
    load_cpu_us: float
    """Of the load generator, per event loaded."""


class Spent(Struct):
    """Where a worker's time went, over its whole life; microseconds per event."""

    events: int
    cycles: int
    step: float
    commit: float
    apply: float
    commit_ms: float
    """Per cycle."""


class Job:
    """One app with topics of its own, and its workers."""

    def __init__(self, settings: Settings, folder: Path, *, workers: int, broker_pid: int | None) -> None:
        self.settings = settings
        self.folder = folder
        self.broker_pid = broker_pid
        self._wanted = workers
        self._workers: list[subprocess.Popen[bytes]] = []
        self._deltas: AIOKafkaConsumer = None

    async def start(self, history: Iterable[Delta], *, ranker: bytes | None = None) -> None:
        """Create the topics, give the models their past and workers the ranker, and start the workers."""
        await create_topics(self.settings.broker, topic_specs(self.settings))
        if ranker is not None:
            await publish_ranker(self.settings, ranker)
        await teach(self.settings, history)
        self.folder.mkdir(parents=True)
        self._workers = [self._start(n) for n in range(self._wanted)]
        await self._until_opened()
        self._deltas = AIOKafkaConsumer(
            bootstrap_servers=self.settings.broker,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="latest",
        )
        await self._deltas.start()
        tps = [TopicPartition(self.settings.deltas_topic, p) for p in range(self.settings.partitions)]
        self._deltas.assign(tps)
        await self._deltas.seek_to_end(*tps)

    async def process(self, events: Sequence[Event]) -> JobRound:
        """Load these events and wait until the workers have processed them.

        Raises:
            BenchmarkError: the job stands still.
        """
        cpu = time.process_time()
        await replay(self.settings, EventList(events), times="keep")
        load_cpu_us = 1e6 * (time.process_time() - cpu) / len(events)
        loaded_at = time.time_ns() // 1_000_000
        progress: list[Progress] = []
        samples = [self._sample(0)]
        moved = time.monotonic()
        while samples[-1].events < len(events):
            arrived = [record for records in (await self._fetch()).values() for record in records]
            for record in arrived:
                delta = decode_delta(record.value)
                progress.append(Progress(record.timestamp, delta.events + delta.dead_letters))
            samples.append(self._sample(sum(each.events for each in progress)))
            if arrived:
                moved = time.monotonic()
            elif time.monotonic() - moved > STALL_SECONDS:
                message = f"{samples[-1].events} of {len(events)} events processed\n{self.log()[-4000:]}"
                raise BenchmarkError(message)
        timing = timing_of(progress, not_before=loaded_at, skip=int(SKIPPED_SHARE * len(events)))
        worker_us, broker_us = cpu_per_event(samples, skip=timing.skipped)
        return JobRound(
            timing.events,
            timing.seconds,
            timing.events / timing.seconds / len(self._workers),
            worker_us,
            broker_us,
            cores_of_others(samples, skip=timing.skipped),
            load_cpu_us,
        )

    async def _fetch(self) -> dict[TopicPartition, list[Any]]:
        fetched: dict[TopicPartition, list[Any]] = await self._deltas.getmany(timeout_ms=POLL_MS)
        # Seldom enough to cost the worker nothing; the deltas carry their own time.
        await asyncio.sleep(POLL_MS / 1000)
        return fetched

    def _sample(self, events: int) -> Sample:
        pids = [worker.pid for worker in self._workers]
        worker = cpu_seconds(pids)
        broker = None if self.broker_pid is None else cpu_seconds([self.broker_pid])
        busy, at = busy_seconds(), time.monotonic()
        if worker is None or broker is None or busy is None:
            return Sample(events, worker, broker, None, at)
        return Sample(events, worker, broker, busy - worker - broker - time.process_time(), at)

    async def stop(self) -> Spent | None:
        """Stop the workers, and return what they say of themselves."""
        if self._deltas is not None:
            await self._deltas.stop()
        for worker in self._workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGTERM)
        for worker in self._workers:
            try:
                await asyncio.to_thread(worker.wait, STOP_SECONDS)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        return spent(self.log())

    def log(self) -> str:
        """What the workers have printed."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    async def slate_bytes(self) -> int:
        """Mean size of the last slates of one partition."""
        async with AIOKafkaConsumer(
            bootstrap_servers=self.settings.broker, isolation_level="read_committed", enable_auto_commit=False
        ) as consumer:
            tp = TopicPartition(self.settings.slates_topic, 0)
            consumer.assign([tp])
            end = (await consumer.end_offsets([tp]))[tp]
            consumer.seek(tp, max(0, end - SLATES_SAMPLED))
            sizes: list[int] = []
            while await consumer.position(tp) < end:
                for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                    sizes += [len(record.value) for record in records]
        if not sizes:
            message = "the warm-up gave no slates"
            raise BenchmarkError(message)
        return sum(sizes) // len(sizes)

    async def input_ends(self) -> dict[int, int]:
        """Offset after the last event, by partition."""
        topic = self.settings.input_topics[0]
        tps = [TopicPartition(topic, p) for p in range(self.settings.partitions)]
        return {tp.partition: end for tp, end in (await self._deltas.end_offsets(tps)).items()}

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        variables = {
            f"FRESHSLATE_{name.upper()}": str(value)
            for name, value in self.settings.model_dump(exclude_unset=True).items()
        }
        with (self.folder / f"worker-{number}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "agents.commands", "worker"],
                cwd=ROOT,
                env={**os.environ, **variables},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    async def _until_opened(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            logs = [path.read_text(errors="replace") for path in self.folder.glob("*.log")]
            if all("opened partitions" in log for log in logs):
                return
            if time.monotonic() > deadline or any(worker.poll() is not None for worker in self._workers):
                message = f"the workers did not start\n{self.log()[-4000:]}"
                raise BenchmarkError(message)
            await asyncio.sleep(0.1)


async def teach(settings: Settings, history: Iterable[Delta]) -> None:
    """Put into the deltas topic what the models are to know beforehand."""
    async with AIOKafkaProducer(
        bootstrap_servers=settings.broker, linger_ms=20, max_request_size=4 << 20
    ) as producer:
        for delta in history:
            await producer.send(settings.deltas_topic, encode_delta(delta), partition=0)


def timing_of(progress: Sequence[Progress], *, not_before: int, skip: int) -> Timing:
    """Leave out the first `skip` events and all that was done before `not_before`, epoch milliseconds.

    A delta's time is that of its cycle's end, so the timed part begins with the cycle after the last one left
    out.

    Raises:
        BenchmarkError: nothing is left to time.
    """
    ordered = sorted(progress)
    skipped, start = 0, 0
    rest = list(ordered)
    for each in ordered:
        if skipped >= skip and start >= not_before and each.time > start:
            break
        skipped += each.events
        start = each.time
        rest.pop(0)
    events = sum(each.events for each in rest)
    if not events:
        message = "too few events for a timing: give more with --events"
        raise BenchmarkError(message)
    return Timing(skipped, events, (rest[-1].time - start) / 1000)


def cpu_per_event(samples: Sequence[Sample], *, skip: int) -> tuple[float | None, float | None]:
    """CPU microseconds per event of workers and broker, after the first `skip` events."""
    first = next((sample for sample in samples if sample.events >= skip), samples[-1])
    last = samples[-1]
    events = max(1, last.events - first.events)
    return tuple(  # type: ignore[return-value]  # two of them
        None if after is None or before is None else 1e6 * (after - before) / events
        for before, after in ((first.worker, last.worker), (first.broker, last.broker))
    )


def cores_of_others(samples: Sequence[Sample], *, skip: int) -> float | None:
    """Cores that others kept busy, after the first `skip` events."""
    first = next((sample for sample in samples if sample.events >= skip), samples[-1])
    last = samples[-1]
    if first.others is None or last.others is None or last.at <= first.at:
        return None
    return max(0.0, (last.others - first.others) / (last.at - first.at))


def spent(log: str) -> Spent | None:
    """What the workers logged of their time when they stopped, all together; None where none did."""
    found = [match.groupdict() for match in COUNTS.finditer(log)]
    events = sum(int(counts["events"]) for counts in found)
    cycles = sum(int(counts["cycles"]) for counts in found)
    if not events:
        return None

    def mean(name: str, by: str, total: int) -> float:
        return sum(float(counts[name]) * int(counts[by]) for counts in found) / total

    commit_ms = mean("commit", "cycles", cycles)
    return Spent(
        events,
        cycles,
        mean("step", "events", events),
        1000 * commit_ms * cycles / events,
        mean("apply", "events", events),
        commit_ms,
    )
