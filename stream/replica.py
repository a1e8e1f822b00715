"""Follows the shared models' topics: every worker folds all partitions of `deltas`, `items` and `rewards`.

No consumer group: each worker needs all of it. A snapshot on disk (arrays and offsets) lets a restart
read no more than the tail. One that an older program wrote without the posterior, or that was learned with
other parameters, is left out, and the topics are read from their beginning.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition

from state.errors import InvalidItem, UnreadableState
from state.models import Models
from state.posterior.beliefs import PRIOR, Beliefs
from state.posterior.config import LearningConfig
from state.posterior.posterior import Posterior
from state.retrieval.config import ModelConfig
from state.retrieval.source import CandidateSource
from stream import faults
from stream.codecs import decode_delta, decode_item, decode_reward
from stream.connection import Where, arguments
from stream.followed import FollowedTopics
from stream.journal import Journal, Saved
from stream.learners import ExampleLearner, Learners, LearnerUnknown
from stream.transport import FETCH_WAIT_MS
from stream.work import times_of

log = logging.getLogger(__name__)

_POLL_RECORDS: Final = 200
"""Records folded at once: small enough to keep the event loop free for slates."""
_POLL_MS: Final = 500
_CATCH_UP_POLL_MS: Final = 20
_ENOUGH_BYTES: Final = 1 << 20
"""Are answered at once, gathered or not: a start reads all there is."""
_OFFSETS: Final = "replica_offsets"
_TOPICS: Final = "replica_topics"
_SOURCE: Final = "source_"
_POSTERIOR: Final = "posterior."
_LEARNERS: Final = "learners."
_JOURNAL: Final = "replica_journal"
_SLACK_MS: Final = 60_000
"""A transaction's delta may be stamped before its rewards."""


class Replica:
    """Keeps `models` equal to a fold of their topics."""

    def __init__(
        self,
        where: Where,
        *,
        topics: FollowedTopics,
        config: ModelConfig,
        learning: LearningConfig,
        snapshot: Path,
        snapshot_seconds: float,
    ) -> None:
        """Load the snapshot, if there is one.

        Args:
            where: the brokers are.
            topics: what is followed.
            config: of the models.
            learning: of the posterior.
            snapshot: file, in a folder of this process alone.
            snapshot_seconds: time between snapshots.
        """
        self._topics = topics
        self._snapshot = snapshot
        self._snapshot_seconds = snapshot_seconds
        self._config = config
        self._learning = learning
        self._learners = Learners({}, learning)
        self._sources: Mapping[str, CandidateSource] = {}
        self._source_states: dict[str, bytes] = {}
        self._learner_states: Mapping[str, np.ndarray] = {}
        self._offsets: dict[TopicPartition, int] = {}
        self.journal: Final = Journal(self._topics, self._offsets)
        """In which order the topics were folded."""
        self.models, self.posterior = self._load()
        self.beliefs = PRIOR
        """What the posterior said when a bucket had matured last."""
        self._tell: Callable[[Beliefs], None] = lambda _: None
        self._told = 0
        self.caught_up = asyncio.Event()
        """Set once everything that was in the topics at the start has been folded."""
        self.skipped_items = 0
        """Catalogue records that could not be read."""
        self.folded = dict.fromkeys(self._topics, 0)
        """Records read since the start, by topic."""
        self._settings: dict[str, Any] = {
            **arguments(where),
            "isolation_level": "read_committed",
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "max_partition_fetch_bytes": 4 << 20,
            "fetch_max_wait_ms": FETCH_WAIT_MS,
        }
        self._consumer: AIOKafkaConsumer = None
        self._ends: dict[TopicPartition, int] = {}
        """Where the topics ended when they began to be followed."""

    @property
    def offsets(self) -> Mapping[TopicPartition, int]:
        """Next offset to fold, by partition."""
        return self._offsets

    def lag(self) -> dict[str, int]:
        """By topic, the offsets between what is folded and what is known to be committed.

        Known as of the latest fetch, before the first as of the start. A transaction's control record counts
        as one until it is passed. Empty while nothing is followed.
        """
        behind: dict[str, int] = {}
        for tp, first_end in self._ends.items():
            end = self._consumer.last_stable_offset(tp) or first_end
            # The consumer's `position` is this, but may wait, and nothing may wait in a scrape.
            passed = self._consumer._subscription.subscription.assignment.state_value(tp)._position or 0
            behind[tp.topic] = behind.get(tp.topic, 0) + max(0, end - passed)
        return behind

    def teach(
        self, sources: Mapping[str, CandidateSource], learners: Mapping[str, ExampleLearner] | None = None
    ) -> None:
        """Teach plugged-in candidate sources the same, and learners the examples as they mature.

        Call it before `models` is handed on: one that the snapshot knows nothing of has to read all of the
        topics, and the models with it.
        """
        self._sources = sources
        self._learners = Learners(learners or {}, self._learning)
        try:
            if self._offsets:
                self._learners.restore(self._learner_states)
            for name, source in sources.items():
                if self._offsets:
                    source.restore(self._source_states[name])
        except Exception as error:
            what = error if isinstance(error, LearnerUnknown) else f"candidate source {name}: {error!r}"
            log.warning("snapshot %s left out, reading the topics instead: %s", self._snapshot, what)
            self._forget()
            self._learners = Learners(learners or {}, self._learning)
            self.models, self.posterior = self._nothing()

    def believe(self, tell: Callable[[Beliefs], None]) -> None:
        """Hand new beliefs on, whenever more has matured; the first before `caught_up`."""
        self._tell = tell

    def gather(self, ms: int) -> None:
        """Let the brokers gather records for so long before they answer; call it before `run`."""
        self._settings |= {"fetch_max_wait_ms": ms, "fetch_min_bytes": _ENOUGH_BYTES}

    async def run(self) -> None:
        """Follow the topics for ever."""
        self._consumer = AIOKafkaConsumer(**self._settings)
        await self._consumer.start()
        try:
            waiting = self._ends = await self._assign()
            next_snapshot = self._now() + self._snapshot_seconds
            while True:
                if not self.caught_up.is_set() and await self._reached(waiting):
                    self._begin()
                    log.info(
                        "models caught up: %d items, %d sessions", self.models.n_items, self.models.n_sessions
                    )
                    self.caught_up.set()
                if self.caught_up.is_set() and self._now() >= next_snapshot:
                    await self.save()
                    next_snapshot = self._now() + self._snapshot_seconds
                await self._poll()
        finally:
            self._ends = {}
            await self._consumer.stop()

    async def save(self) -> None:
        """Write a snapshot; the copy is taken at once, the writing happens in a thread.

        A disk that takes none is a warning and no more: the last snapshot stays, and all that a start without
        a new one costs is time. State is another matter (`stream/store.py`), and stops the worker.
        """
        arrays = self.models.snapshot()
        arrays |= {_POSTERIOR + name: array for name, array in self.posterior.snapshot().items()}
        arrays |= {_LEARNERS + name: array for name, array in self._learners.arrays().items()}
        arrays |= self._source_arrays()
        tps = sorted(self._offsets)
        arrays[_TOPICS] = np.array([f"{tp.topic}\n{tp.partition}" for tp in tps], dtype=np.str_)
        arrays[_OFFSETS] = np.array([self._offsets[tp] for tp in tps], dtype=np.int64)
        arrays[_JOURNAL] = np.frombuffer(msgspec.msgpack.encode(self.journal.saved()), np.uint8)
        try:
            await asyncio.to_thread(_write, self._snapshot, arrays)
        except OSError as error:
            log.warning(
                "snapshot %s not written, the last one stays: %s; make room, or set FRESHSLATE_DATA_DIR",
                self._snapshot,
                error,
            )

    def _source_arrays(self) -> dict[str, Any]:
        """What the sources have learned; one that cannot say it will have to read the topics again."""
        arrays: dict[str, Any] = {}
        for name, source in self._sources.items():
            try:
                arrays[_SOURCE + name] = np.frombuffer(source.snapshot(), np.uint8)
            except Exception as error:
                log.warning("candidate source %s is not in the snapshot: %r", name, error)
        return arrays

    def believe_anew(self) -> None:
        """Believe what the posterior says now."""
        self._told = self.posterior.matured
        self.beliefs = self.posterior.beliefs()
        self._tell(self.beliefs)

    def _begin(self) -> None:
        """Believe all that was there at the start, and note it in the journal as a run of no records."""
        if self.posterior.matured:
            self.believe_anew()
            tp = min(self._offsets)
            self.journal.add(tp.topic, tp.partition, self._offsets[tp], self._offsets[tp])

    def _refresh(self) -> None:
        """Believe anew where more has matured; late records alone wait for the next bucket.

        What is folded decides when, and no clock, so that whoever folds the same believes the same.
        """
        if self.posterior.matured != self._told:
            self.believe_anew()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _assign(self) -> dict[TopicPartition, int]:
        """Read on from the snapshot; return where catching up ends."""
        tps = []
        for topic in self._topics:
            await self._consumer._client._wait_on_metadata(topic)
            tps += [TopicPartition(topic, p) for p in self._consumer.partitions_for_topic(topic) or ()]
        self._consumer.assign(tps)
        ends = await self._consumer.end_offsets(tps)
        starts = await self._consumer.beginning_offsets(tps)
        if not self._offsets:
            starts |= await self._rewards_since_deltas(starts)
        for tp in tps:
            known = self._offsets.get(tp, 0)
            if known > ends[tp]:
                message = (
                    f"{self._snapshot} stands at offset {known} of {tp.topic}-{tp.partition}, which ends at "
                    f"{ends[tp]}: the topic was created again; delete the file"
                )
                what = "snapshot"
                raise UnreadableState(what, message)
            self._offsets[tp] = max(known, starts[tp])
            self._consumer.seek(tp, self._offsets[tp])
        return dict(ends)

    async def _rewards_since_deltas(self, starts: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Where rewards begin that deltas are still there for; they may be kept for longer.

        Rewards whose exposures nobody can count any more would be all success.
        """
        deltas = [tp for tp in starts if tp.topic == self._topics.deltas]
        if not any(starts[tp] for tp in deltas):
            return {}
        first = await self._consumer.offsets_for_times(dict.fromkeys(deltas, 0))
        times = [found.timestamp for found in first.values() if found is not None]
        if not times:
            return {}
        since = max(0, min(times) - _SLACK_MS)
        rewards = {tp: since for tp in starts if tp.topic == self._topics.rewards}
        found = await self._consumer.offsets_for_times(rewards)
        return {tp: each.offset for tp, each in found.items() if each is not None}

    async def _reached(self, ends: Mapping[TopicPartition, int]) -> bool:
        # The position also passes the control records of transactions, which are never delivered.
        for tp, end in ends.items():
            if await self._consumer.position(tp) < end:
                return False
        return True

    async def _poll(self) -> None:
        # A fetch of nothing but control records ends no wait, and it may be the last one to wait for.
        wait = _POLL_MS if self.caught_up.is_set() else _CATCH_UP_POLL_MS
        fetched = await self._consumer.getmany(timeout_ms=wait, max_records=_POLL_RECORDS)
        for tp, records in fetched.items():
            self.fold(tp, records)
        # What was fetched ahead is handed over without waiting: slates have their turn here.
        await asyncio.sleep(0)

    def fold(self, tp: TopicPartition, records: Sequence[Any]) -> None:
        """Fold a run of records of one partition, in offset order and not none."""
        if tp.topic == self._topics.deltas:
            self._fold_deltas(records)
        elif tp.topic == self._topics.rewards:
            rewards = [decode_reward(record.value) for record in records]
            self.posterior.reward(rewards, times_of(records))
            self._learners.reward(rewards)
        else:
            self._fold_items(records)
        self._offsets[tp] = records[-1].offset + 1
        self.folded[tp.topic] += len(records)
        self.journal.add(tp.topic, tp.partition, records[0].offset, records[-1].offset + 1)
        self._learners.mature(self.posterior)
        if self.caught_up.is_set():
            self._refresh()

    def _fold_deltas(self, records: Sequence[Any]) -> None:
        deltas = [decode_delta(record.value) for record in records]
        self.models.learn(deltas)
        self.posterior.learn(deltas, times_of(records))
        self._learners.learn(deltas)
        for source in self._sources.values():
            source.learn(deltas)

    def _fold_items(self, records: Sequence[Any]) -> None:
        for record in records:
            item_id = (record.key or b"").decode(errors="replace")
            if record.value is None:
                self.models.withdraw_item(item_id)
                for source in self._sources.values():
                    source.withdraw_item(item_id)
                continue
            try:
                item = decode_item(record.key, record.value)
            except InvalidItem as error:
                self.skipped_items += 1
                log.warning("%s: item %s left out: %s", self._topics.items, item_id, error)
            else:
                self.models.upsert_item(item.item_id, item)
                for source in self._sources.values():
                    source.upsert_item(item)

    def _nothing(self) -> tuple[Models, Posterior]:
        return Models(self._config), Posterior(self._learning)

    def _forget(self) -> None:
        self._offsets.clear()
        self.journal.start_over()

    def _load(self) -> tuple[Models, Posterior]:
        if not self._snapshot.exists():
            return self._nothing()
        try:
            with self._snapshot.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            saved = arrays.pop(_JOURNAL, None)
            for place, offset in zip(arrays.pop(_TOPICS), arrays.pop(_OFFSETS), strict=True):
                topic, partition = str(place).split("\n")
                if topic not in self._topics:
                    message = f"it was learned from the topic {topic}"
                    raise ValueError(message)
                self._offsets[TopicPartition(topic, int(partition))] = int(offset)
            self._source_states = {name: array.tobytes() for name, array in _part(arrays, _SOURCE).items()}
            self._learner_states = _part(arrays, _LEARNERS)
            if saved is not None:
                self.journal.go_on(msgspec.msgpack.decode(saved.tobytes(), type=Saved))
            posterior = Posterior.restore(_part(arrays, _POSTERIOR), self._learning)
            return Models.restore(arrays, self._config), posterior
        except (ValueError, KeyError, OSError, EOFError, BadZipFile, msgspec.MsgspecError) as error:
            # The topics hold all of it; a damaged or older snapshot only costs the time to read them.
            log.warning("snapshot %s left out, reading the topics instead: %s", self._snapshot, error)
            self._forget()
            return self._nothing()


def _part(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Arrays whose names begin so, by the rest of their names."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write beside, then move: a kill in between leaves the last snapshot whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".tmp")
    try:
        with beside.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy's stub takes allow_pickle for a name
            file.flush()
            os.fsync(file.fileno())
        faults.reached("snapshot")
        beside.replace(path)
    except BaseException:
        # A full disk needs the room that a half-written file takes.
        beside.unlink(missing_ok=True)
        raise
