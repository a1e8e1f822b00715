"""A real browser for tests: Debian's Chromium, driven by Playwright, fetched where it is not there."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
INSTALL = ("apt-get", "install", "-y", "--no-install-recommends", "chromium")
INSTALL_SECONDS = 300


@cache
def chromium() -> str:
    """The program; a test without it is skipped, and says what to install."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    why = "only root can install it"
    if found is None and shutil.which("apt-get") and os.geteuid() == 0:
        for command in (("apt-get", "update"), INSTALL):
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
            )
            why = done.stderr[-300:]
        found = shutil.which("chromium")
    if found is None:
        pytest.skip(f"NO BROWSER: the console was not looked at; `{' '.join(INSTALL)}` brings one ({why})")
    return found


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    """A browser, for as long as the block lasts."""
    program = chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            await browser.close()


class Watched:
    """A page, and everything that a browser has to complain of.

    Attributes:
        page: of Playwright.
        complaints: errors and warnings on its console, exceptions, requests that failed.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))

    def _said(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text}")


@asynccontextmanager
async def looking(browser: Browser, address: str, **how: Any) -> AsyncIterator[Watched]:
    """A page of its own; `how` as Playwright's `new_context` (viewport, color_scheme)."""
    context = await browser.new_context(base_url=address, **how)
    try:
        yield Watched(await context.new_page())
    finally:
        await context.close()
