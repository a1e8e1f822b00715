"""The demo's console, started or not; that it serves is in `tests/kafka/test_demo.py`."""

import sys
from pathlib import Path

import pytest

from stream import demo_console
from stream.config import load_settings
from stream.demo_console import ADDRESS_TOLD, DemoConsole


async def told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str = "", *, is_wanted: bool = True
) -> str:
    monkeypatch.setattr(demo_console, "COMMAND", (sys.executable, "-c", code))
    with DemoConsole(load_settings(), tmp_path, is_wanted=is_wanted) as console:
        return await console.told()


async def test_it_says_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = f"print('{ADDRESS_TOLD}http://127.0.0.1:7 (docs)', file=sys.stderr, flush=True)"
    code = f"import sys, time; {said}; time.sleep(60)"
    assert (await told(tmp_path, monkeypatch, code)).startswith("http://127.0.0.1:7/console: ")


async def test_one_that_ends_says_its_last_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no port" in await told(tmp_path, monkeypatch, "raise SystemExit('no port')")


async def test_without_its_libraries_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_console, "find_spec", lambda name: None)
    assert "freshslate[api]" in await told(tmp_path, monkeypatch)


async def test_who_does_not_want_it_hears_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await told(tmp_path, monkeypatch, is_wanted=False) == ""


def test_it_says_what_the_api_says() -> None:
    from stream.api import server

    assert server.ADDRESS_TOLD == ADDRESS_TOLD
