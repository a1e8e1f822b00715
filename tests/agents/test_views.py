"""The three pages over HTTP, of a worker that was never connected."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDictProxy
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from agents.personalize import build_app
from stream.app import App
from stream.config import Settings
from stream.worker_metrics import LAST_COMMIT


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    app = build_app(Settings(app_id="test-views", data_dir=tmp_path, worker_port=0))
    await app.web.maybe_start()
    yield app
    await app.web.stop()
    await app.worker.stop()
    if app._consumer is not None:
        app._consumer._thread.thread_loop.close()


async def get(app: App, path: str, **headers: str) -> tuple[int, CIMultiDictProxy[str], bytes]:
    """Status, headers and body, which aiohttp unpacks."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(app.web.address + path, headers={"Accept-Encoding": "identity"} | headers) as response,
    ):
        return response.status, response.headers, await response.read()


async def page(app: App, path: str) -> tuple[int, dict[str, Any]]:
    status, headers, body = await get(app, path)
    assert headers["Content-Type"] == "application/json"
    return status, json.loads(body)


async def test_the_metrics_are_what_the_official_parser_reads(app: App) -> None:
    app.worker.metrics.set_lag("events", 3, 12, 4.5)
    status, headers, body = await get(app, "/metrics")
    assert status == 200
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples = [sample for family in parse_text(body.decode()) for sample in family.samples]
    (lag,) = [sample for sample in samples if sample.name == "freshslate_consumer_lag_records"]
    assert (lag.labels, lag.value) == ({"topic": "events", "partition": "3"}, 12)


async def test_a_newer_prometheus_gets_openmetrics(app: App) -> None:
    _, headers, body = await get(app, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    names = {family.name for family in parse_openmetrics(body.decode())}
    assert "freshslate_build" in names


async def test_who_takes_gzip_gets_it(app: App) -> None:
    _, headers, body = await get(app, "/metrics", **{"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip"
    assert b"freshslate_build_info{" in body  # unpacked by the client
    assert "Content-Encoding" not in (await get(app, "/metrics"))[1]


async def test_a_worker_that_starts_is_healthy_but_not_ready(app: App) -> None:
    status, body = await page(app, "/healthz")
    assert (status, body["healthy"], body["reasons"]) == (200, True, [])
    status, body = await page(app, "/readyz")
    assert (status, body["ready"]) == (503, False)
    assert [reason.split(":")[0] for reason in body["reasons"]] == ["models", "partitions"]
    assert body["partitions"] == body["restored"] == []
    assert body["lag_records"] is body["last_commit_seconds_ago"] is None
    assert body["uptime_seconds"] >= 0
    assert body["version"]
    assert body["worker"]


async def test_a_worker_without_partitions_is_ready_once_its_models_are(app: App) -> None:
    app.worker.replica.caught_up.set()
    app.vitals.assigned = frozenset()
    app.worker.metrics.set(LAST_COMMIT, app.worker.metrics.now() - 30)
    status, body = await page(app, "/readyz")
    assert (status, body["ready"], body["reasons"]) == (200, True, [])
    assert 30 <= body["last_commit_seconds_ago"] < 60


async def test_what_brought_the_worker_down_is_said(app: App) -> None:
    app.crash_reason = ValueError("a bug")
    status, body = await page(app, "/healthz")
    assert (status, body["reasons"]) == (503, ["failed: ValueError: a bug"])


async def test_a_probe_may_ask_for_the_head_alone(app: App) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.head(app.web.address + "/readyz") as response,
    ):
        assert response.status == 503


async def test_partitions_are_shown_to_whoever_asks_and_users_to_nobody_without_a_token(app: App) -> None:
    status, body = await page(app, "/debug/partitions")
    assert (status, body["partitions"], body["generation"]) == (200, {}, 0)
    status, body = await page(app, "/debug/users/ann")
    assert status == 403
    assert "FRESHSLATE_HTTP_TOKEN" in body["reason"]
    assert (await get(app, "/debug/users"))[0] == 404


async def test_a_user_is_asked_for_by_any_id_and_tenant_with_the_token(tmp_path: Path) -> None:
    token = "0123456789abcdef"
    app = build_app(Settings(app_id="test-views", data_dir=tmp_path, worker_port=0, http_token=token))
    await app.web.maybe_start()
    try:
        path = "/debug/users/a%2Fb%3F?tenant=de"
        assert (await get(app, path))[0] == 401
        status, _, body = await get(app, path, Authorization=f"Bearer {token}")
        assert status == 404
        assert json.loads(body)["key"] == "de|a/b?"
    finally:
        await app.web.stop()
        await app.worker.stop()
