"""Workers in memory that leave a log behind: events, deltas that say what was folded, slates, profiles."""

import random

import numpy as np
from aiokafka import TopicPartition

from stream.config import Settings
from stream.followed import followed_topics, learning_config
from stream.refold import NO_SNAPSHOT
from stream.replica import Replica
from stream.work import work
from stream.worker import engine, model_config, recommender
from tests.stream.records import DictStore, T, record, records, shop_events

SETTINGS = Settings(max_sessions=1024, partitions=2, slate_size=5, candidates=20)
CYCLE = 11


def replica(snapshot=NO_SNAPSHOT):
    return Replica(
        "b:1",
        topics=followed_topics(SETTINGS),
        config=model_config(SETTINGS),
        learning=learning_config(SETTINGS),
        snapshot=snapshot,
        snapshot_seconds=3600.0,
    )


class World:
    """Topics of two partitions."""

    def __init__(self, seed=1):
        items = [
            record({"item_id": f"i{n}", "category": f"c{n % 3}"}, n, topic="items", key=b"i%d" % n)
            for n in range(12)
        ]
        self.shared = {
            TopicPartition("deltas", 0): [],
            TopicPartition("deltas", 1): [],
            TopicPartition("items", 0): items,
        }
        self.inputs = {p: records(shop_events(seed + p, 90), partition=p) for p in (0, 1)}
        self.stores = {p: DictStore() for p in (0, 1)}
        self.slates = {}
        """Values by id."""
        self.changelog = []
        self.now = T

    def log(self, topic, partition):
        return self.shared[TopicPartition(topic, partition)]


class Worker:
    """One life of a worker."""

    def __init__(self, world, name, *, seed=1, snapshot=NO_SNAPSHOT):
        self.world, self.rng = world, random.Random(seed)
        self.replica = replica(snapshot)
        self.replica.journal.worker = name
        for tp in world.shared:
            self.replica._offsets.setdefault(tp, 0)
        decide = recommender(SETTINGS, self.replica.models)
        self.engine = engine(SETTINGS, decide, name)._replace(folded=self.replica.journal.said)

    def fold(self):
        """Fold some of what there is, partitions in any order."""
        places = list(self.world.shared)
        self.rng.shuffle(places)
        for tp in places:
            records = [r for r in self.world.shared[tp] if r.offset >= self.replica.offsets[tp]]
            if records and self.rng.random() < 0.7:
                self.replica.fold(tp, records[: self.rng.randint(1, len(records))])

    def cycle(self, partition, size=CYCLE, *, commits=True):
        """One cycle of one partition; returns the models' content when it decided."""
        world = self.world
        run, world.inputs[partition] = world.inputs[partition][:size], world.inputs[partition][size:]
        result = work(partition, {"events": run}, world.stores[partition], self.engine)
        content = self.replica.models.snapshot()
        if not commits:
            world.inputs[partition] = run + world.inputs[partition]
            return content
        self.replica.journal.committed()
        world.stores[partition].update(row for row in result.changelog if row[0][:1] != b"\0")
        world.changelog += [(partition, *row) for row in result.changelog if row[0][:1] != b"\0"]
        world.now += 50
        for _, value, _ in result.deltas:
            log = world.log("deltas", partition)
            log.append(record(value, 2 * len(log), topic="deltas", partition=partition, time=world.now))
        for _, value, _ in result.slates:
            world.slates[value.split(b'"slate_id":"')[1].split(b'"')[0].decode()] = value
        return content


def same(left, right):
    """Whether two contents of models are the same bit for bit."""
    return left.keys() == right.keys() and all(np.array_equal(left[name], right[name]) for name in left)
