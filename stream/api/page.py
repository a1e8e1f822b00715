"""`/docs`: the document of the API as a page that a browser shows without asking anybody for anything."""

import base64
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from html import escape
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stream.api.openapi import document

STYLE: Final = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; --link: light-dark(#0550ae, #79b8ff); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
a { color: var(--link); }
code, pre { font: 0.9em ui-monospace, monospace; }
pre { background: var(--soft); padding: 0.75rem; overflow-x: auto; }
section { border-top: 1px solid var(--line); padding: 0.5rem 0 1rem; }
h2 { font-size: 1.1rem; overflow-wrap: anywhere; }
h2 b { font: 700 0.85em ui-monospace, monospace; border: 1px solid var(--line); padding: 0.1em 0.4em; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 0.25rem 0.75rem 0.25rem 0; }
td:last-child { overflow-wrap: anywhere; }
tr { border-bottom: 1px solid var(--line); }
"""
_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


async def get_docs(request: Request) -> Response:
    """The page."""
    del request
    return Response(_page(), headers=HEADERS, media_type="text/html")


@cache
def _page() -> str:
    return page(document())


def page(made: dict[str, Any]) -> str:
    """A document as HTML; nothing in it is taken for markup."""
    info = made["info"]
    title = escape(f"{info['title']} {info['version']}")
    body = "\n".join([*_contents(made), *_calls(made), *_schemas(made)])
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{STYLE}</style></head>\n<body><main><h1>{title}</h1>\n"
        f'<p>{escape(info["description"])} <a href="/openapi.json">openapi.json</a></p>\n'
        f"{body}\n</main></body></html>\n"
    )


def _operations(made: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in made["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _contents(made: dict[str, Any]) -> Iterator[str]:
    yield "<nav><ul>"
    for method, path, operation in _operations(made):
        name, summary = escape(operation["operationId"]), escape(operation["summary"])
        yield f'<li><a href="#{name}"><code>{method} {escape(path)}</code></a> {summary}</li>'
    yield "</ul></nav>"


def _calls(made: dict[str, Any]) -> Iterator[str]:
    for method, path, operation in _operations(made):
        yield f'<section id="{escape(operation["operationId"])}">'
        yield f"<h2><b>{method}</b> <code>{escape(path)}</code></h2>"
        yield f"<p><strong>{escape(operation['summary'])}.</strong> {_text(operation['description'])}</p>"
        yield from _parameters(operation["parameters"])
        for media, content in operation.get("requestBody", {}).get("content", {}).items():
            yield f"<p>Body: <code>{escape(media)}</code></p>{_schema(content['schema'])}"
        yield "<table><thead><tr><th>status</th><th>answer</th><th>body</th></tr></thead><tbody>"
        for status, answer in operation["responses"].items():
            bodies = "".join(
                f"<code>{escape(media)}</code>{_schema(content['schema'])}"
                for media, content in answer.get("content", {}).items()
            )
            text = _text(answer["description"])
            yield f"<tr><td>{escape(status)}</td><td>{text}</td><td>{bodies}</td></tr>"
        yield "</tbody></table></section>"


def _parameters(parameters: list[dict[str, Any]]) -> Iterator[str]:
    yield "<table><thead><tr><th>parameter</th><th>in</th><th>meaning</th></tr></thead><tbody>"
    for each in parameters:
        needed = " (needed)" if each["required"] else ""
        limits = {name: value for name, value in each["schema"].items() if name != "type"}
        said = f" <code>{escape(_json(limits))}</code>" if limits else ""
        yield (
            f"<tr><td><code>{escape(each['name'])}</code>{needed}</td><td>{escape(each['in'])}</td>"
            f"<td>{_text(each['description'])}{said}</td></tr>"
        )
    yield "</tbody></table>"


def _schema(schema: dict[str, Any]) -> str:
    """Links to schemas that have a name, or the schema."""
    return "" if schema == {"type": "string"} else _links(schema) or f"<pre>{escape(_json(schema))}</pre>"


def _links(schema: dict[str, Any]) -> str:
    """A schema in words, if it is made of named ones alone; else nothing."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f' <a href="#schema-{name}">{name}</a>'
    if schema.get("type") == "array" and set(schema) == {"type", "items"}:
        inner = _links(schema["items"])
        return f" array of{inner}" if inner else ""
    parts = [_links(part) for part in schema.get("anyOf", [])]
    return " or".join(parts) if all(parts) else ""


def _text(text: str) -> str:
    """Text for people, what is between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _schemas(made: dict[str, Any]) -> Iterator[str]:
    for name, schema in made["components"]["schemas"].items():
        yield f'<section id="schema-{escape(name)}"><h2>{escape(name)}</h2>'
        yield f"<details><summary>schema</summary><pre>{escape(_json(schema))}</pre></details></section>"


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
