"""Runs something that has no end beside something that has one."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


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
