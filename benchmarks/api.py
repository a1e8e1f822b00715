"""The HTTP API beside a bare endpoint of the same server, and event to slate over HTTP beside plain Kafka.

A real broker, a worker and a simulated shop at 500 events/s; requests are for the shop's own users.
`python -m benchmarks.api --help`.
"""

import argparse
import asyncio
import json
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import aiohttp
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from msgspec import Struct
from rich.console import Console

from benchmarks.arguments import Table, deliver, measured, parser, positive, progress, screen
from benchmarks.machine import cpu_seconds, load_average, machine
from benchmarks.percentiles import percentiles_of
from benchmarks.processes import BenchmarkError, Measured, node
from stream.api.server import ADDRESS_TOLD
from stream.config import Settings
from stream.crew import Member
from stream.java import KAFKA_VERSION
from stream.reading import read_topic
from stream.sender import Router
from stream.topics import create_topics, describe, topic_specs
from stream.transport import FETCH_WAIT_MS

COMMAND: Final = (sys.executable, "-m", "agents.commands")
START_SECONDS: Final = 120.0
SHOP_SECONDS: Final = 20.0
"""Of the shop before anything is measured: users come to have slates, the broker compiles its own code."""
USERS: Final = 2000
"""Whose slates are asked for, at most."""
RECOMMEND_RATE: Final = 50.0
"""Events a second whose own slates are waited for."""
HEADER: Final = ("what", "asked for", "done /s", "p50", "p90", "p99", "p99.9", "x bare", "server, cores")


class Phase(Struct):
    """One measurement."""

    what: str
    asked: str
    turn: int
    rate: float
    """Answers a second."""
    latencies: tuple[float, ...]
    """Milliseconds, as `PERCENTILES`; none of a run as fast as it goes."""
    cores: float
    """That the server kept busy."""


class Report(Struct):
    """One run."""

    machine: Mapping[str, str]
    load_average: float
    shop_rate: float
    slate_bytes: int
    phases: list[Phase]


def main() -> None:
    options = arguments(sys.argv[1:])
    console = screen(options)
    report = measured(run(options, console))
    title = (
        f"HTTP API beside a bare endpoint of {report.slate_bytes} bytes, {report.shop_rate:g} events/s; ms"
    )
    deliver(report, Table(title, HEADER, rows(report.phases)), options, console)


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    made = parser("api", "The HTTP API beside a bare endpoint, and event to slate beside plain Kafka.")
    made.add_argument("--rounds", type=positive, default=3)
    made.add_argument("--seconds", type=float, default=8.0, help="measured each time (8)")
    made.add_argument("--rate", type=float, default=1000.0, help="requests/s (1000)")
    made.add_argument("--shop", type=float, default=500.0, help="events/s meanwhile (500)")
    return made.parse_args(given)


async def run(options: argparse.Namespace, console: Console) -> Report:
    """Every measurement in turn, round by round."""
    report = Report({**machine(), "kafka": KAFKA_VERSION}, load_average(), options.shop, 0, [])
    with node() as broker, TemporaryDirectory(prefix="freshslate-bench-") as folder:
        name = f"bench-{uuid.uuid4().hex[:8]}"
        settings = Settings(
            broker=broker.address,
            topic_prefix=f"{name}.",
            app_id=name,
            data_dir=Path(folder) / "data",
            worker_port=0,
            api_port=0,
            api_rate=1e9,
        )
        await create_topics(settings.broker, topic_specs(settings))
        stage = Stage(settings, Path(folder), options)
        try:
            with console.status("worker, API and shop start"):
                await stage.start()
            report.slate_bytes = stage.slate_bytes
            with progress(console, "api", options.rounds * len(stage.measurements)) as done:
                for turn in range(1, options.rounds + 1):
                    for measure in stage.measurements:
                        report.phases.append(await measure(turn))
                        done()
        finally:
            await stage.stop()
    return report


class Stage:
    """Everything that runs.

    Args:
        settings: of worker, API and shop.
        folder: for logs.
        options: of the command.
    """

    def __init__(self, settings: Settings, folder: Path, options: argparse.Namespace) -> None:
        self._settings, self._folder, self._options = settings, folder, options
        self._members: list[Member] = []
        self._servers: dict[str, tuple[str, Measured | Member]] = {}
        self._paths = folder / "paths"
        self._items: list[str] = []
        self.slate_bytes = 0
        self.measurements = (
            self._bare,
            self._api,
            self._bare_full,
            self._api_full,
            self._kafka,
            self._recommend,
        )

    async def start(self) -> None:
        """Start the worker, then the API, the shop, and the bare endpoint.

        Raises:
            BenchmarkError: one of them does not.
        """
        settings = self._settings
        await self._member("worker", "worker", says="opened partitions")
        shop = ("simulate", "--hasty", "--seconds", "100000", "--rate", f"{self._options.shop:g}")
        await self._member("shop", *shop, says="")
        await asyncio.sleep(SHOP_SECONDS)
        api = await self._member("api", "api", says=ADDRESS_TOLD)
        address = api.child.log().partition(ADDRESS_TOLD)[2].split()[0]
        self._servers["api"] = (address, api)
        users: dict[str, None] = {}
        async for record in read_topic(settings.broker, settings.slates_topic):
            if record.key is not None and b"|" not in record.key:
                users[record.key.decode()] = None
        chosen = list(users)[-USERS:]
        self._paths.write_text("\n".join(f"/v1/slates/{user}" for user in chosen))
        async with aiohttp.ClientSession(address) as http:
            await self._ready(http)
            async with http.get(f"/v1/slates/{chosen[0]}") as answer:
                body = await answer.read()
                self.slate_bytes = len(body)
                self._items = [item["item_id"] for item in json.loads(body)["items"]]
        bare = Measured(
            "bare",
            [sys.executable, "-m", "benchmarks.bare_http", "0", str(self.slate_bytes)],
            self._folder,
        )
        await bare.until("running on http://", START_SECONDS)
        self._servers["bare"] = (bare.log().partition("running on ")[2].split()[0], bare)

    async def stop(self) -> None:
        """End everybody."""
        for member in self._members:
            member.child.stop()
        for _, server in self._servers.values():
            if isinstance(server, Measured):
                await server.stop()

    async def _member(self, name: str, *command: str, says: str) -> Member:
        member = Member(name, self._settings, self._folder, command=(*COMMAND, *command))
        self._members.append(member)
        deadline = time.monotonic() + START_SECONDS
        while says not in member.child.log():
            if member.child.has_ended or time.monotonic() > deadline:
                message = f"{name} did not start:\n{member.child.log()[-3000:]}"
                raise BenchmarkError(message)
            await asyncio.sleep(0.2)
        return member

    async def _ready(self, http: aiohttp.ClientSession) -> None:
        deadline = time.monotonic() + START_SECONDS
        while (await http.get("/readyz")).status != 200:
            if time.monotonic() > deadline:
                message = "the API is not ready"
                raise BenchmarkError(message)
            await asyncio.sleep(0.2)

    async def _bare(self, turn: int) -> Phase:
        return await self._ask("bare", turn, self._options.rate)

    async def _api(self, turn: int) -> Phase:
        return await self._ask("api", turn, self._options.rate)

    async def _bare_full(self, turn: int) -> Phase:
        return await self._ask("bare", turn, 0.0)

    async def _api_full(self, turn: int) -> Phase:
        return await self._ask("api", turn, 0.0)

    async def _ask(self, name: str, turn: int, rate: float) -> Phase:
        address, server = self._servers[name]
        host, _, port = address.removeprefix("http://").partition(":")
        command = [
            sys.executable,
            "-m",
            "benchmarks.http_load",
            host,
            port.strip("/"),
            "--paths",
            str(self._paths),
        ]
        command += ["--rate", f"{rate:g}", "--seconds", f"{self._options.seconds:g}"]
        before, began = _cpu(server), time.monotonic()
        asking = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        told, _ = await asking.communicate()
        cores = (_cpu(server) - before) / (time.monotonic() - began)
        if asking.returncode:
            message = f"the load on {name} failed"
            raise BenchmarkError(message)
        found = json.loads(told)
        if set(found["statuses"]) != {"200"}:
            message = f"{name} answered {found['statuses']}"
            raise BenchmarkError(message)
        latencies = percentiles_of(found["latencies_ms"]) if rate else ()
        asked = f"{rate:g}/s" if rate else "as fast as it goes"
        return Phase(name, asked, turn, found["requests"] / found["seconds"], latencies, cores)

    async def _recommend(self, turn: int) -> Phase:
        address, server = self._servers["api"]
        before, began = _cpu(server), time.monotonic()
        latencies: list[float] = []
        async with aiohttp.ClientSession(address) as http:

            async def ask(number: int) -> None:
                started = time.perf_counter()
                async with http.post("/v1/recommend?wait=5", json=self._click(turn, number)) as answer:
                    told = await answer.json()
                if told["kind"] == "fresh":
                    latencies.append(1000 * (time.perf_counter() - started))

            await _paced(ask, self._options.seconds)
        cores = (_cpu(server) - before) / (time.monotonic() - began)
        return _waited("POST /v1/recommend", turn, latencies, self._options.seconds, cores)

    async def _kafka(self, turn: int) -> Phase:
        """The same over plain Kafka: a producer without linger, a consumer of committed slates."""
        settings = self._settings
        route = Router(settings, await describe(settings.broker, settings.input_topics))
        sent: dict[str, float] = {}
        latencies: list[float] = []
        consumer = AIOKafkaConsumer(
            settings.slates_topic,
            bootstrap_servers=settings.broker,
            isolation_level="read_committed",
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )
        async with (
            consumer,
            AIOKafkaProducer(bootstrap_servers=settings.broker, enable_idempotence=True) as producer,
        ):

            async def read() -> None:
                async for record in consumer:
                    at = time.perf_counter()
                    event_id = json.loads(record.value)["trigger"]["event_id"] if record.value else ""
                    if event_id in sent:
                        latencies.append(1000 * (at - sent.pop(event_id)))

            async def ask(number: int) -> None:
                event = self._click(turn, number + 500_000)
                key = str(event["user_id"]).encode()
                topic, partition = route("click", key)
                sent[str(event["event_id"])] = time.perf_counter()
                await producer.send(topic, json.dumps(event).encode(), key=key, partition=partition)

            await consumer.getmany(timeout_ms=500)
            reading = asyncio.create_task(read())
            await _paced(ask, self._options.seconds)
            await asyncio.sleep(1)
            reading.cancel()
        return _waited("plain Kafka, event to slate", turn, latencies, self._options.seconds, 0.0)

    def _click(self, turn: int, number: int) -> dict[str, Any]:
        return {
            "event_id": f"bench-{turn}-{number}",
            "type": "click",
            "user_id": f"bench-{number}",
            "item_id": self._items[number % len(self._items)],
            "time": int(time.time() * 1000),
        }


async def _paced(ask: Any, seconds: float) -> None:
    """So many events a second, whether or not those before were answered."""
    started = time.perf_counter()
    asking: set[asyncio.Task[None]] = set()
    for number in range(int(seconds * RECOMMEND_RATE)):
        await asyncio.sleep(max(0.0, started + number / RECOMMEND_RATE - time.perf_counter()))
        asking.add(asyncio.create_task(ask(number)))
    await asyncio.gather(*asking)


def _waited(what: str, turn: int, latencies: list[float], seconds: float, cores: float) -> Phase:
    rate = len(latencies) / seconds
    return Phase(what, f"{RECOMMEND_RATE:g}/s", turn, rate, percentiles_of(latencies), cores)


def _cpu(server: Measured | Member) -> float:
    if isinstance(server, Measured):
        return server.cpu()
    return cpu_seconds([server.child.pid]) or 0.0


def rows(phases: Sequence[Phase]) -> list[list[str]]:
    """A line a measurement: medians over rounds, and the share of the bare endpoint's answers."""
    found: dict[tuple[str, str], list[Phase]] = {}
    for phase in phases:
        found.setdefault((phase.what, phase.asked), []).append(phase)
    rates = {name: median(phase.rate for phase in group) for name, group in found.items()}
    lines = []
    for (what, asked), group in found.items():
        bare = rates.get(("bare", asked))
        latencies = [median(column) for column in zip(*(phase.latencies for phase in group), strict=True)]
        shown = [f"{each:.2f}" for each in latencies] or ["-"] * 4
        share = f"{rates[what, asked] / bare:.2f}" if bare and what == "api" else "-"
        cores = median(phase.cores for phase in group)
        lines.append(
            [what, asked, f"{rates[what, asked]:,.0f}", *shown, share, f"{cores:.2f}" if cores else "-"]
        )
    return lines


if __name__ == "__main__":
    main()
