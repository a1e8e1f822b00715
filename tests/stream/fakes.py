"""A log in memory in place of the broker, for what the loop decides.

What only Kafka can prove (fencing, transactions, restore over the wire) is in `tests/kafka`; here the log
keeps the promises of design 2.1, and the tests ask what the worker makes of them.
"""

import asyncio
import contextlib
from collections import defaultdict
from functools import partial

from aiokafka import TopicPartition

from state.errors import Refused
from stream.codecs import decode_slate
from stream.config import Settings
from stream.loop import Delivery, Loop
from stream.partitions import Partitions
from stream.transaction import Publisher
from stream.transport import Membership
from stream.work import work
from stream.worker import published_over
from stream.worker_metrics import WorkerMetrics
from tests.stream.records import DictStore, chunk, engine, record

FAR = 1 << 40
ENGINE = engine(writer="me")


class Log:
    """Topics, committed offsets and the generation that may write."""

    def __init__(self):
        self.topics = defaultdict(list)
        """(key, value, headers) by topic and partition."""
        self.offsets = {}
        self.generation = 1
        self.bounds = {}
        """(first, end) of input partitions; everything unless said otherwise."""

    def values(self, topic, partition=0):
        return [value for _, value, _ in self.topics[topic, partition]]

    async def read_topic(self, broker, topic, *, partitions, last):
        """`stream.reading.read_topic`."""
        for partition in sorted(partitions):
            values = self.values(topic, partition)
            for offset in range(max(0, len(values) - last), len(values)):
                yield record(values[offset], offset, topic=topic, partition=partition)

    def write(self, written):
        for topic, partition, rows in written:
            self.topics[topic, partition] += rows


class MemoryPublisher(Publisher):
    """Writes a cycle to the log at once or not at all; refuses a stale generation."""

    def __init__(self, log):
        self.log = log
        self.started = 0
        self.stopped = 0
        self.cycles = []
        """What each published: outputs, changelogs, offsets, membership."""
        self.before = []
        """Errors to raise, one per cycle, before anything is written; None for none."""
        self.between = []
        """The same, when the outputs are written and the changelog is not."""
        self.after = []
        """The same, when all is written: the worker cannot know."""
        self.gate = asyncio.Event()
        """Closed: the commit hangs."""
        self.gate.set()
        self.entered = asyncio.Event()

    async def start(self):
        self.started += 1

    async def stop(self):
        self.stopped += 1

    async def publish(self, outputs, changelogs, offsets, membership):
        self.entered.set()
        await self.gate.wait()
        if self.before and (error := self.before.pop(0)):
            raise error
        if membership.generation != self.log.generation:
            message = "stale generation"
            raise Refused(message)
        self.cycles.append((outputs, changelogs, offsets, membership))
        self.log.write(outputs)
        if self.between and (error := self.between.pop(0)):
            raise error
        self.log.write(changelogs)
        self.log.offsets.update(offsets)
        if self.after and (error := self.after.pop(0)):
            raise error
        return [len(self.log.topics[topic, partition]) - 1 for topic, partition, _ in changelogs]


class MemoryChangelog:
    """`stream.store.Changelog` over the log in memory."""

    def __init__(self, log, topic="profiles"):
        self.log = log
        self.topic = topic
        self.running = False
        self.restored = []
        """Partitions of each restore."""
        self.open = {}
        """Last stable offset of partitions with an open transaction."""
        self.writer = None
        """Who wrote in that transaction."""
        self.moves = False
        """Its writer is alive: the last stable offset moves."""
        self.fails = None

    async def start(self):
        self.running = True

    async def stop(self):
        self.running = False

    async def ends(self, partitions):
        return {p: len(self.log.topics[self.topic, p]) for p in partitions}

    async def bounds(self, tps):
        return {tp: self.log.bounds.get(tp, (0, FAR)) for tp in tps}

    async def open_transactions(self, partitions):
        if self.moves:
            self.open = {p: stable + 1 for p, stable in self.open.items()}
        return {p: self.open[p] for p in partitions if p in self.open}

    async def wait_until_stable(self, partitions, timeout_seconds):
        await asyncio.sleep(0)
        return await self.open_transactions(partitions)

    async def writer_since(self, partition, stable):
        return self.writer

    async def restore(self, stores):
        self.restored.append(sorted(stores))
        if self.fails:
            raise self.fails
        count = 0
        for partition, store in stores.items():
            rows = self.log.topics[self.topic, partition][store.position :]
            if rows:
                store.extend([(key, value) for key, value, _ in rows], store.position + len(rows))
            count += len(rows)
        return count


class MemoryInput:
    """What the loop asked of the consumer."""

    def __init__(self):
        self.sought = []
        self.rejoins = 0

    async def seek(self, topic, partition, offset):
        self.sought.append((topic, partition, offset))

    async def rejoin(self):
        self.rejoins += 1


async def until(condition):
    """Let everything else run until the condition holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0)


def tp(topic, partition):
    return TopicPartition(topic, partition)


def member(generation):
    return Membership(generation, f"m{generation}", None)


def folded(run):
    """The state after these records, in one cycle of one process."""
    store = DictStore()
    store.apply(work(0, {run[0].topic: run}, store, ENGINE))
    return {key: value for key, value in store.items() if not key.startswith(b"\0")}


class Rig:
    """A worker's loop with its surroundings."""

    def __init__(self, folder, *, engine=ENGINE, log=None, **settings):
        self.settings = Settings(data_dir=folder, **({"cycle_min_seconds": 0.0} | settings))
        self.log = log or Log()
        self.publisher = MemoryPublisher(self.log)
        self.source = MemoryInput()
        self.seconds = 0.0
        """What the clock on the wall says, epoch seconds."""
        self.published = published_over(engine.decide, self.settings)
        self.partitions = Partitions(
            self.settings, folder / "own", writer=engine.writer, published=self.published
        )
        self.partitions._changelog = MemoryChangelog(self.log)
        self.metrics = WorkerMetrics(lambda: self.seconds)
        engine = engine._replace(decide=self.published or engine.decide)
        self.loop = Loop(
            source=self.source,
            partitions=self.partitions,
            publisher=self.publisher,
            work=partial(work, engine=engine),
            settings=self.settings,
            metrics=self.metrics,
        )
        self.acked = []
        self.task = None

    async def begin(self, *partitions, generation=1):
        """Assign partitions and start cycling."""
        self.log.generation = generation
        await self.loop.assigned(partitions or (0,), member(generation))
        if self.task is None:
            self.task = asyncio.create_task(self.loop.run())
        await until(lambda: self.partitions.opened == frozenset(partitions or (0,)))

    async def put(self, run, *, start=None, generation=1):
        made = chunk(run, start=start, generation=generation)
        await self.loop.put(Delivery(made, lambda: self.acked.append((made.topic, made.partition, made.end))))

    async def idle(self):
        """Wait until all deliveries have been dealt with."""
        await until(lambda: self.loop._queue.empty() and not self.loop._lock.locked() and self._waits())

    def _waits(self):
        return self.task.done() or bool(self.loop._queue._getters)

    def slates(self):
        found = [decode_slate(value) for p in range(4) for value in self.log.values("slates", p)]
        return [(s.trigger.topic, s.trigger.partition, s.trigger.offset) for s in found]

    def offsets(self):
        return [offset for _, _, offset in self.slates()]

    async def end(self):
        if self.task is not None and not self.task.done():
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.task
        await self.loop.stop()
