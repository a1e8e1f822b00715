"""A worker's pages: its metrics for Prometheus, and the probes that say whether it is alive and ready."""

from typing import Any

from stream.app import App
from stream.vitals import Page
from stream.web import exposition


def add_views(app: App) -> None:
    """Serve `/metrics`, `/healthz` and `/readyz`."""

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


def _answer(view: Any, page: Page) -> Any:
    return view.bytes(page.body, status=page.status, content_type="application/json")
