"""A worker's pages: its metrics for Prometheus, the probes, and what those who run it look into."""

from typing import Any

from state.event import DEFAULT_TENANT
from stream.app import App
from stream.config import Settings
from stream.debug import partitions_page, user_page
from stream.vitals import Page
from stream.web import exposition


def add_views(app: App, settings: Settings) -> None:
    """Serve `/metrics`, `/healthz`, `/readyz`, `/debug/partitions` and `/debug/users/{user_id}`."""

    @app.page("/metrics")  # type: ignore[untyped-decorator]  # faust is untyped
    async def metrics(view: Any, request: Any) -> Any:
        body, headers = await exposition(
            app.worker.metrics.registry,
            accept=request.headers.get("Accept", ""),
            accept_encoding=request.headers.get("Accept-Encoding", ""),
        )
        return view.bytes(body, headers=headers)

    @app.page("/healthz")  # type: ignore[untyped-decorator]  # faust is untyped
    async def healthz(view: Any, request: Any) -> Any:  # noqa: ARG001 - faust passes it
        return _answer(view, app.vitals.healthy())

    @app.page("/readyz")  # type: ignore[untyped-decorator]  # faust is untyped
    async def readyz(view: Any, request: Any) -> Any:  # noqa: ARG001 - faust passes it
        return _answer(view, app.vitals.ready())

    @app.page("/debug/partitions")  # type: ignore[untyped-decorator]  # faust is untyped
    async def partitions(view: Any, request: Any) -> Any:  # noqa: ARG001 - faust passes it
        return _answer(view, partitions_page(app.worker, app.vitals, settings))

    @app.page("/debug/users/{user_id}")  # type: ignore[untyped-decorator]  # faust is untyped
    async def user(view: Any, request: Any, user_id: str) -> Any:
        page = user_page(
            app.worker,
            settings,
            user_id,
            tenant=request.query.get("tenant", DEFAULT_TENANT),
            authorization=request.headers.get("Authorization", ""),
        )
        return _answer(view, page)


def _answer(view: Any, page: Page) -> Any:
    return view.bytes(page.body, status=page.status, content_type="application/json")
