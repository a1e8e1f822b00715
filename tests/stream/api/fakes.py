"""The API with a log in memory in place of the brokers; HTTP without a socket."""

import asyncio
import itertools
import json
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx

from state.event import Inbound
from state.models import Models
from state.posterior.beliefs import PRIOR
from state.slates import Slates
from stream.api.application import application
from stream.api.context import Context
from stream.api.decisions import Decisions
from stream.api.group import Look, PartitionRow
from stream.api.guard import KeyRing
from stream.api.item_store import ItemStore
from stream.api.keys import Keys
from stream.api.limiter import Limiter
from stream.api.metrics import API_METRICS
from stream.api.past import Past
from stream.api.popular import Popular
from stream.api.recent import Recent
from stream.api.store import SlateStore
from stream.api.turns import Turns
from stream.api.writer import Writer
from stream.codecs import encode_slate
from stream.config import load_settings
from stream.metrics import Metrics
from stream.topics import TopicState
from stream.worker import event_rules
from tests.state import shown

NOW = 1_763_831_000_000


class Sent(NamedTuple):
    topic: str
    key: bytes
    value: bytes | None
    partition: int | None
    timestamp_ms: int | None


class MemoryProducer:
    """Acknowledges at once, never, or with an error."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.holds = False
        self.fails: Exception | None = None
        self.held: list[asyncio.Future[Any]] = []

    async def send(self, topic, value, *, key, partition, timestamp_ms):
        self.sent.append(Sent(topic, key, value, partition, timestamp_ms))
        future = asyncio.get_running_loop().create_future()
        if self.fails is not None:
            future.set_exception(self.fails)
        elif self.holds:
            self.held.append(future)
        else:
            future.set_result(None)
        return future


def slate_of(
    user="u1", *, number=1, scenario="feed", event_id="e1", items=("i1", "i2", "i3"), tenant="default"
):
    """A published slate."""
    made = shown.slate(number, *items, scenario=scenario)
    trigger = {**json.loads(encode_slate(made))["trigger"], "event_id": event_id}
    fields = {**json.loads(encode_slate(made)), "user_id": user, "tenant": tenant, "trigger": trigger}
    return json.dumps(fields).encode()


def decide(asked):
    """Popular items for anybody."""

    def one(inbound: Inbound):
        fields = json.loads(
            slate_of(inbound.event.user_id, scenario=inbound.event.scenario, items=("p1", "p2"))
        )
        return json.dumps(fields).encode()

    return Slates.read([one(inbound) for _, inbound in asked])


class MemoryGroup:
    """Two workers, one of them behind."""

    async def look(self) -> Look:
        rows = [PartitionRow("events", 0, "w a", 0), PartitionRow("events", 1, "w b", 7)]
        return Look("Stable", ["w a", "w b"], rows)


class Api:
    """Everything of one API."""

    def __init__(self, *, keys: Keys | None = None, **settings: Any) -> None:
        self.settings = load_settings(**settings)
        self.producer = MemoryProducer()
        self.store = SlateStore(self.settings.api_store_bytes)
        self.recent = Recent(lambda: NOW)
        self.items = ItemStore(self.settings.api_items)
        self.metrics = Metrics(API_METRICS)
        topics = {name: TopicState(4, {}) for name in self.settings.input_topics}
        self.not_ready = ""
        self.ring = KeyRing(keys, self.settings.api_cors_origins)
        self.clock = itertools.count()
        self.context = Context(
            settings=self.settings,
            rules=event_rules(self.settings),
            writer=Writer(self.producer, self.settings, topics),
            store=self.store,
            items=self.items,
            popular=Popular(decide, lambda: NOW),
            metrics=self.metrics,
            now=lambda: NOW,
            ready=lambda: self.not_ready,
            closing=asyncio.Event(),
            recent=self.recent,
            group=MemoryGroup(),
            beliefs=lambda: PRIOR,
            decisions=Decisions(),
            turns=Turns(self.settings.api_reads, self.settings.api_read_seconds),
            past=Past(self.settings, Models()),
        )
        self.app = application(self.context, self.ring, Limiter(self.settings.api_rate, lambda: 0.0))

    @asynccontextmanager
    async def client(self, **headers: str):
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", headers=named
        ) as client:
            yield client

    def events(self) -> list[dict[str, Any]]:
        """What was written, decoded."""
        return [json.loads(sent.value) for sent in self.producer.sent]
