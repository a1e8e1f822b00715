"""Every example of docs/http.md, in its order, against an API with keys beside a real worker."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema

from stream.api.keys import new_key
from stream.api.openapi import document
from stream.api.problem import REASONS
from tests.kafka.harness import api_of, shop

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text()
EXAMPLE = re.compile(r"```sh (\d{3})\n(.*?)```\n(?:\n```json( same)?\n(.*?)```)?", re.S)
EXAMPLES = [
    (int(status), command, bool(same), json.loads(shown) if shown else None)
    for status, command, same, shown in EXAMPLE.findall(PAGE)
]
SHELL = """
curl() { command curl -sS -D headers.txt -o body.txt -w '%{http_code}' "$@"; }
set -e
"""
TIMED_OUT = 28
"""curl's exit code where a stream was read for as long as `--max-time` says."""


def run(command: str, address: str, folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Run an example; returns the status and the body of its last curl."""
    told = subprocess.run(
        ["bash", "-c", SHELL + command.replace("localhost:8080", address)],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == (TIMED_OUT if "--max-time" in command else 0), command + told.stderr
    return int(told.stdout[-3:]), (folder / "body.txt").read_text()


def check_fields(shown: Any, told: Any, where: str) -> None:
    """Whatever the page shows is there, and of the same kind."""
    if isinstance(shown, dict):
        assert shown.keys() <= told.keys(), where
        for name, value in shown.items():
            if value != {}:
                check_fields(value, told[name], f"{where}.{name}")
    elif isinstance(shown, list):
        assert isinstance(told, list), where
        for one, other in zip(shown, told, strict=False):
            check_fields(one, other, f"{where}[]")
    elif shown is not None and not isinstance(shown, int | float):
        assert isinstance(told, type(shown)), where


def check_schema(body: Any, command: str, status: int) -> None:
    """The answer is what `/openapi.json` says that it is."""
    method = (re.findall(r"-X (\w+)", command) or ["POST" if "-d" in command else "GET"])[0].lower()
    path = re.search(r"localhost:8080([^ '?\"]+)", command)
    assert path is not None
    made = document()
    (matching, *_) = [
        each
        for each in made["paths"]
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", each), path[1]) and method in made["paths"][each]
    ]
    operation = made["paths"][matching][method]
    answers = operation["responses"]
    ((_, content),) = answers.get(str(status), answers["default"])["content"].items()
    schema = {**content["schema"], "components": made["components"]}
    jsonschema.Draft202012Validator(schema).validate(body)


def test_the_page_has_an_example_of_every_call_and_explains_every_reason() -> None:
    told = "".join(command for _, command, _, _ in EXAMPLES)
    for path in document()["paths"]:
        if path.startswith("/v1/"):
            pattern = re.sub(r"\\{\w+\\}", r"[^/\\s]+", re.escape(path))
            assert re.search(pattern, told.replace("$SLATE_ID", "s")), path
    explained = re.findall(r'<a id="(\w+)"></a>`(\w+)` \| (\d+) \|', PAGE)
    assert {(anchor, int(status)) for anchor, _, status in explained} == set(REASONS.items())
    assert all(anchor == name for anchor, name, _ in explained)


async def test_every_example_does_what_the_page_says(broker: str, prefix: str, tmp_path: Path) -> None:
    shopkeeper = new_key("shop-frontend", "default", ["events", "slates"])
    office = new_key("back-office", "*", ["admin"])
    keys = tmp_path / "keys.toml"
    keys.write_text(f"{shopkeeper.entry}\n{office.entry}")
    environment = {"SHOP_KEY": shopkeeper.secret, "ADMIN_KEY": office.secret, "SLATE_ID": ""}
    async with shop(broker, prefix, tmp_path, api_port=0, partitions=2, api_keys_file=keys) as it:
        it.start()
        await it.started()
        async with api_of(it) as http:
            address = f"localhost:{http._base_url.port}"
            assert len(EXAMPLES) > 12
            for status, command, same, shown in EXAMPLES:
                answered, text = run(command, address, tmp_path, environment)
                assert answered == status, (command, text)
                if shown is None:
                    continue
                body = json.loads(text)
                check_schema(body, command, status)
                if same:
                    assert body == shown, command
                assert shown.keys() == body.keys(), command
                check_fields(shown, body, command)
                if "/recommend" in command:
                    environment["SLATE_ID"] = body["slate_id"]
                check_meaning(command, body)
        report = await it.audit()
        assert report.is_clean, report
        assert report.forgotten == 1


def check_meaning(command: str, body: Any) -> None:
    """What examples cannot show in so many words."""
    if "/timeline" in command:
        assert [step["event"]["event_id"] for step in body["steps"]] == ["e-1", "e-2", "e-3", "e-5"]
        assert body["is_complete"]
        assert body["steps"][-1]["slate"]["items"]
        assert body["profile"]["counts"] == {"click": 2, "view": 1, "add_to_cart": 1}
    if "/why" in command:
        assert [each["item_id"] for each in body["why"]] == [i["item_id"] for i in body["slate"]["items"]]
        assert body["profile"] == "then"
    if "/recommend" in command:
        assert body["kind"] == "fresh"
    if "DELETE" in command and "/users/" in command:
        assert body["forgotten"]
        assert body["profile_bytes"] > 0
        assert body["slates"] == 4
