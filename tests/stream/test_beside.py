"""Something without an end beside something that has one."""

import asyncio

import pytest

from stream.beside import beside


async def endless(ended: list[str]) -> None:
    try:
        await asyncio.sleep(60)
    finally:
        ended.append("endless")


async def failing() -> None:
    await asyncio.sleep(0)
    message = "the worker ended"
    raise ValueError(message)


async def test_the_end_of_the_block_ends_what_is_beside_it() -> None:
    ended: list[str] = []
    async with beside(endless(ended)):
        await asyncio.sleep(0)
    assert ended == ["endless"]


async def test_an_error_beside_the_block_ends_the_block_and_keeps_its_class() -> None:
    ended: list[str] = []
    with pytest.raises(ValueError, match="the worker ended"):
        async with beside(failing()):
            await endless(ended)
    assert ended == ["endless"]


async def test_an_error_of_the_block_keeps_its_class_too() -> None:
    ended: list[str] = []

    async def block() -> None:
        async with beside(endless(ended)):
            await failing()

    with pytest.raises(ValueError, match="the worker ended"):
        await block()
    assert ended == ["endless"]


async def test_a_cancelled_block_is_cancelled() -> None:
    ended: list[str] = []

    async def block() -> None:
        async with beside(endless(ended)):
            await asyncio.sleep(60)

    task = asyncio.create_task(block())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["endless"]
