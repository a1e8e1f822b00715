"""The faust app: every setting of it that Freshslate relies on, and what the loop needs of its consumer."""

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import faust
from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.tables import TableManager
from faust.types import TP

from state.errors import SetupError
from stream import transport
from stream.config import Settings
from stream.connection import connection, faust_credentials
from stream.logs import faust_config
from stream.transport import Passed
from stream.web import Web

if TYPE_CHECKING:
    from stream.vitals import Vitals
    from stream.worker import Worker

_BUFFER_CHUNKS: Final = 8
"""Chunks faust may hold before the loop's own queue; a chunk is hundreds of records."""
_ANY_PORT: Final = 1
"""Stands for any port, as 0 does elsewhere, which faust takes for none; nobody asks for this one (tcpmux)."""


class App(faust.App):  # type: ignore[misc]  # untyped base
    """A faust app whose messages are chunks, and which runs a worker."""

    chunk_records: int
    """Most records in one chunk."""
    worker: "Worker"
    """Starts before the group is joined, and stops before it is left."""
    vitals: "Vitals"
    """Watches the worker from before its start until after its end."""

    @property
    def first_port(self) -> int:
        """Port for the worker's pages to try first; 0 is any."""
        port: int = self.conf.web_port
        return 0 if port == _ANY_PORT else port

    def _new_web(self) -> Web:
        return Web(self)

    async def on_start(self) -> None:
        """Start the worker; the consumer, a child of this service, comes after.

        The pages come first: they have to say what the worker waits for.
        """
        await super().on_start()
        if self.conf.web_enabled:
            await self.web.maybe_start()
        self.add_future(self.vitals.run())
        await self.worker.start()
        self.add_future(self._watch())

    async def _watch(self) -> None:
        """Crash the process with the worker's error: nothing is skipped to stay alive."""
        try:
            await self.worker.run()
        except Exception as error:  # whatever it is, the process must not go on as if nothing was
            await self.crash(error)

    async def on_stop(self) -> None:
        """Finish the running cycle, then leave the group; a worker process does not wait for ever."""
        if self.in_worker:
            self.worker.stopping.begin()
        await self.worker.stop()
        await super().on_stop()


class NoTables(TableManager):  # type: ignore[misc]  # untyped base
    """There are no faust Tables here, so nothing that a second of waiting would see registered."""

    async def on_start(self) -> None:
        """Start at once; the group is joined after this."""
        await self._update_channels()
        await self.recovery.start()


def create_app(settings: Settings) -> App:
    """Build the app for these settings; nothing is connected yet."""
    transport.register()
    scheme = transport.SCHEMES[settings.processing_guarantee]
    app = App(
        settings.app_id,
        broker=[f"{scheme}://{server.strip()}" for server in settings.broker.split(",")],
        broker_credentials=faust_credentials(connection(settings)),
        autodiscover=False,
        value_serializer="raw",
        key_serializer="raw",
        store="memory://",
        datadir=settings.data_dir / "faust",
        topic_disable_leader=True,
        # Topics are created with their configuration by `stream/topics.py`, never by accident.
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=settings.instance_id,
        consumer_max_fetch_size=settings.fetch_bytes,
        broker_session_timeout=settings.session_timeout_seconds,
        broker_heartbeat_interval=settings.heartbeat_seconds,
        broker_rebalance_timeout=settings.session_timeout_seconds,
        broker_commit_interval=1.0,
        stream_buffer_maxsize=_BUFFER_CHUNKS,
        # A rebalance need not wait for acknowledgements: the loop's lock ends the cycle first.
        stream_wait_empty=False,
        # With standby replicas faust uses its own assignor, which keeps equal partitions of all
        # topics together; without, it falls back to round robin, which does not.
        table_standby_replicas=1,
        TableManager=NoTables,
        web_bind=settings.worker_host,
        web_port=settings.worker_port or _ANY_PORT,
        web_tables_enabled=False,
        logging_config=faust_config(settings),
        # faust's assignor refuses an assignment made for another URL, and a static member that was killed
        # gets its old one back: so not the URL of its pages, whose port may be another one now.
        canonical_url=f"http://{settings.instance_id or uuid.uuid4().hex}",
    )
    app.chunk_records = settings.chunk_records
    return app


def together(assigned: Iterable[TP], topics: Iterable[str]) -> frozenset[int]:
    """Partition numbers of an assignment, which must be the same for every input topic.

    Raises:
        SetupError: a user's clicks would be in one worker and the purchases in another.
    """
    by_topic = {topic: {tp.partition for tp in assigned if tp.topic == topic} for topic in topics}
    numbers = set().union(*by_topic.values())
    if any(partitions != numbers for partitions in by_topic.values()):
        message = (
            f"the input topics' partitions are not assigned together: {by_topic}. All workers of a group "
            "must run the same FRESHSLATE_INPUTS, and the topics must have equal partition counts."
        )
        raise SetupError(message)
    return frozenset(numbers)


def _seek(consumer: AIOKafkaConsumer, tp: TopicPartition, offset: int) -> None:
    if tp in consumer.assignment():
        consumer.seek(tp, offset)


def _rejoin(consumer: AIOKafkaConsumer) -> None:
    consumer._coordinator.request_rejoin()


class AppInput:
    """The consumer of a faust app, as `stream.loop.Input`."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def seek(self, topic: str, partition: int, offset: int) -> None:
        """Read this partition from this offset next, if it is still ours."""
        self._in_thread(_seek, TopicPartition(topic, partition), offset)

    async def rejoin(self) -> None:
        """Ask the group for a new generation."""
        self._in_thread(_rejoin)

    def _in_thread(self, act: Callable[..., None], *arguments: object) -> None:
        """Have something done to the consumer between two steps of its own thread.

        faust's seek reaches into the running fetch from outside; its calls wait for the fetch to end.
        """
        thread = self._app.consumer._thread
        thread.thread_loop.call_soon_threadsafe(act, thread._ensure_consumer(), *arguments)

    def passed(self) -> Mapping[TopicPartition, Passed]:
        """How far each assigned partition has been read; empty before the consumer runs."""
        passed: Mapping[TopicPartition, Passed] = self._app.consumer.passed
        return passed

    @property
    def membership(self) -> Any:
        """The membership of the running assignment."""
        return self._app.consumer.membership
