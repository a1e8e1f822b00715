"""The HTTP API while its broker is killed, and when it is told to stop with requests on their way."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from stream.broker import Broker
from tests.kafka.harness import api_of, click, read_json, shop, until

CLIENTS = 4
SECONDS = 120


class Told(NamedTuple):
    """An answer to a client."""

    client: int
    asked: float
    """Of the monotonic clock, as `told`."""
    told: float
    event: dict[str, Any]
    status: int
    retry_after: str | None


async def keep_posting(
    http: aiohttp.ClientSession, client: int, told: list[Told], enough: asyncio.Event
) -> None:
    """Post event after event, each again until it is taken."""
    for n in itertools.count():
        if enough.is_set():
            return
        event = click(f"c{client}-{n % 5}", f"i{n % 7}", event_id=f"c{client}-{n}")
        while True:
            asked = time.monotonic()
            async with http.post("/v1/events", json=event) as answer:
                retry_after = answer.headers.get("Retry-After")
                told.append(Told(client, asked, time.monotonic(), event, answer.status, retry_after))
            await asyncio.sleep(0.01)
            if answer.status == 202:
                break


def least(told: Sequence[Told], since: float, *statuses: int) -> int:
    """How many such answers the client has that has fewest."""
    clients = [one.client for one in told if one.asked > since and one.status in statuses]
    return min(map(clients.count, range(CLIENTS)))


async def test_a_broker_that_is_killed_loses_nothing_that_was_accepted_and_nothing_counts_twice(
    prefix: str, tmp_path: Path
) -> None:
    broker = Broker.start(tmp_path / "kafka")
    told: list[Told] = []
    enough = asyncio.Event()
    try:
        async with shop(broker.address, prefix, tmp_path, api_port=0, partitions=2, api_ack_seconds=1) as it:
            it.start()
            await it.started(seconds=SECONDS)
            async with api_of(it) as http:
                async with asyncio.TaskGroup() as clients:
                    for client in range(CLIENTS):
                        clients.create_task(keep_posting(http, client, told, enough))
                    await until(lambda: least(told, 0, 202) >= 50, SECONDS, it.logs)
                    broker.kill()
                    killed = time.monotonic()
                    await until(lambda: least(told, killed, 202, 503) >= 3, SECONDS, it.logs)
                    restarted = time.monotonic()
                    broker = await asyncio.to_thread(Broker.start, tmp_path / "kafka", broker.port)
                    again = time.monotonic()
                    await until(lambda: least(told, again, 202) >= 50, SECONDS, it.logs)
                    enough.set()
                meanwhile = [one for one in told if one.asked > killed and one.told < restarted]
                assert {one.status for one in meanwhile} == {503}
                assert all(int(one.retry_after or 0) > 0 for one in meanwhile)
                assert {one.status for one in told} == {202, 503}

                taken = [one.event["event_id"] for one in told if one.status == 202]
                events = await read_json(it, it.settings.input_topics[0])
                written = [event["event_id"] for event in events]
                assert set(written) == set(taken)
                # Some that were refused are there all the same, beside what the client sent again.
                assert len(written) > len(taken)
                await it.settled(len(written))
                audit = await it.audit()
                assert audit.is_clean, audit
                assert audit.duplicate_events == len(written) - len(taken)
                slates = await read_json(it, it.settings.slates_topic)
                assert sorted(slate["trigger"]["event_id"] for slate in slates) == sorted(taken)

                last = {one.event["user_id"]: one.event["event_id"] for one in told}
                for user, event_id in last.items():
                    async with asyncio.timeout(SECONDS):
                        while (await shown(http, user))["trigger_event_id"] != event_id:
                            await asyncio.sleep(0.1)
            assert [process.poll() for process in it.workers] == [None, None]
    finally:
        broker.stop()


async def shown(http: aiohttp.ClientSession, user: str) -> dict[str, Any]:
    """The user's slate."""
    async with http.get(f"/v1/slates/{user}") as answer:
        assert answer.status == 200
        return dict(await answer.json())


class Sent:
    """A connection of its own, on which what was sent is known to be on its way.

    Args:
        port: of the API.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))

    def send(self, target: str, event: dict[str, Any] | None = None) -> None:
        """Send the only request: a POST where there is an event."""
        body = json.dumps(event).encode() if event else b""
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if event else ""
        head = f"{'POST' if event else 'GET'} {target} HTTP/1.1\r\nHost: localhost\r\n{kind}\r\n"
        self._socket.sendall(head.encode() + body)

    async def status(self) -> int:
        """Of the answer; 0 where the connection ended without one."""
        reader, writer = await asyncio.open_connection(sock=self._socket)
        with contextlib.closing(writer), contextlib.suppress(ConnectionResetError):
            answer = await reader.read()
            return int(answer.split(b" ", 2)[1]) if answer else 0
        return 0


@pytest.mark.parametrize("is_silent", [False, True])
async def test_what_was_sent_before_the_process_is_told_to_stop_is_answered(
    prefix: str, tmp_path: Path, is_silent: bool
) -> None:
    with Broker.start(tmp_path / "kafka") as broker:
        async with (
            shop(broker.address, prefix, tmp_path, api_port=0, api_ack_seconds=1) as it,
            api_of(it) as http,
        ):
            (process,) = it.workers
            port = http._base_url.port
            # No worker runs: the slates of these never come.
            waiting = [Sent(port) for _ in range(8)]
            for n, each in enumerate(waiting):
                each.send("/v1/recommend?wait=30", click(f"w{n}", "i1", event_id=f"w{n}"))
            topic, expected = it.settings.input_topics[0], {f"w{n}" for n in range(8)}
            async with asyncio.timeout(SECONDS):
                while {event["event_id"] for event in await read_json(it, topic)} != expected:
                    await asyncio.sleep(0.1)
            known = [Sent(port) for _ in range(30)]
            assert (await http.get("/healthz")).status == 200
            if is_silent:
                os.kill(broker.pid, signal.SIGSTOP)
            try:
                # Stopped, it has read nothing of what follows when it hears that it is to end.
                process.send_signal(signal.SIGSTOP)
                posting, reading = [*known, *(Sent(port) for _ in range(30))], [Sent(port) for _ in range(10)]
                for n, each in enumerate(posting):
                    each.send("/v1/events", click(f"u{n}", "i1", event_id=f"e{n}"))
                for each in reading:
                    each.send("/v1/slates/u1")
                process.send_signal(signal.SIGTERM)
                process.send_signal(signal.SIGCONT)
                posted = await asyncio.gather(*(each.status() for each in posting))
                others = await asyncio.gather(*(each.status() for each in (*waiting, *reading)))
                assert await asyncio.to_thread(process.wait, SECONDS) == 0, it.logs()
            finally:
                os.kill(broker.pid, signal.SIGCONT)
            assert set(others) == {200}
            assert set(posted) == ({503} if is_silent else {202})
            expected |= {f"e{n}" for n, status in enumerate(posted) if status == 202}
            written = {event["event_id"] for event in await read_json(it, topic)}
            # A refused one may be there all the same.
            assert expected <= written <= expected | {f"e{n}" for n in range(len(posting))}
            assert "Traceback" not in it.logs()
