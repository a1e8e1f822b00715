"""The benchmark of the HTTP API, but for what it measures."""

import asyncio

import pytest

from benchmarks.api import Phase, arguments, rows
from benchmarks.bare_http import constant
from benchmarks.http_load import Connection, HttpLoad


def phase(what: str, asked: str, rate: float, *latencies: float) -> Phase:
    return Phase(what, asked, 1, rate, latencies, 0.5)


def test_a_line_has_medians_and_the_share_of_the_bare_endpoint() -> None:
    phases = [
        phase("bare", "as fast as it goes", 1000.0),
        phase("api", "as fast as it goes", 200.0),
        phase("api", "as fast as it goes", 400.0),
        phase("api", "as fast as it goes", 300.0),
        phase("kafka", "50/s", 50.0, 1.0, 2.0, 3.0, 4.0),
    ]
    found = {row[0]: row[1:] for row in rows(phases)}
    assert found["api"] == ["as fast as it goes", "300", "-", "-", "-", "-", "0.30", "0.50"]
    assert found["bare"][-2] == "-"
    assert found["kafka"][2:6] == ["1.00", "2.00", "3.00", "4.00"]


def test_what_is_asked_for_has_defaults() -> None:
    assert (arguments([]).rate, arguments(["--rounds", "1"]).rounds) == (1000.0, 1)


class Transport:
    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.asked.append(data)


def connected(load: HttpLoad) -> tuple[Connection, Transport]:
    connection, transport = Connection(load), Transport()
    connection.connection_made(transport)
    return connection, transport


def test_an_answer_counts_once_it_is_whole_and_the_next_request_follows() -> None:
    load = HttpLoad([b"GET"], 0)
    connection, transport = connected(load)
    load.start()
    assert transport.asked == [b"GET"]
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Le")
    connection.data_received(b"ngth: 5\r\n\r\n123")
    assert load.seconds == []
    connection.data_received(b"45")
    assert (len(load.seconds), load.statuses) == (1, {"200": 1})
    assert transport.asked == [b"GET", b"GET"]


async def test_a_request_that_waits_for_a_connection_began_when_it_was_due() -> None:
    load = HttpLoad([b"GET"], 200)
    connection, transport = connected(load)
    load.start()
    pacing = asyncio.create_task(load.pace(0.1))
    await asyncio.sleep(0.05)
    connection.data_received(b"HTTP/1.1 304 Not Modified\r\n\r\n")
    await pacing
    assert len(transport.asked) == 2
    connection.data_received(b"HTTP/1.1 304 Not Modified\r\n\r\n")
    assert load.seconds[1] > 0.04  # it was due long before the connection was free


@pytest.mark.parametrize("size", [0, 10])
async def test_the_bare_endpoint_answers_with_so_many_bytes(size: int) -> None:
    sent = []

    async def send(message):
        sent.append(message)

    await constant(b"x" * size)({}, None, send)
    assert sent[1]["body"] == b"x" * size
    assert dict(sent[0]["headers"])[b"content-length"] == str(size).encode()
