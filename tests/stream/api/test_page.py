"""The document as a page."""

import base64
import hashlib
import re
from html.parser import HTMLParser

from stream.api.openapi import document
from stream.api.page import page
from tests.stream.api.fakes import Api
from tests.stream.api.fakes2 import keys

HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"


class Seen(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def hostile(value):
    """The document with markup wherever there is text for people."""
    if isinstance(value, dict):
        texts = {"description", "summary", "title", "version", "name", "enum", "pattern"}
        return {
            key: HOSTILE if key in texts and isinstance(each, str) else hostile(each)
            for key, each in value.items()
        }
    return [hostile(each) for each in value] if isinstance(value, list) else value


async def test_it_shows_every_call_and_every_schema() -> None:
    async with Api(keys=keys()).client() as http:
        answer = await http.get("/docs")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    seen = Seen(answer.text)
    assert seen.open == []
    for path, methods in document()["paths"].items():
        assert path in seen.text
        assert all(operation["summary"] in seen.text for operation in methods.values())
    ids = {value for name, value in seen.attributes if name == "id"}
    links = {value for name, value in seen.attributes if name == "href"}
    assert {link[1:] for link in links if link.startswith("#")} <= ids
    assert links - {f"#{name}" for name in ids} == {"/openapi.json"}


async def test_its_policy_allows_its_own_style_and_nothing_else() -> None:
    async with Api().client() as http:
        answer = await http.get("/docs")
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.S)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    seen = Seen(answer.text)
    assert not {"script", "img", "iframe", "link", "object", "form"} & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name.startswith("on") or name in {"src", "style"}]
    assert "http://" not in answer.text
    assert "https://" not in answer.text


def test_markup_in_any_text_stays_text() -> None:
    made = hostile(document())
    made["paths"] = {f"/{HOSTILE}{n}": each for n, each in enumerate(made["paths"].values())}
    for n, each in enumerate(made["paths"].values()):
        for operation in each.values():
            operation["operationId"] = f"{HOSTILE}{n}"
    made["components"]["schemas"][HOSTILE] = {"const": HOSTILE}
    seen = Seen(page(made))
    plain = Seen(page(document()))
    assert set(seen.tags) == set(plain.tags)
    assert {name for name, _ in seen.attributes} == {name for name, _ in plain.attributes}
    assert HOSTILE in seen.text
