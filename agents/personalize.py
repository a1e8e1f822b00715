"""The personalize agent: hands chunks to the loop, and tells it and the probes of assignments."""

import asyncio
from collections.abc import Iterable
from typing import Any

import faust
import uvloop
from faust.types import TP

from agents.views import add_views
from state.errors import FreshslateError
from stream.app import App, AppInput, create_app, together
from stream.config import Settings, load_settings
from stream.loop import Delivery
from stream.vitals import Vitals
from stream.worker import Worker


def build_app(settings: Settings | None = None) -> App:
    """Build the app with its agent, from the environment where no settings are given."""
    settings = settings or load_settings()
    app = create_app(settings)
    source = AppInput(app)
    app.worker = Worker(settings, source)
    app.vitals = Vitals(app.worker, settings, crash=lambda: app.crash_reason)
    add_views(app, settings)
    events = app.topic(*settings.input_topics, key_type=None, value_type=bytes)

    @app.agent(events, name="personalize")  # type: ignore[untyped-decorator]  # faust is untyped
    async def personalize(stream: Any) -> None:
        async for event in stream.noack().events():
            await app.worker.loop.put(Delivery(event.value, event.ack))

    @app.on_partitions_assigned.connect  # type: ignore[untyped-decorator]  # faust is untyped
    async def assigned(_: App, partitions: Iterable[TP], **__: Any) -> None:
        app.vitals.assigned = together(partitions, settings.input_topics)
        await app.worker.loop.assigned(app.vitals.assigned, source.membership)

    @app.on_partitions_revoked.connect  # type: ignore[untyped-decorator]  # faust is untyped
    async def revoked(_: App, partitions: Iterable[TP], **__: Any) -> None:  # noqa: ARG001 - all go
        app.vitals.assigned = None
        await app.worker.loop.revoked()

    return app


class Process(faust.Worker):  # type: ignore[misc]  # untyped base
    """The process of one worker."""

    async def _sentinel_task(self) -> None:
        """End at once: the library sleeps a second here, when everything has stopped already."""


def run_worker(settings: Settings) -> None:
    """Run one worker until it is told to stop.

    Raises:
        SystemExit: 0 after a stop, else not.
        FreshslateError: what stopped the worker, so that its message is the last thing said.
    """
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = Process(
        build_app(settings), loop=loop, loglevel=settings.log_level.upper(), redirect_stdouts=False
    )
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        # What failed while it ran, or while it started.
        reason = worker.crash_reason or end.__context__
        if isinstance(reason, FreshslateError):
            raise reason from None
        raise
