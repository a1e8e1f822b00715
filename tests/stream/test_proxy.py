"""The proxy between a client and an echo server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from stream.broker import free_ports
from stream.proxy import Proxy

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError), contextlib.closing(writer):
        while chunk := await reader.read(1 << 16):
            writer.write(chunk)
            await writer.drain()


@asynccontextmanager
async def echoing() -> AsyncIterator[Proxy]:
    """A proxy before a server that echoes."""
    port, target = free_ports(2)
    server = await asyncio.start_server(echo, "127.0.0.1", target)
    try:
        async with Proxy(port, target) as proxy:
            yield proxy
    finally:
        server.close()


OPENED: list[asyncio.StreamWriter] = []


@pytest.fixture(autouse=True)
async def _all_closed() -> AsyncIterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()
    await asyncio.sleep(0)


async def connect(proxy: Proxy) -> Connection:
    connection = await asyncio.open_connection("127.0.0.1", proxy.port)
    OPENED.append(connection[1])
    return connection


async def echoed(connection: Connection, sent: bytes) -> bytes:
    reader, writer = connection
    writer.write(sent)
    return await reader.readexactly(len(sent))


async def is_closed(connection: Connection) -> bool:
    try:
        return await connection[0].read(1) == b""
    except ConnectionError:
        return True


async def test_bytes_pass_both_ways_in_order_and_of_any_size() -> None:
    async with echoing() as proxy:
        connection = await connect(proxy)
        large = bytes(range(256)) * 8192
        assert await echoed(connection, b"small") == b"small"
        assert await echoed(connection, large) == large
        assert proxy.connections == 1


async def test_a_cut_ends_all_connections_and_the_next_one_is_served() -> None:
    async with echoing() as proxy:
        first, second = await connect(proxy), await connect(proxy)
        await echoed(first, b"1")
        await echoed(second, b"2")
        assert proxy.cut() == 2
        assert await is_closed(first)
        assert await is_closed(second)
        assert await echoed(await connect(proxy), b"3") == b"3"


async def test_while_it_refuses_nobody_gets_through() -> None:
    async with echoing() as proxy:
        proxy.is_refusing = True
        assert await is_closed(await connect(proxy))
        proxy.is_refusing = False
        assert await echoed(await connect(proxy), b"again") == b"again"


async def test_bytes_are_delayed_each_way_and_stay_in_order() -> None:
    async with echoing() as proxy:
        connection = await connect(proxy)
        proxy.delay_seconds = 0.1
        loop = asyncio.get_running_loop()
        started = loop.time()
        first = asyncio.create_task(echoed(connection, b"slow"))
        assert await first == b"slow"
        assert loop.time() - started >= 0.19
        proxy.delay_seconds = 0.0
        assert await echoed(connection, b"fast") == b"fast"


async def test_without_a_server_behind_it_a_connection_is_closed() -> None:
    port, nobody = free_ports(2)
    async with Proxy(port, nobody) as proxy:
        assert await is_closed(await connect(proxy))


@pytest.mark.parametrize("end", ["near", "far"])
async def test_when_one_end_leaves_the_other_one_hears_of_it(end: str) -> None:
    port, target = free_ports(2)
    heard = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if end == "near":
            assert await is_closed((reader, writer))
            heard.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", target)
    async with Proxy(port, target) as proxy:
        near = await connect(proxy)
        if end == "near":
            near[1].close()
            await asyncio.wait_for(heard.wait(), 10)
        else:
            assert await asyncio.wait_for(is_closed(near), 10)
    server.close()
