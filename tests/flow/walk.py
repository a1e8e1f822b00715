"""The whole walk in one process: raw records, cycle by cycle, through everything but the broker."""

import random
from collections import defaultdict

from state.catalogue import CatalogueItem
from state.models import Models
from state.recommend import Recommender, RecommendRules
from stream.codecs import decode_delta, decode_profile, decode_reward, decode_slate
from stream.config import Settings
from stream.work import Engine, work
from stream.worker import assignment, event_rules, model_config, step_rules
from tests.stream.records import DictStore, record, shop_events


class Walk:
    """One worker of a shop with several partitions, its models following its own deltas.

    Args:
        settings: of the worker; the defaults where none are given.
        learning: whether deltas reach the models.
        models: shared with somebody else.
        plugged: candidate sources from outside.
    """

    def __init__(self, settings=None, *, learning=True, models=None, plugged=()):
        settings = settings or Settings(slate_size=5, candidates=20)
        self.models = models or Models(model_config(settings))
        self.learning = learning
        self.plugged = plugged
        rules = RecommendRules(
            slots=settings.slate_size,
            candidates=settings.candidates,
            log_candidates=settings.log_candidates,
        )
        self.engine = Engine(
            decide=Recommender(self.models, assignment(settings), rules, plugged=plugged),
            events=event_rules(settings),
            step=step_rules(settings),
            writer="walk",
            version="0",
        )
        self.stores = defaultdict(DictStore)
        self.ends = defaultdict(int)
        self.slates = []
        self.rewards = []
        self.dead_letters = []
        self.deltas = []
        self.read = 0
        self._draw = random.Random(1)

    def catalogue(self, *item_ids, category=None):
        """Announce items."""
        for item_id in item_ids:
            self.models.upsert_item(item_id, CatalogueItem(item_id=item_id, category=category))

    def send(self, *values, topic="events", partition=0):
        """Append events to a partition and process them in one cycle."""
        start = self.ends[topic, partition]
        run = [record(value, start + i, topic=topic, partition=partition) for i, value in enumerate(values)]
        self.ends[topic, partition] += len(run)
        self.process(partition, {topic: run})

    def process(self, partition, runs):
        """One cycle of one partition."""
        store = self.stores[partition]
        result = work(partition, runs, store, self.engine)
        store.apply(result)
        self.read += sum(len(run) for run in runs.values())
        self.slates += [decode_slate(value) for _, value, _ in result.slates]
        self.rewards += [decode_reward(value) for _, value, _ in result.rewards]
        self.dead_letters += result.dead_letters
        new = [decode_delta(value) for _, value, _ in result.deltas]
        self.deltas += new
        if self.learning:
            self.models.learn(new)

    def cycle(self, count):
        """One cycle of random events."""
        self.send(*shop_events(self._draw.randrange(1 << 30), count=count))

    def latest(self, user):
        """The items of a user's latest slate."""
        (*_, slate) = (slate for slate in self.slates if slate.user_id == user)
        return [item.item_id for item in slate.items]

    def users(self):
        """(key, profile) of every partition; in this shop a user may have one in several."""
        for store in self.stores.values():
            for key, value in store.items():
                if not key.startswith(b"\0"):
                    yield key, decode_profile(value)
