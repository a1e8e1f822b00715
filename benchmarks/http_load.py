"""Requests over HTTP at a rate, or as fast as they are answered; a process of its own.

`python -m benchmarks.http_load HOST PORT --paths FILE --rate 1000 --seconds 5` prints one JSON object. At a
rate, a request's time begins when it was due, not when a connection was free for it.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any, Final

import uvloop

BODY: Final = b"\r\n\r\n"
LENGTH: Final = b"content-length: "
LATE_SECONDS: Final = 0.002
"""Between two looks at what is due."""


class Connection(asyncio.Protocol):
    """One request at a time, over and over."""

    def __init__(self, load: "HttpLoad") -> None:
        self._load = load
        self._left = b""
        self._due = 0.0
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Be free."""
        self._transport = transport
        self._load.free(self)

    def ask(self, request: bytes, due: float) -> None:
        """Send a request."""
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Count an answer once it is whole."""
        self._left += data
        head, found, body = self._left.partition(BODY)
        if not found:
            return
        lower = head.lower()
        at = lower.find(LENGTH)
        length = int(lower[at + len(LENGTH) :].partition(b"\r\n")[0]) if at >= 0 else 0
        if len(body) < length:
            return
        self._left = body[length:]
        self._load.answered(head[9:12], time.perf_counter() - self._due)
        self._load.free(self)


class HttpLoad:
    """All connections, and what they have measured.

    Args:
        requests: to choose from, at random.
        rate: requests a second; 0: as fast as they are answered.
    """

    def __init__(self, requests: list[bytes], rate: float) -> None:
        self._requests = requests
        self._rate = rate
        self._free: deque[Connection] = deque()
        self._due: deque[float] = deque()
        self._random = random.Random(1)
        self.is_on = False
        self.seconds: list[float] = []
        self.statuses: dict[str, int] = {}

    def free(self, connection: Connection) -> None:
        """A connection can take a request."""
        if self._rate == 0 and self.is_on:
            self._ask(connection, time.perf_counter())
        elif self._due:
            self._ask(connection, self._due.popleft())
        else:
            self._free.append(connection)

    def answered(self, status: bytes, seconds: float) -> None:
        """Count an answer."""
        self.seconds.append(seconds)
        name = status.decode()
        self.statuses[name] = self.statuses.get(name, 0) + 1

    def start(self) -> None:
        """Put every connection to work."""
        self.is_on = True
        waiting, self._free = self._free, deque()
        for connection in waiting:
            self.free(connection)

    async def pace(self, seconds: float) -> None:
        """Send at the rate."""
        started = time.perf_counter()
        sent = 0
        while (now := time.perf_counter() - started) < seconds:
            for _ in range(int(now * self._rate) - sent):
                due = started + sent / self._rate
                sent += 1
                if self._free:
                    self._ask(self._free.popleft(), due)
                else:
                    self._due.append(due)
            await asyncio.sleep(LATE_SECONDS)

    def _ask(self, connection: Connection, due: float) -> None:
        connection.ask(self._random.choice(self._requests), due)


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Warm up, measure, tell."""
    requests = [
        f"GET {path} HTTP/1.1\r\nHost: {options.host}\r\n\r\n".encode()
        for path in options.paths.read_text().split()
    ]
    load = HttpLoad(requests, options.rate)
    loop = asyncio.get_running_loop()
    for _ in range(options.connections):
        await loop.create_connection(lambda: Connection(load), options.host, options.port)
    load.start()
    for seconds in (options.warm_up, options.seconds):
        load.seconds.clear()
        load.statuses.clear()
        cpu, began = time.process_time(), time.perf_counter()
        await (load.pace(seconds) if options.rate else asyncio.sleep(seconds))
        took = time.perf_counter() - began
    return {
        "requests": len(load.seconds),
        "seconds": took,
        "cpu": time.process_time() - cpu,
        "statuses": load.statuses,
        "latencies_ms": [1000 * each for each in load.seconds] if options.rate else [],
    }


def main() -> None:
    made = argparse.ArgumentParser(prog="python -m benchmarks.http_load")
    made.add_argument("host")
    made.add_argument("port", type=int)
    made.add_argument("--paths", type=Path, required=True, help="a file of paths, one a line")
    made.add_argument("--rate", type=float, default=0.0, help="requests/s; 0: as fast as it goes (0)")
    made.add_argument("--seconds", type=float, default=5.0)
    made.add_argument("--warm-up", type=float, default=1.0)
    made.add_argument("--connections", type=int, default=16)
    json.dump(uvloop.run(run(made.parse_args())), sys.stdout)


if __name__ == "__main__":
    main()
