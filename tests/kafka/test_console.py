"""The console in a real browser, with real workers behind it."""

import asyncio
import json
import random
import re
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiokafka import AIOKafkaProducer
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Locator

from stream.api.console import PAGES
from tests.kafka.browser import Watched, browsing, chromium, looking
from tests.kafka.harness import Shop, api_of, send, shop

CATEGORIES = ("tea", "shoes", "lamps")
ITEMS = 12
"""Of each category."""
MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script>"
WAIT_MS = 30_000
VIEWS: tuple[dict[str, Any], ...] = (
    {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    {"color_scheme": "dark", "viewport": {"width": 1280, "height": 900}},
    {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
)
SERIOUS = {"serious", "critical"}


class Stage(NamedTuple):
    it: Shop
    address: str
    browser: Browser


@asynccontextmanager
async def staged(broker: str, prefix: str, folder: Path) -> AsyncIterator[Stage]:
    """Two workers, an API, a catalogue with a hostile item in it, and shoppers who stay in one category."""
    # No control group, which the visitor could be in, and little exploring: the row is to turn for certain.
    policy = {"policy": "epsilon_greedy", "epsilon": 0.1}
    async with shop(
        broker, prefix, folder, api_port=0, session_timeout_seconds=6, partitions=2, **policy
    ) as it:
        it.start()
        it.start()
        await it.started()
        await stock(it)
        await send(it, past())
        async with api_of(it) as http, browsing() as browser:
            yield Stage(it, str(http._base_url).rstrip("/"), browser)


async def stock(it: Shop) -> None:
    items = [
        {"item_id": f"{category}-{n}", "title": f"{category} {n}", "category": category, "price": 1 + n}
        for category in CATEGORIES
        for n in range(ITEMS)
    ]
    items.append({"item_id": MARKUP, "title": MARKUP, "category": MARKUP, "price": 5})
    async with AIOKafkaProducer(bootstrap_servers=it.settings.broker) as producer:
        for item in items:
            await producer.send(
                it.settings.items_topic, json.dumps(item).encode(), key=str(item["item_id"]).encode()
            )
        bad = json.dumps({"type": MARKUP, "user_id": MARKUP}).encode()
        for _ in range(3):
            await producer.send(it.settings.input_topics[0], bad, key=MARKUP.encode(), partition=0)


def past() -> list[dict[str, Any]]:
    """What shoppers did before: each in one category, one of them with markup for a name and a query."""
    rng, now = random.Random(1), int(time.time() * 1000) - 60_000
    events: list[dict[str, Any]] = []
    for user in range(90):
        category = CATEGORIES[user % 3]
        for step, number in enumerate(rng.sample(range(ITEMS), 5)):
            event = {"type": "click", "user_id": f"p{user}", "item_id": f"{category}-{number}"}
            events.append({**event, "time": now + 500 * user + step})
    hostile = {"user_id": MARKUP, "item_id": MARKUP, "type": "click", "time": now + 50_000}
    return [*events, hostile, {**hostile, "type": "search", "query": MARKUP, "time": now + 50_001}]


async def text_of(place: Locator) -> str:
    return await place.text_content() or ""


async def shop_of(view: Watched) -> None:
    view.page.set_default_timeout(WAIT_MS)
    await view.page.goto("/console/shop")
    await view.page.locator("#grid li").first.wait_for()


async def click_three(view: Watched, category: str) -> None:
    """Open three products of one category."""
    await view.page.get_by_role("button", name=category, exact=True).click()
    await view.page.locator(f"#grid li[data-category='{category}']").first.wait_for()
    for n in range(3):
        await view.page.locator(f"#grid li[data-category='{category}'] button.open").nth(n).click()


async def turned_to(view: Watched, category: str) -> None:
    """Wait until most of the row is of a category."""
    deadline = time.monotonic() + WAIT_MS / 1000
    shown: Counter[str | None] = Counter()
    while time.monotonic() < deadline:
        tiles = await view.page.locator("#row li").all()
        shown = Counter([await tile.get_attribute("data-category") for tile in tiles])
        if tiles and shown[category] > len(tiles) / 2:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"the row did not turn to {category}: {shown}; {view.complaints}")


async def the_row_follows_the_clicks_also_past_a_kill(stage: Stage) -> None:
    async with looking(stage.browser, stage.address, **VIEWS[0]) as view:
        await shop_of(view)
        await view.page.locator("#badge", has_text="popular").wait_for()
        await click_three(view, "tea")
        await turned_to(view, "tea")
        assert (await text_of(view.page.locator("#badge"))).endswith(" ms")
        assert "click" in await text_of(view.page.locator("#seen")) or "view" in await text_of(
            view.page.locator("#seen")
        )
        assert "shown with probability" in await text_of(view.page.locator("#why"))
        stage.it.workers[0].send_signal(signal.SIGKILL)
        await click_three(view, "lamps")
        await turned_to(view, "lamps")
        # A tile of the row is a click on the slate, with its place.
        await view.page.locator("#row button.open").first.click()
        await view.page.get_by_role("button", name="Explain with neighbours").click()
        await view.page.locator("#reasons li ul li").first.wait_for()
        assert view.complaints == []


async def hostile_text_stays_text(stage: Stage) -> None:
    async with looking(stage.browser, stage.address, **VIEWS[0]) as view:
        await shop_of(view)
        await view.page.fill("#query", MARKUP)
        await view.page.press("#query", "Enter")
        await view.page.locator("#grid li", has_text=MARKUP).wait_for()
        await view.page.fill("#user", MARKUP)
        await view.page.press("#user", "Enter")
        await view.page.locator("#row li").first.wait_for()
        await view.page.goto("/console/shopper")
        await view.page.fill("#user", MARKUP)
        await view.page.press("#user", "Enter")
        await view.page.locator("#steps article").first.wait_for()
        assert MARKUP in await text_of(view.page.locator("#steps"))
        await view.page.goto("/console/items")
        await view.page.fill("#query", "onerror")
        await view.page.press("#query", "Enter")
        await view.page.locator("#items td", has_text=MARKUP).first.wait_for()
        assert await view.page.locator("main img, main script").count() == 0
        assert view.complaints == []


async def dead_letters_are_sent_again_and_dropped(stage: Stage) -> None:
    async with looking(stage.browser, stage.address, **VIEWS[0]) as view:
        view.page.set_default_timeout(WAIT_MS)
        await view.page.goto("/console/letters")
        boxes = view.page.locator("#letters input[type=checkbox]")
        await boxes.first.wait_for()
        assert await boxes.count() == 3
        assert MARKUP in await text_of(view.page.locator("#letters"))
        await boxes.first.check()
        await view.page.get_by_role("button", name="Send chosen ones again").click()
        await view.page.get_by_text("would be refused again").last.wait_for()
        view.page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
        await boxes.first.check()
        await view.page.get_by_role("button", name="Drop chosen ones").click()
        await view.page.get_by_text("1 dropped").wait_for()
        assert await boxes.count() == 2
        assert view.complaints == ["dialog: Drop 1 dead letters?"]


async def a_policy_is_judged(stage: Stage) -> None:
    async with looking(stage.browser, stage.address, **VIEWS[0]) as view:
        view.page.set_default_timeout(WAIT_MS)
        await view.page.goto("/console/policies")
        await view.page.locator("#force tbody tr").first.wait_for()
        await view.page.fill("#mature", "1")
        await view.page.fill("#positions", "2")
        await view.page.get_by_role("button", name="Judge").click()
        await view.page.locator("#judged tbody tr", has_text="what was logged").wait_for()
        told = await text_of(view.page.locator("#judged"))
        assert "snips" in told.lower()
        assert "2 positions" in told
        assert view.complaints == []


async def policies_are_shown_with_what_they_earn(stage: Stage) -> None:
    async with looking(stage.browser, stage.address, **VIEWS[0]) as view:
        view.page.set_default_timeout(WAIT_MS)
        await view.page.goto("/console/live")
        cells = view.page.locator("#policies tbody tr").first.locator("td, th")
        await cells.first.wait_for()
        shown = [await text_of(cell) for cell in await cells.all()]
        titles = [await text_of(title) for title in await view.page.locator("#policies thead th").all()]
        ends = [text for title, text in zip(titles, shown, strict=True) if title == "95 % interval"]
        assert len(ends) == 2
        assert all(re.fullmatch(r"[\d.,]+( %)? to [\d.,]+( %)?", each) for each in ends), ends
        assert view.complaints == []


async def every_page_is_sound(stage: Stage) -> None:
    """No complaint of the browser, nothing serious of axe, nothing wider than the screen."""
    axe, found = Axe(), []
    for how in VIEWS:
        for page in PAGES:
            async with looking(stage.browser, stage.address, **how) as view:
                await view.page.goto(f"/console/{page}")
                await view.page.wait_for_load_state("networkidle") if page not in {"shop", "live"} else None
                await view.page.locator("header nav a[aria-current=page]").wait_for()
                await asyncio.sleep(1)
                told = await axe.run(view.page)
                where = f"{page}, {how['color_scheme']}, {how['viewport']['width']}"
                found += [
                    f"{where}: {each['id']}: {each['help']}"
                    for each in told.response["violations"]
                    if each["impact"] in SERIOUS
                ]
                found += [f"{where}: {complaint}" for complaint in view.complaints]
                width = await view.page.evaluate("document.documentElement.scrollWidth")
                if width > how["viewport"]["width"]:
                    found.append(f"{where}: {width} wide")
    assert found == []


@pytest.mark.timeout(600)
async def test_a_person_in_a_browser_sees_the_engine_work_and_nothing_breaks(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    chromium()
    async with staged(broker, prefix, tmp_path) as stage:
        await the_row_follows_the_clicks_also_past_a_kill(stage)
        await hostile_text_stays_text(stage)
        await a_policy_is_judged(stage)
        await policies_are_shown_with_what_they_earn(stage)
        await dead_letters_are_sent_again_and_dropped(stage)
        await every_page_is_sound(stage)
