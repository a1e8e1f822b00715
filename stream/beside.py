"""Runs something that has no end beside something that has one, and ends it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

AGAIN_SECONDS: Final = 1.0
"""Between two cancellations of a task that does not end."""


@asynccontextmanager
async def beside(endless: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `endless` until the block ends; if it fails, the block is cancelled and its error raised.

    `asyncio.TaskGroup` with two differences: the block's end ends the task, and of an error, which is of
    one of the two, no group is made: callers know it by its class.
    """
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(endless)
            yield
            task.cancel()
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def ended(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel tasks, again and again until each has come to its end; what it ended with is nobody's concern.

    A client of Kafka that authenticates just when it is cancelled may take that for a failed connection, and
    go on as if nothing had been said.
    """
    waiting = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel()
        done, waiting = await asyncio.wait(waiting, timeout=AGAIN_SECONDS)
        for task in done:
            if not task.cancelled():
                task.exception()
