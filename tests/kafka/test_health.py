"""The pages of real workers: from the first seconds, side by side, stuck and recovered."""

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
from aiokafka import AIOKafkaProducer
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from prometheus_client.parser import text_string_to_metric_families

from stream.topics import admin_client, topic_specs
from stream.worker import SNAPSHOT
from tests.kafka.harness import PARTITIONS, Shop, clicks, send, shop, until

Worker = subprocess.Popen[bytes]


async def address(it: Shop, worker: Worker) -> str:
    """Where a worker says its pages are."""
    await until(lambda: "pages at " in it.log(worker), 30, it.logs)
    (found,) = re.findall(
        r"pages at (http://127\.0\.0\.1:\d+) \(/metrics, /healthz, /readyz, /debug", it.log(worker)
    )
    return str(found)


async def get(url: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
        session.get(url) as response,
    ):
        return response.status, await response.text()


async def probe(url: str) -> tuple[int, dict[str, Any]]:
    status, body = await get(url)
    return status, json.loads(body)


async def answers(it: Shop, url: str, status: int, *, seconds: float = 90) -> dict[str, Any]:
    """Wait until a probe answers so; returns what it says."""
    deadline = time.monotonic() + seconds
    while True:
        found, body = await probe(url)
        if found == status:
            return body
        assert time.monotonic() < deadline, f"{url} says {body}\n{it.logs()[-8000:]}"


async def test_a_worker_answers_from_its_first_seconds_and_gets_ready(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path, snapshot_seconds=1, lag_poll_seconds=0.5) as it:
        await send(it, clicks(2_000))
        worker = it.start()
        url = await address(it, worker)
        status, body = await probe(f"{url}/readyz")
        assert (status, body["ready"]) == (503, False)
        assert body["reasons"][0].startswith("models: ")
        assert (await probe(f"{url}/healthz"))[0] == 200
        body = await answers(it, f"{url}/readyz", 200)
        assert body["partitions"] == body["restored"] == list(range(PARTITIONS))
        await it.settled(2_000)
        await until((it.settings.data_dir / it.settings.app_id / "worker-0" / SNAPSHOT).exists, 20, it.logs)
        worker.terminate()
        worker.wait(30)

        # With a snapshot and state of its own, the same again: never an error, never an early yes.
        again = it.start()
        url = await address(it, again)
        said: list[tuple[int, int]] = []
        ready = False
        while not ready:
            status, body = await probe(f"{url}/readyz")
            ready = status == 200
            said.append(((await get(f"{url}/healthz"))[0], (await get(f"{url}/metrics"))[0]))
            assert again.poll() is None, it.log(again)
        assert set(said) == {(200, 200)}
        assert body["partitions"] == body["restored"] == list(range(PARTITIONS))


async def test_lag_ends_at_nothing_also_behind_a_transaction_of_the_upstream(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path, lag_poll_seconds=0.2) as it:
        url = await address(it, it.start())
        await answers(it, f"{url}/readyz", 200)
        await send_in_transaction(it, 40)
        await it.settled(40)
        deadline = time.monotonic() + 20
        while (await probe(f"{url}/readyz"))[1]["lag_records"] != 0:
            assert time.monotonic() < deadline, await probe(f"{url}/readyz")
        lags = {
            int(sample.labels["partition"]): sample.value
            for family in text_string_to_metric_families((await get(f"{url}/metrics"))[1])
            for sample in family.samples
            if sample.name == "freshslate_consumer_lag_records"
        }
        assert lags == dict.fromkeys(range(PARTITIONS), 0)


async def send_in_transaction(it: Shop, count: int) -> None:
    """Send events as one transaction, so that every log ends with a control record."""
    producer = AIOKafkaProducer(
        bootstrap_servers=it.settings.broker, transactional_id=f"{it.settings.app_id}-up"
    )
    async with producer, producer.transaction():
        for n, event in enumerate(clicks(count)):
            await producer.send(
                it.settings.input_topics[0],
                json.dumps(event).encode(),
                key=event["user_id"].encode(),
                partition=n % PARTITIONS,
            )


async def test_two_workers_on_one_machine_answer_on_different_ports(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path) as it:
        urls = [await address(it, worker) for worker in (it.start(), it.start())]
        bodies = [await answers(it, f"{url}/readyz", 200) for url in urls]
        assert len(set(urls)) == 2
        await it.started()
        await until(
            lambda: len(set(re.findall(r"opened partitions \[[\d, ]+\]", it.logs()))) > 1, 30, it.logs
        )
        bodies = [await answers(it, f"{url}/readyz", 200) for url in urls]
        assert bodies[0]["worker"] != bodies[1]["worker"]
        assert sorted(p for body in bodies for p in body["partitions"]) == list(range(PARTITIONS))


async def test_a_stuck_worker_is_unhealthy_with_its_reason_and_recovers(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(
        broker, prefix, tmp_path, stall_seconds=4, lag_poll_seconds=0.5, canary_seconds=0.5
    ) as it:
        url = await address(it, it.start())
        await answers(it, f"{url}/readyz", 200)
        await send(it, clicks(100))
        await it.settled(100)
        # From here on the broker refuses every changelog batch, so that no transaction succeeds; the marks
        # that end one are small enough.
        await configure_profiles(it, {"max.message.bytes": "150"})
        # No shopper sends anything: it is the heartbeats that wait.
        body = await answers(it, f"{url}/healthz", 503)
        assert not body["healthy"]
        assert body["reasons"][0].startswith("stalled: ")
        assert "nothing was committed or restored for" in body["reasons"][0]
        await configure_profiles(it, {})
        await answers(it, f"{url}/healthz", 200, seconds=20)
        # The worker goes on sending heartbeats while the topics are read, and answers those that waited.
        report = await it.audit()
        deadline = time.monotonic() + 30
        while report.heartbeats <= 2 * PARTITIONS and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
            report = await it.audit()
        assert report.is_clean, report
        assert (report.records, report.heartbeats > 2 * PARTITIONS) == (100, True)


async def configure_profiles(it: Shop, changes: Mapping[str, str]) -> None:
    """Set the changelog's configuration: as it should be, but for the changes."""
    (spec,) = (spec for spec in topic_specs(it.settings) if spec.name == it.settings.profiles_topic)
    config = {**spec.config, **changes}
    async with admin_client(it.settings.broker) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, spec.name, config)])
