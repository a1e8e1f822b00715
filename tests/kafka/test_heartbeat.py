"""Heartbeats of real workers: answered, told apart from shoppers, and as exactly once as everything."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from state.event import HEARTBEAT_TENANT
from stream.experiment import compare_groups
from stream.reading import is_heartbeat, read_topic
from tests.kafka.harness import PARTITIONS, Shop, clicks, read_json, send, shop
from tests.kafka.test_health import address, answers

TOKEN = "a token of this test"


async def page(url: str, **headers: str) -> tuple[int, Any]:
    """Status and JSON of a page."""
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, json.loads(await response.read())


async def metric(url: str, name: str) -> dict[str, float]:
    """A metric's samples, by partition where it has that label."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as response:
        text = await response.text()
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples if s.name == name]
    return {sample.labels.get("partition", ""): sample.value for sample in samples}


async def all_answered(it: Shop, url: str, *, after: float) -> None:
    """Wait until a heartbeat of every partition was answered after a moment, epoch seconds."""
    deadline = time.monotonic() + 60
    while True:
        latest = await metric(url, "freshslate_heartbeat_answered_timestamp_seconds")
        if len(latest) == PARTITIONS and min(latest.values()) > after:
            return
        assert time.monotonic() < deadline, f"{latest}\n{it.logs()[-8000:]}"
        await asyncio.sleep(0.1)


async def test_heartbeats_go_the_whole_way_also_past_a_kill_and_are_nobodys_events(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    settings = {"canary_seconds": 0.2, "lag_poll_seconds": 0.2, "log_format": "json"}
    async with shop(broker, prefix, tmp_path, instance_id="w", **settings) as it:
        worker = it.start(FRESHSLATE_HTTP_TOKEN=TOKEN)
        url = await address(it, worker)
        await answers(it, f"{url}/readyz", 200)
        await all_answered(it, url, after=0)  # no shopper has come yet
        await send(it, clicks(300))
        await it.settled(300)
        await all_answered(it, url, after=time.time())
        counted = {name: await metric(url, f"freshslate_{name}") for name in COUNTED}
        assert counted["heartbeats_sent_total"][""] >= 2 * PARTITIONS
        # Asked for one after the other, while heartbeats go on.
        assert counted["heartbeat_seconds_count"][""] >= counted["heartbeats_answered_total"][""] > 0
        assert counted["data_dir_free_bytes"][""] > 1 << 20
        assert counted["data_dir_used_bytes"][""] > 0
        await pages_tell(url)

        worker.kill()
        worker.wait()
        killed = time.time()
        url = await address(it, it.start())
        await send(it, clicks(200, seed=2))
        await it.settled(500)
        await all_answered(it, url, after=killed)
        await told_apart(it)
        # The worker goes on sending while the topics are read.
        report = await it.audit()
        assert report.is_clean, report
        assert report.records == report.events + report.dead_letters == 500
        assert report.heartbeats > 4 * PARTITIONS
        it.workers[-1].terminate()
        assert it.workers[-1].wait(30) == 0
        assert (await it.audit()).is_clean
        lines = [json.loads(line) for line in it.logs().splitlines() if line]
        check_lives(lines)


COUNTED = (
    "heartbeats_sent_total",
    "heartbeats_answered_total",
    "heartbeat_seconds_count",
    "data_dir_free_bytes",
    "data_dir_used_bytes",
)


async def pages_tell(url: str) -> None:
    """The pages below /debug, with and without the token."""
    status, body = await page(f"{url}/debug/partitions")
    assert (status, list(body["partitions"])) == (200, [str(p) for p in range(PARTITIONS)])
    assert body["generation"] > 0
    for partition in body["partitions"].values():
        assert partition["state"] == "open"
        (applied,) = partition["applied"].values()
        assert applied > 0
        assert partition["transaction"]["records"] <= partition["transaction"]["cycle_records"]
        assert {"decode", "commit", "write", "offsets", "end"} <= partition["transaction"]["seconds"].keys()
        assert partition["lag"]
    assert (await page(f"{url}/debug/users/u1"))[0] == 401
    allowed = {"Authorization": f"Bearer {TOKEN}"}
    status, body = await page(f"{url}/debug/users/u1", **allowed)
    assert (status, body["key"]) == (200, "u1")
    assert sum(body["profile"]["counts"].values()) > 0
    assert (await page(f"{url}/debug/users/nobody", **allowed))[0] == 404
    status, body = await page(f"{url}/debug/users/0?tenant={HEARTBEAT_TENANT}", **allowed)
    assert (status, body["partition"]) == (200, 0)
    assert body["profile"]["items"] == body["profile"]["open_slates"] == []


async def told_apart(it: Shop) -> None:
    """Heartbeats have slates, and nothing else is made of them."""
    slates = [r async for r in read_topic(it.settings.broker, it.settings.slates_topic) if r.value]
    beats = [json.loads(record.value) for record in slates if is_heartbeat(record)]
    assert {slate["tenant"] for slate in beats} == {HEARTBEAT_TENANT}
    assert {slate["user_id"] for slate in beats} == {str(p) for p in range(PARTITIONS)}
    assert beats[-1]["items"]  # the models know what shoppers did
    users = {record.key for record in slates} - {
        f"{HEARTBEAT_TENANT}|{p}".encode() for p in range(PARTITIONS)
    }
    rewards = await read_json(it, it.settings.rewards_topic)
    deltas = await read_json(it, it.settings.deltas_topic)
    assert HEARTBEAT_TENANT not in {reward["tenant"] for reward in rewards}
    shown = {slate for delta in deltas for slate in delta.get("exposures", {}).get("slates", ())}
    assert shown
    assert not shown & {slate["slate_id"] for slate in beats}
    found = await compare_groups(it.settings)
    assert 0 < found.learned_users <= len(users)


def check_lives(lines: list[dict[str, Any]]) -> None:
    """One line for each event of a worker's life, with what it is about."""
    said = [line["message"] for line in lines]
    for begin in ("assigned partitions", "opened partitions", "drained", "stopped"):
        found = [line for line in lines if line["message"].startswith(begin)]
        assert found, said
        assert all({"time", "level", "logger", "worker"} <= line.keys() for line in found)
    assigned = next(line for line in lines if line["message"].startswith("assigned partitions"))
    assert assigned["partitions"] == list(range(PARTITIONS))
    assert assigned["generation"] >= 1
    assert len({line["worker"] for line in lines}) == 2
    assert any(line["logger"].startswith(("faust", "mode", "aiokafka")) for line in lines), said
