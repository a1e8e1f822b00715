"""Business rules in real workers: in force from the start, changed without a restart, and nothing lost."""

import json
from pathlib import Path

from aiokafka import AIOKafkaProducer

from tests.kafka.harness import Shop, clicks, read_json, send, shop, until

EVEN = "even/of-two"


async def stock(it: Shop) -> None:
    """A catalogue of two categories."""
    async with AIOKafkaProducer(bootstrap_servers=it.settings.broker, linger_ms=20) as producer:
        for n in range(150):
            item = {"item_id": f"i{n}", "category": "odd" if n % 2 else EVEN}
            await producer.send(it.settings.items_topic, json.dumps(item).encode(), key=b"i%d" % n)


async def test_workers_follow_a_changed_file_and_refuse_a_wrong_one(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('exclude_categories = ["odd"]')
    async with shop(broker, prefix, tmp_path, rules_file=rules) as it:
        await stock(it)
        for _ in range(2):
            it.start()
        await it.started()
        sent = await send(it, clicks(3_000), rate=1_000)
        await it.settled(sent)
        first = await read_json(it, it.settings.slates_topic)
        rules.write_text("category_limits = { even = 2 }")
        await until(lambda: it.logs().count("are in force") >= 4, 30, it.logs)
        sent += await send(it, clicks(3_000, seed=2), rate=1_000)
        rules.write_text("category_limits = { even = 0 }")
        await until(lambda: it.logs().count("stays in force") >= 2, 30, it.logs)
        sent += await send(it, clicks(1_000, seed=3))
        await it.settled(sent)
        slates = await read_json(it, it.settings.slates_topic)
        assert (await it.audit()).is_clean
    shown = [[int(item["item_id"][1:]) % 2 for item in slate["items"]] for slate in slates]
    versions = [slate["rules"]["version"] for slate in slates]
    before = versions[slates.index(first[-1])]
    assert len(set(versions)) == 2
    for version, odd in zip(versions, shown, strict=True):
        if version == before:
            assert not any(odd)
        else:
            assert odd.count(0) <= 2
    assert versions.count(before) < len(versions) - 1_000
    assert any(len(odd) == 10 for odd in shown)
