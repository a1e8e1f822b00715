"""Every declared metric moves in a short real run, as Prometheus would scrape it."""

import asyncio
import contextlib
import json
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
from aiokafka import AIOKafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from stream.ranker import publish_ranker
from stream.worker_metrics import METRICS
from tests.kafka.harness import Shop, clicks, send, shop, until
from tests.kafka.test_ranker import publish_broken
from tests.stream.distributions import install
from tests.stream.made_ranker import made_artefact

CATALOGUE = 20_000
"""Items: enough for a worker to be seen catching up."""
FREEZES = 5
"""Attempts to freeze a worker so that its transaction is refused: each needs one that is open, or input that
waits."""
SECONDS = 120
SESSION_SECONDS = 6.0
ADDRESS = re.compile(r"pages at (http://\S+)")


MOODY = """
from state.retrieval.source import CandidateSource, Proposals

class Moody(CandidateSource):
    calls = 0

    def score(self, queries):
        self.calls += 1
        if self.calls % 3 == 0:
            raise RuntimeError("every third time")
        return [Proposals(("i1",), (1.0,))] * len(queries)
"""


class Scraper:
    """Scrapes every worker of a shop, again and again, and remembers what was above 0."""

    def __init__(self, it: Shop) -> None:
        self._shop = it
        self.moved: set[str] = set()
        """Names of metrics, without a histogram's suffixes."""
        self.families: set[str] = set()
        self.scrapes = 0

    async def run(self) -> None:
        """Scrape until cancelled."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while True:
                for worker in self._shop.workers:
                    # A worker may be frozen, or gone.
                    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                        await self._scrape(session, worker)
                await asyncio.sleep(0.01)

    async def _scrape(self, session: aiohttp.ClientSession, worker: subprocess.Popen[bytes]) -> None:
        found = ADDRESS.search(self._shop.log(worker))
        if worker.poll() is not None or found is None:
            return
        async with session.get(f"{found[1]}/metrics") as response:
            assert response.status == 200
            text = await response.text()
        for family in text_string_to_metric_families(text):
            self.families.add(family.name)
            # A histogram has moved when it has counted, even if all it counted was 0.
            suffix = "_count" if family.type == "histogram" else ""
            self.moved |= {
                sample.name.removesuffix(suffix)
                for sample in family.samples
                if sample.name.endswith(suffix) and sample.value > 0
            }
        self.scrapes += 1

    @property
    def still(self) -> set[str]:
        """Declared metrics that have not moved."""
        return {metric.name for metric in METRICS} - self.moved


@contextlib.asynccontextmanager
async def scraping(it: Shop) -> AsyncIterator[Scraper]:
    scraper = Scraper(it)
    task = asyncio.create_task(scraper.run())
    try:
        yield scraper
    finally:
        task.cancel()
        results = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError), results


async def stock(it: Shop) -> None:
    """A catalogue, one item of it broken."""
    async with AIOKafkaProducer(bootstrap_servers=it.settings.broker, linger_ms=20) as producer:
        for n in range(CATALOGUE):
            item = {"item_id": f"i{n}", "title": f"item {n}", "price": 1 + n % 50}
            await producer.send(it.settings.items_topic, json.dumps(item).encode(), key=b"i%d" % n)
        await producer.send(it.settings.items_topic, b"{", key=b"broken")


def busy(seconds: float) -> Iterator[dict[str, Any]]:
    """Events for so long."""
    deadline = time.monotonic() + seconds
    for seed in range(1, 1000):
        for event in clicks(1000, seed=seed):
            if time.monotonic() > deadline:
                return
            yield event


async def refused(scraper: Scraper, worker: subprocess.Popen[bytes]) -> None:
    """Freeze a worker beyond its session until one of its transactions is refused."""
    for _ in range(FREEZES):
        worker.send_signal(signal.SIGSTOP)
        await asyncio.sleep(SESSION_SECONDS + 1.5)
        worker.send_signal(signal.SIGCONT)
        await asyncio.sleep(3)
        if "freshslate_assignments_ended_total" in scraper.moved:
            return


async def test_every_declared_metric_moves_in_a_short_real_run(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("diversity = 0.1")
    policies = tmp_path / "policy.toml"
    policies.write_text('[[arm]]\npolicy = "linear_ts"\nshare = 1\n')
    groups = {"freshslate.sources": {"moody": "moody:Moody"}}
    site = install(tmp_path / "site", "moody", {"moody.py": MOODY}, groups)
    plugged = {"FRESHSLATE_SOURCES": "moody=0.01", "PYTHONPATH": str(site)}
    async with (
        shop(
            broker,
            prefix,
            tmp_path,
            rules_file=rules,
            policy_file=policies,
            session_timeout_seconds=SESSION_SECONDS,
            worker_port=0,
            canary_seconds=0.5,
            lag_poll_seconds=0.1,
            maturity_seconds=1,
            learning_bucket_seconds=1,
            # A little memory, so that state reaches the disk within seconds.
            rocksdb_write_buffer_bytes=1 << 16,
        ) as it,
        scraping(it) as scraper,
    ):
        # Without the plug-in, whose item would be in the slate: before the first event there is nothing.
        first = it.start()
        await it.started()
        alone = {"event_id": "alone", "type": "click", "user_id": "alone", "item_id": "alone"}
        await send(it, [alone])
        await until(lambda: "freshslate_slates_empty_total" in scraper.moved, 60, it.logs)
        await send(it, clicks(20))
        await stock(it)
        await send(it, clicks(4_000, seed=2))
        it.start(**plugged)
        sending = asyncio.create_task(send(it, busy(SECONDS), rate=1_500))
        await it.started()
        rules.write_text("diversity = 7")
        policies.write_text('[[arm]]\npolicy = "linear_ts"\nshare = 7\n')
        await publish_ranker(it.settings, made_artefact())
        await until(lambda: "freshslate_ranker_info" in scraper.moved, 30, it.logs)
        await publish_broken(it)
        await refused(scraper, first)
        await until(lambda: not scraper.still, 60, lambda: f"{it.logs()}\n{sorted(scraper.still)}")
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        assert scraper.scrapes > 20
        strangers = {f for f in scraper.families if not f.startswith(("freshslate_", "process_", "python_"))}
        assert strangers == set()  # nothing of faust's own sensor
