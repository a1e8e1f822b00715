"""What is answered in the protocol is what the long way answers, to the byte."""

import asyncio
import re

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from state.event import state_key
from stream.api.keys import Access, Keys, hash_of
from stream.api.limiter import Limiter
from stream.api.metrics import REQUEST_SECONDS, REQUESTS, SERVED
from stream.api.quick import Quick, QuickProtocol
from tests.stream.api.fakes import NOW, Api, slate_of

HOST = b"Host: 127.0.0.1:8080\r\n"
REQUEST_ID = re.compile(rb"[0-9a-f]{32}")
KEYS = Keys(
    {
        hash_of("s"): Access("shop", "default", frozenset({"slates"})),
        hash_of("n"): Access("north", "north", frozenset({"slates"})),
        hash_of("e"): Access("events", "default", frozenset({"events"})),
    },
    "1",
)


class Transport(asyncio.Transport):
    """Remembers what was written, write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        """Nothing is read from here."""

    resume_reading = pause_reading


class Connection:
    """One connection to an API, by the quick protocol or by uvicorn's own."""

    def __init__(self, api: Api, *, quick: bool) -> None:
        config = uvicorn.Config(api.app, lifespan="off", log_config=None, access_log=False)
        config.load()
        state = ServerState()
        state.default_headers = [(b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")]
        given = {"config": config, "server_state": state, "app_state": {}}
        if quick:
            limiter = Limiter(api.settings.api_rate, lambda: 0.0)
            self.protocol: HttpToolsProtocol = QuickProtocol(Quick(api.context, api.ring, limiter), **given)
        else:
            self.protocol = HttpToolsProtocol(**given)
        self.transport = Transport()
        self.protocol.connection_made(self.transport)

    async def ask(self, *parts: bytes) -> bytes:
        """What is answered, once all is."""
        self.transport.writes.clear()
        for part in parts:
            self.protocol.data_received(part)
        while self.protocol.tasks:
            await asyncio.gather(*self.protocol.tasks)
        return b"".join(self.transport.writes)

    def ask_quickly(self, request: bytes) -> bytes:
        """What is answered before anything else can happen."""
        self.transport.writes.clear()
        self.protocol.data_received(request)
        return b"".join(self.transport.writes)


def an_api(**settings: object) -> Api:
    api = Api(**settings)  # type: ignore[arg-type]
    for number, (user, tenant) in enumerate(
        [("u1", "default"), ("a/b|c", "default"), ("u1", "north"), ("über", "default")]
    ):
        api.store.put(state_key(tenant, user), slate_of(user, number=number, tenant=tenant), NOW - 2500)
    return api


def get(target: str, *lines: str, version: str = "1.1", method: str = "GET") -> bytes:
    named = "".join(f"{line}\r\n" for line in lines).encode()
    return f"{method} {target} HTTP/{version}\r\n".encode() + HOST + named + b"\r\n"


def same(answer: bytes) -> bytes:
    return REQUEST_ID.sub(b"ID", answer)


TAG = '"own-events-0-0-all"'
QUICK = [
    get("/v1/slates/u1"),
    get("/v1/slates/u1", "X-Request-Id: r-1"),
    get("/v1/slates/u1", "x-request-id: not fit"),
    get("/v1/slates/u1", f"If-None-Match: {TAG}"),
    get("/v1/slates/u1", 'If-None-Match: "another"', "Accept: */*", "Cookie: a=b"),
    get("/v1/slates/a/b|c"),
    get("/v1/slates/u1", "Connection: keep-alive"),
]
LONG = [
    get("/v1/slates/u1?limit=1"),
    get("/v1/slates/u1?scenario=cart"),
    get("/v1/slates/u1?"),
    get("/v1/slates/nobody"),
    get("/v1/slates/%75%31"),
    get("/v1/slates/"),
    get("/v1/slates/u1/why"),
    get("/v1/items"),
    get("/v1/slates/u1", method="HEAD"),
    get("/v1/slates/u1", method="DELETE"),
    get("/v1/slates/u1", "Sec-Fetch-Site: cross-site"),
    get("/v1/slates/u1", "Origin: http://elsewhere.example"),
    get("/v1/slates/u1", "Connection: close"),
    get("/v1/slates/u1", "Connection: upgrade", "Upgrade: h2c"),
    get("/v1/slates/u1", version="1.0"),
    get("/v1/slates/u1", "Content-Length: 2") + b"{}",
    get("/v1/slates/u1", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n",
    get("/v1/slates/u1", "Expect: 100-continue"),
    get("/healthz"),
    b"GET /v1/slates/u1 HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n",
    b"GET /v1/slates/u1 HTTP/1.1\r\n\r\n",
]


@pytest.mark.parametrize("request_", QUICK)
async def test_a_known_users_slate_is_answered_at_once_and_alike(request_: bytes) -> None:
    api = an_api()
    quick = Connection(api, quick=True).ask_quickly(request_)
    assert quick.startswith((b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 304 Not Modified\r\n"))
    assert same(quick) == same(await Connection(an_api(), quick=False).ask(request_))


@pytest.mark.parametrize("request_", LONG)
async def test_all_else_goes_the_long_way(request_: bytes) -> None:
    connection = Connection(an_api(), quick=True)
    assert connection.ask_quickly(request_) == b""
    await asyncio.gather(*connection.protocol.tasks)
    long = await Connection(an_api(), quick=False).ask(request_)
    assert same(b"".join(connection.transport.writes)) == same(long)
    assert long.startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize(
    ("secret", "is_quick"), [("s", True), ("n", True), ("e", False), ("guess", False), ("", False)]
)
@pytest.mark.parametrize("line", ["Authorization: Bearer {}", "X-Api-Key: {}"])
async def test_keys_are_asked_for_as_ever(secret: str, is_quick: bool, line: str) -> None:
    request = get("/v1/slates/u1", line.format(secret))
    connection = Connection(an_api(keys=KEYS), quick=True)
    quick = connection.ask_quickly(request)
    assert bool(quick) == is_quick
    await asyncio.gather(*connection.protocol.tasks)
    answer = b"".join(connection.transport.writes)
    assert same(answer) == same(await Connection(an_api(keys=KEYS), quick=False).ask(request))
    assert (b"events-0-2" in answer) == (secret == "n")


async def test_the_rate_holds_and_a_refusal_says_when_to_come_again() -> None:
    connection = Connection(an_api(api_rate=2.0), quick=True)
    answers = [connection.ask_quickly(get("/v1/slates/u1")) for _ in range(3)]
    assert [bool(answer) for answer in answers] == [True, True, False]


async def test_answers_keep_the_order_of_what_was_asked() -> None:
    connection = Connection(an_api(), quick=True)
    asked = [
        get("/v1/slates/u1", "X-Request-Id: r1"),
        get("/v1/slates/nobody", "X-Request-Id: r2"),
        get("/v1/slates/u1", "X-Request-Id: r3"),
    ]
    answer = await connection.ask(b"".join(asked))
    assert re.findall(rb"x-request-id: (r\d)", answer) == [b"r1", b"r2", b"r3"]
    assert await connection.ask(asked[0]) == await Connection(an_api(), quick=False).ask(asked[0])


async def test_a_request_in_pieces_is_answered_once_it_is_whole() -> None:
    request = get("/v1/slates/u1", "X-Request-Id: r1")
    connection = Connection(an_api(), quick=True)
    for at in range(len(request) - 1):
        assert connection.ask_quickly(request[at : at + 1]) == b""
    whole = connection.ask_quickly(request[-1:])
    assert whole == await Connection(an_api(), quick=False).ask(request)


async def test_what_is_answered_quickly_is_counted_as_ever() -> None:
    api = an_api()
    connection = Connection(api, quick=True)
    connection.ask_quickly(get("/v1/slates/u1"))
    connection.ask_quickly(get("/v1/slates/u1", f"If-None-Match: {TAG}"))
    assert api.metrics.value(REQUESTS, "get_slate", "200") == 1
    assert api.metrics.value(REQUESTS, "get_slate", "304") == 1
    assert api.metrics.value(SERVED, "own") == 1
    assert api.metrics.histogram(REQUEST_SECONDS, "get_slate").count == 2
    assert connection.protocol.server_state.total_requests == 2


async def test_an_idle_connection_is_closed_and_one_that_is_told_to_end_too() -> None:
    connection = Connection(an_api(), quick=True)
    connection.ask_quickly(get("/v1/slates/u1"))
    timer = connection.protocol.timeout_keep_alive_task
    assert timer is not None
    assert not timer.cancelled()
    connection.protocol.shutdown()
    assert connection.transport.is_closed
    connection.protocol.connection_lost(None)
    assert timer.cancelled()


async def test_a_reader_who_does_not_read_waits_for_its_own_answer() -> None:
    connection = Connection(an_api(), quick=True)
    connection.protocol.pause_writing()
    assert connection.ask_quickly(get("/v1/slates/u1")) == b""
    connection.protocol.resume_writing()
    await asyncio.gather(*connection.protocol.tasks)
    assert connection.transport.writes[0].startswith(b"HTTP/1.1 200")


async def test_a_fault_of_ours_is_answered_and_logged_by_the_long_way(
    caplog: pytest.LogCaptureFixture,
) -> None:
    api = an_api()

    def broken(*_: object) -> None:
        message = "the password is hunter2"
        raise RuntimeError(message)

    api.store.latest = broken  # type: ignore[assignment, method-assign]
    answer = await Connection(api, quick=True).ask(get("/v1/slates/u1", "X-Request-Id: r7"))
    assert answer.startswith(b"HTTP/1.1 500")
    assert b"hunter2" not in answer
    assert "request r7 failed" in caplog.text
