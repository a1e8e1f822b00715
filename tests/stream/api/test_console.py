"""The console's files; what they do in a browser is in `tests/kafka/test_console.py`."""

import re
from pathlib import Path

import pytest

from stream.api.console import PAGES, STATIC
from stream.api.keys import Keys
from tests.stream.api.fakes import Api

OURS = [path for path in STATIC.iterdir() if path.suffix in {".js", ".html"}]


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_runs_nothing_but_our_files(page: str) -> None:
    async with Api(keys=Keys({}, "1")).client() as http:
        answer = await http.get(f"/console/{page}")
        names = re.findall(r'(?:src|href)="(/console/static/[^"]+)"', answer.text)
        files = [await http.get(name) for name in names]
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert len(files) >= 2
    for file in files:
        assert (file.status_code, file.headers["X-Content-Type-Options"]) == (200, "nosniff")
        assert file.headers["Content-Security-Policy"] == policy


async def test_the_console_begins_at_its_first_page_and_says_which_there_are() -> None:
    async with Api().client() as http:
        assert (await http.get("/console")).headers["Location"] == f"/console/{PAGES[0]}"
        wrong = await http.get("/console/nothing")
        outside = await http.get("/console/static/../console.py")
    assert (wrong.status_code, PAGES[0] in wrong.json()["detail"]) == (404, True)
    assert outside.status_code == 404


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_no_file_of_ours_makes_markup_of_text_or_asks_elsewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "style=",
        'onclick="',
    ):
        assert way not in text, way
    elsewhere = set(re.findall(r"https?://[\w.]+", text)) - {"http://www.w3.org"}
    assert not elsewhere
