"""The question that is asked most, `GET /v1/slates/{user}`, answered where its bytes arrive.

A request that goes the long way passes a task, the guard, the router and two writes, which cost several times
what looking the slate up does. What can be answered in the protocol is: a known user's latest slate, in the
scenario that is meant where none is named. All else, refusals too, goes the long way, which answers with the
same bytes (`tests/stream/api/test_quick.py` compares them).
"""

import asyncio
import logging
import re
import time
from typing import Any, Final

from starlette.datastructures import Headers, QueryParams
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from stream.api.context import DEFAULT_SCENARIO, Context
from stream.api.guard import KeyRing, request_id_of
from stream.api.keys import SLATES
from stream.api.limiter import Limiter
from stream.api.metrics import REQUEST_SECONDS, REQUESTS
from stream.api.problem import Problem
from stream.api.slates import JSON, OwnSlate, get_slate, own_slate
from stream.api.user import User

log = logging.getLogger(__name__)

Fields = list[tuple[bytes, bytes]]

_TARGET: Final = re.compile(rb"/v1/slates/([A-Za-z0-9._~:@!$&'()*+,;=|/-]+)(?<!/why)")
"""Neither a query nor anything encoded."""
_UNUSUAL: Final = frozenset({b"content-length", b"transfer-encoding", b"upgrade", b"origin"})
"""Headers of requests with a body, for another protocol, or of another site's page."""
_ROUTE: Final = get_slate.__name__
_LABEL: Final = {200: "200", 304: "304"}
_NO_QUERY: Final = QueryParams()


class Quick:
    """Answers what can be answered at once.

    Args:
        context: what endpoints work with.
        keys: in force.
        limiter: of requests by key.
    """

    def __init__(self, context: Context, keys: KeyRing, limiter: Limiter) -> None:
        self._context = context
        self._keys = keys
        self._limiter = limiter

    def answer(self, target: bytes, fields: Fields, common: Fields) -> bytes:
        """The whole answer; empty: the request goes the long way.

        Args:
            target: of a GET request, as it came.
            fields: its headers, names in lower case.
            common: headers that the server adds to every answer.
        """
        found = _TARGET.fullmatch(target)
        if found is None or any(name in _UNUSUAL for name, _ in fields):
            return b""
        started = time.perf_counter()
        headers = Headers(raw=fields)
        try:
            access = self._keys.access(headers, _NO_QUERY)
        except Problem:
            return b""
        user = User(found[1].decode(), access.own_tenant)
        kept = self._context.store.latest(user.key, DEFAULT_SCENARIO)
        # The limiter is asked last, since it takes a token where the answer is yes.
        if not access.has(SLATES) or kept is None or self._limiter.wait(access.name):
            return b""
        own = own_slate(self._context, user, kept, None, headers.get("if-none-match"))
        metrics = self._context.metrics
        metrics.add(REQUESTS, 1, _ROUTE, _LABEL[own.status])
        metrics.observe(REQUEST_SECONDS, (time.perf_counter() - started,), _ROUTE)
        return _written(own, request_id_of(headers), common)


def _written(own: OwnSlate, request_id: str, common: Fields) -> bytes:
    added = b"".join([b"%s: %s\r\n" % field for field in common])
    lines = [f"{name}: {value}\r\n" for name, value in own.headers.items()]
    if own.body:
        lines.append(f"content-length: {len(own.body)}\r\ncontent-type: {JSON}\r\n")
    lines.append(f"x-request-id: {request_id}\r\n\r\n")
    return b"".join((STATUS_LINE[own.status], added, "".join(lines).encode("latin-1"), own.body))


class _Answered:
    """Stands where uvicorn has a request's cycle, for one that needs none any more."""

    response_complete: Final = True
    message_event: Final = asyncio.Event()


_ANSWERED: Final[Any] = _Answered()


class QuickProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which asks `quick` before it starts a task.

    Args:
        quick: answers, or does not.
        given: what uvicorn gives a protocol.
    """

    def __init__(self, quick: Quick, **given: Any) -> None:
        super().__init__(**given)
        self._quick = quick

    def on_message_begin(self) -> None:
        """Begin to read a request; what only the long way needs is made there."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """Answer, or let uvicorn do it."""
        if not self._answer():
            url, headers, expects = self.url, self.headers, self.expect_100_continue
            super().on_message_begin()
            self.url, self.expect_100_continue = url, expects
            self.headers += headers
            super().on_headers_complete()

    def _is_busy(self) -> bool:
        """Whether a request before this one awaits its answer, so that ours would come too early."""
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _answer(self) -> bool:
        parser = self.parser
        if (
            parser.get_method() != b"GET"
            or parser.get_http_version() != "1.1"
            or not parser.should_keep_alive()
            or self.expect_100_continue
            or self.flow.write_paused
            or self._is_busy()
        ):
            return False
        try:
            answer = self._quick.answer(self.url, self.headers, self.server_state.default_headers)
        except Exception:
            # The long way meets the same fault, and answers with the id that it is logged under.
            log.debug("a quick answer failed", exc_info=True)
            return False
        if not answer:
            return False
        self.cycle = _ANSWERED
        self.transport.write(answer)
        self.on_response_complete()
        return True
