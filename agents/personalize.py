"""The personalize agent: hands chunks to the loop, and tells it of assignments."""

import asyncio
from collections.abc import Iterable
from typing import Any

import faust
import uvloop
from faust.types import TP

from state.errors import FreshslateError, SetupError
from stream.app import App, AppInput, create_app
from stream.config import Settings, load_settings
from stream.loop import Delivery
from stream.worker import Worker


def build_app(settings: Settings | None = None) -> App:
    """Build the app with its agent, from the environment where no settings are given."""
    settings = settings or load_settings()
    app = create_app(settings)
    source = AppInput(app)
    app.worker = Worker(settings, source)
    events = app.topic(*settings.input_topics, key_type=None, value_type=bytes)

    @app.agent(events, name="personalize")  # type: ignore[untyped-decorator]  # faust is untyped
    async def personalize(stream: Any) -> None:
        async for event in stream.noack().events():
            await app.worker.loop.put(Delivery(event.value, event.ack))

    @app.on_partitions_assigned.connect  # type: ignore[untyped-decorator]  # faust is untyped
    async def assigned(_: App, partitions: Iterable[TP], **__: Any) -> None:
        await app.worker.loop.assigned(together(partitions, settings.input_topics), source.membership)

    @app.on_partitions_revoked.connect  # type: ignore[untyped-decorator]  # faust is untyped
    async def revoked(_: App, partitions: Iterable[TP], **__: Any) -> None:  # noqa: ARG001 - all go
        await app.worker.loop.revoked()

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


def run_worker(settings: Settings) -> None:
    """Run one worker until it is told to stop.

    Raises:
        SystemExit: 0 after a stop, else not.
        FreshslateError: what stopped the worker, so that its message is the last thing said.
    """
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = faust.Worker(
        build_app(settings), loop=loop, loglevel=settings.log_level.upper(), redirect_stdouts=False
    )
    try:
        worker.execute_from_commandline()
    except SystemExit:
        if isinstance(worker.crash_reason, FreshslateError):
            raise worker.crash_reason from None
        raise
