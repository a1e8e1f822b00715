"""A simulated shop against real workers."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from state.simulation.config import demo_config
from stream.closed_loop import SimulationError
from stream.config import load_settings
from stream.screens.demo import DemoScreen
from stream.simulate import SimulateOptions, simulate
from tests.kafka.harness import read_json, shop

OPTIONS = SimulateOptions(demo_config(150.0), seed=5, seconds=12.0)


async def test_shoppers_see_the_slates_of_a_real_worker_and_click_on_them(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path, random_share=0.5, worker_port=0) as it:
        it.start()
        await it.started()
        printed = io.StringIO()
        found = await simulate(it.settings, OPTIONS, DemoScreen(Console(file=printed, width=120)))
        events = await read_json(it, it.settings.input_topics[0])
        await it.settled(len(events))
        report = await it.audit()
        slates = {slate["slate_id"]: slate for slate in await read_json(it, it.settings.slates_topic)}
        items = await read_json(it, it.settings.items_topic)
    clicks = [event for event in events if event["type"] == "click"]
    assert len(clicks) > 5
    for click in clicks:
        shown = slates[click["slate_id"]]
        assert shown["user_id"] == click["user_id"]
        assert shown["items"][click["position"] - 1]["item_id"] == click["items"][0]["item_id"]
    assert {slate["policy"] for slate in slates.values()} == {"softmax", "random"}
    assert {item["item_id"] for item in items} >= {click["items"][0]["item_id"] for click in clicks}
    assert report.is_clean
    assert found.learned_users > 0
    assert found.random_users > 0
    assert "events/s" in printed.getvalue()


async def test_without_topics_it_says_what_to_do(broker: str, prefix: str) -> None:
    settings = load_settings(broker=broker, topic_prefix=prefix)
    with pytest.raises(SimulationError, match="run `freshslate topics create`"):
        await simulate(settings, OPTIONS, DemoScreen(Console(file=io.StringIO())))
