"""The console's pages: files, with headers that let a browser run nothing but them."""

from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream.api.problem import problem

STATIC: Final = Path(__file__).with_name("static")
PREFIX: Final = "/console"
PAGES: Final = ("shop", "live", "shopper", "items", "policies", "letters")
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Content-Security-Policy: scripts and styles of ours alone, none of them inline."""
HEADERS: Final = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-cache"),
)


def console_routes() -> list[BaseRoute]:
    """Every route of the console."""
    return [
        Route(PREFIX, console, methods=["GET"]),
        Mount(f"{PREFIX}/static", Guarded(StaticFiles(directory=STATIC)), name="static"),
        Route(f"{PREFIX}/{{page}}", console_page, methods=["GET"]),
    ]


async def console(request: Request) -> Response:
    """To the first page."""
    del request
    return RedirectResponse(f"{PREFIX}/{PAGES[0]}")


async def console_page(request: Request) -> Response:
    """One page; it is a file, and asks the API for all that it shows."""
    page = request.path_params["page"]
    if page not in PAGES:
        raise problem("not_found", f"there is no such page; there are {', '.join(PAGES)}")
    headers = {name.decode(): value.decode() for name, value in HEADERS}
    return FileResponse(STATIC / f"{page}.html", headers=headers, media_type="text/html; charset=utf-8")


class Guarded:
    """Adds the headers to whatever is answered.

    Args:
        app: that answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        await self._app(scope, receive, guarded)
