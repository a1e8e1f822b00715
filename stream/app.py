"""The faust app: every setting of it that Freshslate relies on, and what the loop needs of its consumer."""

import socket
from typing import TYPE_CHECKING, Any, Final

import faust
from faust.types import TP

from stream import transport
from stream.config import Settings

if TYPE_CHECKING:
    from stream.worker import Worker

_BUFFER_CHUNKS: Final = 8
"""Chunks faust may hold before the loop's own queue; a chunk is hundreds of records."""


class App(faust.App):  # type: ignore[misc]  # untyped base
    """A faust app whose messages are chunks, and which runs a worker."""

    chunk_records: int
    """Most records in one chunk."""
    worker: "Worker"
    """Starts before the group is joined, and stops before it is left."""

    async def on_start(self) -> None:
        """Start the worker; the consumer, a child of this service, comes after."""
        await super().on_start()
        await self.worker.start()
        self.add_future(self._watch())

    async def _watch(self) -> None:
        """Crash the process with the worker's error: nothing is skipped to stay alive."""
        try:
            await self.worker.run()
        except Exception as error:  # whatever it is, the process must not go on as if nothing was
            await self.crash(error)

    async def on_stop(self) -> None:
        """Finish the running cycle, then leave the group."""
        await self.worker.stop()
        await super().on_stop()


def create_app(settings: Settings) -> App:
    """Build the app for these settings; nothing is connected yet."""
    transport.register()
    scheme = transport.SCHEMES[settings.processing_guarantee]
    app = App(
        settings.app_id,
        broker=[f"{scheme}://{server.strip()}" for server in settings.broker.split(",")],
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
        web_port=settings.worker_port or _free_port(),
        web_tables_enabled=False,
    )
    app.chunk_records = settings.chunk_records
    return app


def _free_port() -> int:
    """A port that nobody listens on now: faust takes no 0 for any."""
    with socket.create_server(("", 0)) as probe:
        return int(probe.getsockname()[1])


class AppInput:
    """The consumer of a faust app, as `stream.loop.Input`."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def seek(self, topic: str, partition: int, offset: int) -> None:
        """Read this partition from this offset next."""
        tp = TP(topic, partition)
        if tp in self._app.consumer.assignment():
            await self._app.consumer.seek(tp, offset)

    async def rejoin(self) -> None:
        """Ask the group for a new generation."""
        thread = self._app.consumer._thread
        thread.thread_loop.call_soon_threadsafe(thread._ensure_consumer()._coordinator.request_rejoin)

    @property
    def membership(self) -> Any:
        """The membership of the running assignment."""
        return self._app.consumer.membership
