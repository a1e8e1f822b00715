"""What every request passes: an id, a key, a rate; and what is counted of it."""

import asyncio
import ipaddress
import logging
import os
import re
import time
from collections.abc import Collection
from functools import lru_cache
from typing import Any, Final

from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream.api.credentials import secret_of
from stream.api.keys import EVERYTHING, Access, Keys
from stream.api.limiter import Limiter
from stream.api.metrics import REQUEST_SECONDS, REQUESTS
from stream.api.problem import MEDIA_TYPE, Problem, problem
from stream.api.writer import RETRY_SECONDS
from stream.metrics import Metrics

log = logging.getLogger(__name__)

OPEN_PAGES: Final = frozenset({"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"})
"""Need no key: they show nothing of anybody."""
CONSOLE: Final = "/console"
"""Begins the paths of the console's files; what these show, they ask the API for, with a key."""
REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}")
_PORT: Final = re.compile(r":\d+$")


class Guard:
    """Middleware around the whole application.

    Args:
        app: what is guarded.
        keys: in force.
        limiter: of requests by key.
        metrics: count requests.
    """

    def __init__(self, app: ASGIApp, keys: "KeyRing", limiter: Limiter, metrics: Metrics) -> None:
        self._app = app
        self._keys = keys
        self._limiter = limiter
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = Headers(scope=scope)
        request_id = request_id_of(headers)
        seen = _Seen(send, request_id)
        try:
            scope["state"] = {"request_id": request_id, "access": self._admit(scope, headers)}
            await self._app(scope, receive, seen)
        except Problem as error:
            await refuse(error, request_id, seen)
        except asyncio.CancelledError:
            # The server gives up on what has not come to its end, and the task has nothing more to do.
            if seen.status:
                raise
            detail = "this process ends before it is done: ask again; events may be there all the same"
            await refuse(problem("ending", detail, Retry_After=RETRY_SECONDS), request_id, seen)
        except Exception:
            log.exception("request %s failed", request_id)
            if not seen.status:
                detail = "the fault is ours; the log has more under this request id"
                await refuse(problem("internal", detail), request_id, seen)
        finally:
            route = getattr(scope.get("endpoint"), "__name__", "none")
            self._metrics.add(REQUESTS, 1, route, str(seen.status or 499))
            self._metrics.observe(REQUEST_SECONDS, [(seen.answered or time.perf_counter()) - started], route)

    def _admit(self, scope: Scope, headers: Headers) -> Access:
        """Whom the request is from.

        Raises:
            Problem: nobody that we know, or somebody who asks too often.
        """
        if (
            scope["path"] in OPEN_PAGES
            or scope["path"].startswith(CONSOLE)
            or (scope["method"] == "OPTIONS" and "origin" in headers)
        ):
            return NOBODY
        access = self._keys.access(headers, QueryParams(scope["query_string"]))
        if wait := self._limiter.wait(access.name):
            detail = f"more requests than this key may make on average; again in {wait:.1f} s"
            raise problem("too_many_requests", detail, Retry_After=str(int(wait) + 1))
        return access


NOBODY: Final = Access("nobody", "", frozenset())


class KeyRing:
    """The keys in force; which may be replaced between two requests.

    Args:
        keys: None: nobody needs one.
        origins: of web pages that may ask without one.

    Attributes:
        keys: as above.
    """

    def __init__(self, keys: Keys | None, origins: Collection[str] = ()) -> None:
        self.keys = keys
        self._origins = frozenset(origins)

    def access(self, headers: Headers, query: QueryParams) -> Access:
        """What a request may do.

        Raises:
            Problem: it brings no key that is in force.
        """
        if self.keys is None:
            self._check_keyless(headers)
            return EVERYTHING
        secret = secret_of(headers, query)
        asked = {"WWW_Authenticate": 'Bearer realm="freshslate"'}
        if not secret:
            raise problem("missing_key", "send the header Authorization: Bearer, with a key", **asked)
        if (access := self.keys.find(secret)) is None:
            raise problem("unknown_key", "this key is not in force: check it, or ask for another", **asked)
        return access

    def _check_keyless(self, headers: Headers) -> None:
        """Keep pages of elsewhere out, which this machine's own browser may be showing.

        Raises:
            Problem: their name leads here, or they ask for this machine by its own.
        """
        host = headers.get("host", "")
        if not is_this_machine(_PORT.sub("", host)):
            detail = f"without keys only requests for localhost are answered, not those for {host!r}"
            raise problem("wrong_host", detail)
        origin = headers.get("origin")
        if origin in self._origins:
            return
        # Browsers send the one with images and forms too, the other with what scripts send.
        is_foreign = headers.get("sec-fetch-site") == "cross-site"
        if is_foreign or (origin is not None and not is_this_machine(_host_of(origin))):
            detail = (
                f"without keys no page of another site may ask, {origin or 'whichever it is'!r}: make keys "
                "(`freshslate api-key`), or name it in FRESHSLATE_API_CORS_ORIGINS"
            )
            raise problem("wrong_site", detail)


class _Seen:
    """Sends on, and remembers what was answered."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id.encode()
        self.status = 0
        self.answered = 0.0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.answered = time.perf_counter()
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self._request_id)]
        await self._send(message)


async def refuse(error: Problem, request_id: str, send: Any) -> None:
    """Answer with a problem."""
    body = error.body(request_id)
    headers = {**error.headers, "Content-Type": MEDIA_TYPE, "Content-Length": str(len(body))}
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


def request_id_of(headers: Headers) -> str:
    """What the request is called in answer and log: as it says itself, where that is fit for both."""
    given = headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else os.urandom(16).hex()


def _host_of(origin: str) -> str:
    """The host of `scheme://host:port`; of `null`, which hides where a page is from, nothing."""
    return _PORT.sub("", origin.partition("://")[2])


@lru_cache(1024)
def is_this_machine(host: str) -> bool:
    """Whether a name or address is of this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
