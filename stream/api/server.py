"""The API's process: clients of Kafka on one side, uvicorn on the other."""

import asyncio
import contextlib
import logging
import math
import select
import signal
import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from functools import partial
from typing import Any, Final

import uvicorn
from aiokafka import AIOKafkaProducer
from starlette.types import ASGIApp

from state.errors import SetupError
from stream.api.application import application
from stream.api.context import Context
from stream.api.decisions import Decisions
from stream.api.follower import Followed, Follower, Records
from stream.api.group import Group
from stream.api.guard import KeyRing, is_this_machine
from stream.api.item_store import ItemStore
from stream.api.keys import Keys, read_keys
from stream.api.limiter import Limiter
from stream.api.metrics import API_METRICS, FILE_METRICS, KEYS_INFO, KEYS_REFUSED, STORE_LAG
from stream.api.past import Past
from stream.api.popular import Popular
from stream.api.quick import Quick, QuickProtocol
from stream.api.recent import WINDOW_MS, Recent
from stream.api.store import SlateStore
from stream.api.turns import Turns
from stream.api.writer import Writer
from stream.beside import ended
from stream.cluster import check_cluster
from stream.config import Settings
from stream.connection import arguments, compression, connection
from stream.followed import followed_topics, learning_config
from stream.metrics import Metrics
from stream.replica import Replica
from stream.times import now_ms
from stream.topics import describe
from stream.watched_file import Kind, WatchedFile
from stream.web import listen
from stream.worker import deciding, event_rules, model_config, warm

log = logging.getLogger(__name__)

LINGER_MS: Final = 2
"""How long events wait for others to go with."""
GATHER_MS: Final = 250
"""How old what the models have learned may be: only popular slates and pages for people read them, and every
answer of a broker takes time from requests."""
ADDRESS_TOLD: Final = "API at "
"""What the process says before its address."""
STOP_SECONDS: Final = 10
"""How long requests may still take once the process is asked to end."""
TURNS: Final = 10
"""Of the event loop, in which a connection that was taken is read for the first time; five are enough."""
FLUSH_SECONDS: Final = 3
"""How long Kafka may still take for what no request waits for any more."""
KEYS: Final = Kind("API keys", KEYS_REFUSED, KEYS_INFO)


class ApiProcess:
    """One process of the API; any number may run.

    Args:
        settings: of the workers, and its own.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.metrics = Metrics((*API_METRICS, *FILE_METRICS))
        self.store = SlateStore(settings.api_store_bytes)
        self.items = ItemStore(settings.api_items)
        self.recent = Recent(now_ms)
        since = now_ms() - settings.api_store_seconds * 1000
        self.follower = Follower(
            settings,
            {
                settings.slates_topic: Followed(since, self._take_slates),
                settings.items_topic: Followed(None, self.items.take),
                settings.rewards_topic: Followed(now_ms() - WINDOW_MS, self.recent.take_rewards),
            },
        )
        self.replica = Replica(
            connection(settings),
            topics=followed_topics(settings),
            config=model_config(settings),
            learning=learning_config(settings),
            # Nothing is kept on disk: a start reads the topics.
            snapshot=settings.data_dir / f"{settings.app_id}-api" / "none",
            snapshot_seconds=math.inf,
        )
        self.replica.gather(GATHER_MS)
        # Popular slates keep to business rules and policies as workers' do.
        self.decide, self.files, self.rankers = deciding(settings, self.replica, self.metrics)
        self.ring = KeyRing(None, settings.api_cors_origins)
        self._closing = asyncio.Event()

    async def run(self) -> None:
        """Serve until the process is asked to end.

        Raises:
            SetupError: Settings, keys, topics or broker do not fit.
            aiokafka.errors.KafkaError: A topic cannot be followed any more.
        """
        settings = self._settings
        check_reach(settings)
        keys = self._keys()
        await check_cluster(settings, "api")
        await asyncio.to_thread(warm, settings)
        self.metrics.before_scrape(self._look)
        topics = await describe(connection(settings), settings.input_topics)
        try:
            async with self._producer() as producer, asyncio.TaskGroup() as tasks:
                followers = [self.follower.run(), self.replica.run(), self.rankers.run()]
                followers += [each.watch() for each in (*keys, *self.files.values())]
                following = [tasks.create_task(each) for each in followers]
                await self._serve(Writer(producer, settings, topics))
                await ended(following)
        except ExceptionGroup as errors:
            # Of one of them: callers know it by its class.
            raise errors.exceptions[0] from None

    def _look(self) -> None:
        self.metrics.set(STORE_LAG, self.follower.lag().get(self._settings.slates_topic, 0))

    def _keys(self) -> list[WatchedFile[Keys]]:
        """The file of keys, put in force; none where there is none."""
        path = self._settings.api_keys_file
        if path is None:
            return []
        follow = partial(setattr, self.ring, "keys")
        return [WatchedFile(path, KEYS, read=read_keys, follow=follow, metrics=self.metrics)]

    def _take_slates(self, records: Records) -> None:
        self.store.take(records)
        self.recent.take_slates(records)

    def ready(self) -> str:
        """Why requests should go elsewhere; empty: they should not."""
        if self._closing.is_set():
            return "the process ends"
        for what, event in (
            ("slates and items", self.follower.caught_up),
            ("models", self.replica.caught_up),
        ):
            if not event.is_set():
                return f"{what} are still being read"
        return ""

    async def _serve(self, writer: Writer) -> None:
        settings = self._settings
        clock = asyncio.get_running_loop().time
        group = Group(settings, clock)
        context = Context(
            settings=settings,
            rules=event_rules(settings),
            writer=writer,
            store=self.store,
            items=self.items,
            popular=Popular(self.decide, now_ms),
            metrics=self.metrics,
            now=now_ms,
            ready=self.ready,
            closing=self._closing,
            recent=self.recent,
            group=group,
            beliefs=lambda: self.replica.beliefs,
            decisions=Decisions(),
            turns=Turns(settings.api_reads, settings.api_read_seconds),
            past=Past(settings, self.replica.models),
        )
        limiter = Limiter(settings.api_rate, clock)
        quick = Quick(context, self.ring, limiter)
        server = _Server(_config(application(context, self.ring, limiter), quick), self._closing)
        sock = listen(settings.api_host, settings.api_port, setting="FRESHSLATE_API_PORT")
        host, port = sock.getsockname()[:2]
        log.info("%shttp://%s:%d (docs/http.md)", ADDRESS_TOLD, f"[{host}]" if ":" in host else host, port)
        try:
            await server.serve([sock])
        finally:
            await group.close()
        log.info("stopped")

    @contextlib.asynccontextmanager
    async def _producer(self) -> AsyncIterator[AIOKafkaProducer]:
        settings = self._settings
        producer = AIOKafkaProducer(
            **arguments(connection(settings)),
            client_id=f"{settings.app_id}-api",
            enable_idempotence=True,
            linger_ms=LINGER_MS,
            max_request_size=8 << 20,
            **compression(settings),
        )
        await producer.start()
        try:
            yield producer
        finally:
            await stop(producer)


def _config(app: ASGIApp, quick: Quick) -> uvicorn.Config:
    protocol: Any = partial(QuickProtocol, quick)
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


class _Server(uvicorn.Server):
    """uvicorn, which tells streams when it is asked to end."""

    def __init__(self, config: uvicorn.Config, closing: asyncio.Event) -> None:
        super().__init__(config)
        self._closing = closing

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End at a signal, and well: uvicorn would raise it again once all is done."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def shutdown(self, sockets: Any = ()) -> None:
        """End: streams first, which would never end by themselves; and no request that is here already."""
        self._closing.set()
        await self._take_in(sockets)
        await super().shutdown(sockets)

    async def _take_in(self, sockets: Iterable[socket.socket]) -> None:
        """Take and read what was sent until now: uvicorn closes connections of which it has read nothing."""
        untaken = select.poll()
        for each in sockets:
            untaken.register(each, select.POLLIN)
        quiet = 0
        # A turn takes one connection at least; more may come all the while.
        for _ in range(self.config.backlog):
            await asyncio.sleep(0)
            quiet = 0 if untaken.poll(0) else quiet + 1
            if quiet == TURNS:
                return


async def stop(producer: AIOKafkaProducer) -> None:
    """Stop the producer, which would wait for brokers for as long as they are silent.

    No request waits any more: of what is left, every client was told to send it again.
    """
    try:
        async with asyncio.timeout(FLUSH_SECONDS):
            await producer.stop()
    except TimeoutError:
        log.warning("Kafka did not take what was left in %d s; its senders were told so", FLUSH_SECONDS)


def check_reach(settings: Settings) -> None:
    """Refuse to let the whole network in without keys.

    Raises:
        SetupError: The API would listen beyond this machine, and there are none.
    """
    if settings.api_keys_file is not None or is_this_machine(settings.api_host):
        return
    message = (
        f"FRESHSLATE_API_HOST={settings.api_host} lets others than this machine in, and there are no "
        "keys: set FRESHSLATE_API_KEYS_FILE (`freshslate api-key` makes a key), or listen on 127.0.0.1"
    )
    raise SetupError(message)
