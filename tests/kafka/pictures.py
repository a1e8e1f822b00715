"""Pictures of the console for the docs: `python -m tests.kafka.pictures ADDRESS docs/console`.

ADDRESS is of an API that serves, such as `freshslate demo --keep` prints; for dead letters to see, write
broken records to its topic of events.
"""

import asyncio
import sys
from pathlib import Path

from tests.kafka.browser import Watched, browsing, looking

WIDE = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}}
PICTURES = (
    ("shop", "shop", {**WIDE, "color_scheme": "light"}),
    ("shop-phone", "shop", {**PHONE, "color_scheme": "light"}),
    ("live-dark", "live", {**WIDE, "color_scheme": "dark"}),
    ("shopper", "shopper", {**WIDE, "color_scheme": "light"}),
    ("items-dark", "items", {**WIDE, "color_scheme": "dark"}),
    ("policies", "policies", {**WIDE, "color_scheme": "light"}),
    ("letters", "letters", {**WIDE, "color_scheme": "light"}),
)
"""Name, page, and how it is looked at."""
SHOPPER = "visitor-docs"


async def prepare(view: Watched, page: str) -> None:
    """Do something on the page, so that there is something to see."""
    if page == "shop":
        await view.page.fill("#user", SHOPPER)
        await view.page.press("#user", "Enter")
        for n in range(3):
            await view.page.locator("#grid button.open").nth(n).click()
            await asyncio.sleep(1)
        await view.page.evaluate("scrollTo(0, 0)")
    if page == "letters":
        await view.page.locator("#letters input[type=checkbox]").first.check()
    if page == "shopper":
        await view.page.fill("#user", SHOPPER)
        await view.page.press("#user", "Enter")
        await view.page.locator("#steps article").first.wait_for()
    if page == "policies":
        await view.page.fill("#mature", "5")
        await view.page.get_by_role("button", name="Judge").click()
        await view.page.get_by_role("button", name="Judge the first").click()
        await view.page.get_by_text("Reading the log").wait_for(state="detached")


async def main(address: str, folder: Path) -> None:
    async with browsing() as browser:
        for name, page, how in PICTURES:
            async with looking(browser, address, **how) as view:
                await view.page.goto(f"/console/{page}")
                await asyncio.sleep(3)
                await prepare(view, page)
                await asyncio.sleep(1)
                await view.page.screenshot(path=folder / f"{name}.png")
                print(name, *view.complaints)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1].rstrip("/"), Path(sys.argv[2])))
