"""The monitor's process on a real broker: every metric of it moves, and every query has its answer."""

import asyncio
import json
import random
import re
import time
from pathlib import Path
from typing import Any

import aiohttp
from aiokafka import AIOKafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from deploy.prometheus.server import RULES, Prometheus, faster
from stream.monitor_metrics import LAG, MONITOR_METRICS
from tests.deploy import live
from tests.deploy.tools import tool
from tests.kafka.harness import Shop, api_of, clicks, send, shop, until
from tests.kafka.test_replay_state import background

ADDRESS = re.compile(r"pages at (http://\S+)")
SECONDS = 120
PLANTED = 3_000
"""Slates of a policy whose click rate falls in the middle."""


def planted() -> list[tuple[str, dict[str, Any]]]:
    """Slates with expectations, exposures and rewards, by topic; the click rate falls from 0.6 to 0.1."""
    rng, now = random.Random(1), int(time.time() * 1000) - 10 * PLANTED
    rows: list[tuple[str, dict[str, Any]]] = []
    for n in range(PLANTED):
        slate = {
            "slate_id": f"planted-{n}",
            "user_id": f"p{n}",
            "scenario": "cart",
            "time": now + 10 * n,
            "policy": "planted",
            "items": [
                {"item_id": f"x{n % 700}", "score": 0.5, "propensity": 0.004, "expected": 0.6},
                {"item_id": f"y{n % 700}", "score": 0.9, "propensity": 0.9, "expected": 0.0},
            ],
        }
        rows.append(("slates", slate))
        if n % 10:
            seen = {
                "slates": [slate["slate_id"]],
                "times": [slate["time"]],
                "policies": ["planted/1"],
                "slate": [0, 0],
                "position": [1, 2],
                "context": "",
                "context_set": "",
            }
            rows.append(("deltas", {"exposures": seen} | EMPTY_DELTA))
        if n % 10 and rng.random() < (0.6 if n < PLANTED / 2 else 0.1):
            rows.append(("rewards", feedback(n, slate["time"])))
    rows.append(("rewards", feedback(1, now) | {"delay_seconds": 1e6}))
    return rows


EMPTY_DELTA: dict[str, Any] = {
    "partition": 0,
    "spans": [],
    "events": 0,
    "duplicates": 0,
    "dead_letters": 0,
    "slates": 0,
    "items": [],
    "item": [],
    "session": [],
    "time": [],
    "type": [],
}


def feedback(n: int, shown: Any) -> dict[str, Any]:
    return {
        "reward_id": f"r{n}",
        "slate_id": f"planted-{n}",
        "event_id": f"e{n}",
        "user_id": f"p{n}",
        "tenant": "default",
        "scenario": "cart",
        "item_id": f"x{n % 700}",
        "position": 1,
        "type": "purchase" if n % 7 == 0 else "click",
        "time": shown + 5,
        "reward": 1.0,
        "value": 9.5 if n % 7 == 0 else None,
        "currency": "EUR" if n % 7 == 0 else None,
        "propensity": 0.004,
        "policy": "planted",
        "policy_version": "1",
        "delay_seconds": 0.005,
    }


async def plant(it: Shop) -> None:
    names = {
        "slates": it.settings.slates_topic,
        "deltas": it.settings.deltas_topic,
        "rewards": it.settings.rewards_topic,
    }
    sent = []
    async with AIOKafkaProducer(bootstrap_servers=it.settings.broker, linger_ms=20) as producer:
        for topic, value in sorted(planted(), key=_answers_first):
            # The topic of slates is compacted, and takes no record without a key.
            key = str(value.get("user_id", 0)).encode()
            at = value["exposures"]["times"][0] if topic == "deltas" else value["time"]
            place = {"key": key, "partition": 0, "timestamp_ms": at}
            sent.append(await producer.send(names[topic], json.dumps(value).encode(), **place))
        await asyncio.gather(*sent)


def _answers_first(row: tuple[str, dict[str, Any]]) -> bool:
    """The wait is a second, and the planted slates come all at once: feedback has to be there before them."""
    return row[0] == "slates"


async def scrape(address: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Values by metric and labels."""
    async with aiohttp.ClientSession() as session, session.get(f"{address}/metrics") as response:
        assert response.status == 200
        text = await response.text()
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


class Scraped:
    """What scrapes have seen so far."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.moved: set[str] = set()
        self.values: dict[str, dict[tuple[str, ...], float]] = {}

    async def until(self, *names: str, say: Any) -> None:
        """Scrape until these metrics have been above 0."""
        deadline = time.monotonic() + SECONDS
        while missing := set(names) - self.moved:
            assert time.monotonic() < deadline, (sorted(missing), say()[-3000:])
            self.values = await scrape(self._address)
            self.moved |= {name for name, series in self.values.items() if any(series.values())}
            await asyncio.sleep(0.01)


async def ask(address: str) -> None:
    """Put every kind of request to the API, again and again."""
    event = {"type": "click", "user_id": "asks", "item_id": "i1"}
    async with aiohttp.ClientSession(address) as http:
        while True:
            for body in (event, {"type": "wave"}):
                await (await http.post("/v1/events", json=body)).read()
            await (await http.post("/v1/items", json=[{"price": 1}])).read()
            await (await http.post("/v1/recommend", json=event)).read()
            await (await http.get("/v1/slates/asks")).read()
            await asyncio.sleep(0.1)


async def queried(it: Shop, pages: dict[str, list[str]]) -> None:
    """Let a real Prometheus scrape these pages, and put every query of dashboards and rules to it."""
    tool("prometheus")  # a skip comes after what was tested without it
    rules = it.folder / "rules.yml"
    rules.write_text(faster(RULES.read_text(), live.SPEED))
    with Prometheus(it.folder / "prometheus", rules=rules, scrape_seconds=1) as prometheus:
        prometheus.targets(
            {job: [at.removeprefix("http://") for at in found] for job, found in pages.items()}
        )
        # Events and requests come meanwhile: some panels and rules look at what moves alone.
        sending = asyncio.gather(send(it, clicks(20_000, seed=3), rate=100), ask(*pages["freshslate-api"]))
        assert await asyncio.to_thread(live.settled, prometheus, SECONDS) == []
        assert await asyncio.to_thread(live.refused, prometheus) == []
        assert await asyncio.to_thread(live.strangers, prometheus) == []
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def test_every_metric_of_the_monitor_moves_and_every_query_of_dashboards_and_rules_is_answered(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(
        broker,
        prefix,
        tmp_path,
        monitor_port=0,
        monitor_wait_seconds=1,
        monitor_slates=5_000,
        canary_seconds=0.5,
        api_port=0,
    ) as it:
        await plant(it)
        printed = tmp_path / "worker-0.log"  # where the harness looks for it
        it.workers.append(background(it, "monitor", "--since", "1h", printed=printed))
        await until(lambda: ADDRESS.search(printed.read_text()), SECONDS, printed.read_text)
        found = ADDRESS.search(printed.read_text())
        assert found is not None
        scraped = Scraped(found[1])
        await scraped.until("freshslate_monitor_drift_alarms_total", say=printed.read_text)
        planted_by = "planted", "cart"
        assert scraped.values["freshslate_monitor_drift_alarms_total"]["down", *planted_by, "reward"] >= 1
        assert scraped.values["freshslate_monitor_exploration_ratio"][planted_by] == 0.5
        unseen = scraped.values["freshslate_monitor_unseen_slates_total"][planted_by]
        assert 0 < unseen <= PLANTED / 10  # every tenth was shown to nobody
        assert "drift of reward, policy planted, scenario cart" in printed.read_text()
        worker = it.start()
        await until(lambda: "opened partitions" in it.log(worker), SECONDS, it.logs)
        for seed in (1, 2):
            await send(it, clicks(1_000, seed=seed))
        # Whether a scrape finds the monitor behind is chance.
        await scraped.until(*(m.name for m in MONITOR_METRICS if m is not LAG), say=printed.read_text)
        assert {topic for (topic,) in scraped.values[LAG.name]} == {
            it.settings.slates_topic,
            it.settings.rewards_topic,
            it.settings.deltas_topic,
        }
        await it.settled(2_000)
        while scraped.values["freshslate_monitor_slates_total"].get(("softmax", "feed"), 0) < 1_500:
            scraped.moved.clear()
            await scraped.until("freshslate_monitor_slates_total", say=printed.read_text)
        at_work = ADDRESS.search(it.log(worker))
        assert at_work is not None
        async with api_of(it) as http:
            pages = {
                "freshslate-worker": [at_work[1]],
                "freshslate-monitor": [found[1]],
                "freshslate-api": [str(http._base_url).rstrip("/")],
            }
            await queried(it, pages)
