"""Something without an end beside something that has one."""

import asyncio

import pytest

from stream import beside as module
from stream.beside import beside, ended


async def endless(ends: list[str]) -> None:
    try:
        await asyncio.sleep(60)
    finally:
        ends.append("endless")


async def failing() -> None:
    await asyncio.sleep(0)
    message = "the worker ended"
    raise ValueError(message)


async def test_the_end_of_the_block_ends_what_is_beside_it() -> None:
    ends: list[str] = []
    async with beside(endless(ends)):
        await asyncio.sleep(0)
    assert ends == ["endless"]


async def test_an_error_beside_the_block_ends_the_block_and_keeps_its_class() -> None:
    ends: list[str] = []
    with pytest.raises(ValueError, match="the worker ended"):
        async with beside(failing()):
            await endless(ends)
    assert ends == ["endless"]


async def test_an_error_of_the_block_keeps_its_class_too() -> None:
    ends: list[str] = []

    async def block() -> None:
        async with beside(endless(ends)):
            await failing()

    with pytest.raises(ValueError, match="the worker ended"):
        await block()
    assert ends == ["endless"]


async def test_a_cancelled_block_is_cancelled() -> None:
    ends: list[str] = []

    async def block() -> None:
        async with beside(endless(ends)):
            await asyncio.sleep(60)

    task = asyncio.create_task(block())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ends == ["endless"]


async def test_whoever_swallows_a_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.01)
    swallowed: list[int] = []

    async def deaf() -> None:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if len(swallowed) == 3:
                    raise
                swallowed.append(len(swallowed))

    ends: list[str] = []
    tasks = [asyncio.create_task(each) for each in (deaf(), endless(ends), failing())]
    await asyncio.sleep(0)
    await ended(tasks)
    assert all(task.done() for task in tasks)
    assert (swallowed, ends) == ([0, 1, 2], ["endless"])
    await ended([])
