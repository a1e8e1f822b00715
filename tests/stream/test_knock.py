import asyncio
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import trustme

from stream.connection import Connection
from stream.knock import BrokerRefusesError, BrokerUnreachableError, knock, why_not

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Server:
    """Whatever answers on a port; counts who comes."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.visits = 0
        self._context = context

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._hang_up, "127.0.0.1", 0, ssl=self._context)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self.address

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _hang_up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        writer.close()


def tls_server(authority: trustme.CA) -> Server:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return Server(context)


def tls(context: ssl.SSLContext) -> dict[str, Any]:
    return {"security_protocol": "SSL", "ssl_context": context}


async def refused(address: str) -> str:
    with pytest.raises(BrokerUnreachableError) as caught:
        await knock(address)
    return caught.value.detail


async def test_nobody_there_is_one_error_and_no_refusal() -> None:
    async with Server() as address:
        pass
    assert await refused(address) == "connection refused"
    assert await refused("kafka") == "'kafka' is not host:port"
    assert await refused(f"kafka,{address}") == "connection refused"
    assert await why_not(address) is None


async def test_whoever_hangs_up_is_no_broker_that_refuses_us() -> None:
    server = Server()
    async with server as address:
        assert "closed" in await refused(address)
    # As a client, to see whether it speaks TLS, and whether it only hangs up at a question.
    assert server.visits <= 3


async def test_a_port_that_speaks_tls_says_so_to_a_client_that_does_not() -> None:
    async with tls_server(trustme.CA()) as address:
        with pytest.raises(BrokerRefusesError, match=r"speaks TLS on this port: set FRESHSLATE_KAFKA_SEC"):
            await knock(address)


async def test_a_certificate_from_nobody_we_know_ends_it_at_the_first_server(tmp_path: Path) -> None:
    server, other = tls_server(trustme.CA()), Server()
    async with server as address, other as second:
        with pytest.raises(BrokerRefusesError) as caught:
            await knock(Connection(f"{address},{second}", tls(ssl.create_default_context())))
    assert caught.value.address == address
    assert "set FRESHSLATE_KAFKA_CA_FILE to the PEM file" in str(caught.value)
    assert (server.visits, other.visits) == (0, 0)
    async with tls_server(trustme.CA()) as address:
        told = await why_not(Connection(address, tls(ssl.create_default_context())))
        assert told is not None
        assert told.startswith(f"the Kafka broker at {address}: its certificate is from nobody we know")
