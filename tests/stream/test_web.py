import errno
import logging
import socket

import aiohttp
import pytest
from yarl import URL

import stream.web
from state.errors import StopWorker
from stream.app import create_app
from stream.config import Settings
from stream.web import listen

HOST = "127.0.0.1"


@pytest.fixture
def taken():
    """A port that somebody else listens on."""
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


def port_of(server):
    return server.getsockname()[1]


def test_a_free_port_is_taken_as_it_is(taken):
    with listen(HOST, 0) as free:
        port = port_of(free)
    with listen(HOST, port) as server:
        assert port_of(server) == port


def test_two_servers_that_ask_for_one_port_get_different_ones(taken):
    with listen(HOST, taken) as one, listen(HOST, taken) as two:
        assert taken < port_of(one) < port_of(two) <= taken + stream.web.MORE_PORTS


def test_any_port_is_one_that_nobody_has(taken):
    with listen(HOST, 0) as one, listen(HOST, 0) as two:
        assert len({taken, port_of(one), port_of(two)}) == 3


def test_when_all_are_taken_the_error_says_which_and_what_to_do(taken, monkeypatch):
    monkeypatch.setattr(stream.web, "MORE_PORTS", 0)
    with pytest.raises(
        StopWorker, match=rf"ports {taken} to {taken} of 127\.0\.0\.1.*FRESHSLATE_WORKER_PORT"
    ):
        listen(HOST, taken)


def test_no_port_beyond_the_last_is_tried(monkeypatch):
    tried = []

    def create_server(address, **_):
        tried.append(address[1])
        raise OSError(errno.EADDRINUSE, "taken")

    monkeypatch.setattr(socket, "create_server", create_server)
    with pytest.raises(StopWorker, match="65530 to 65535"):
        listen(HOST, 65_530)
    assert tried == list(range(65_530, 65_536))


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_of_somebody_else_is_an_error_at_once(host):
    with pytest.raises(StopWorker, match="FRESHSLATE_WORKER_HOST"):
        listen(host, 0)


def test_an_address_of_the_newer_kind_is_listened_on_too():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        with pytest.raises(StopWorker, match="FRESHSLATE_WORKER_HOST"):
            listen("::1", 0)
    else:
        with listen("::1", 0) as server:
            assert server.family == socket.AF_INET6


# faust's server on it --------------------------------------------------------------------------------


@pytest.fixture
async def served(tmp_path):
    """Starts the web server of an app with one page; returns the app."""
    apps = []

    async def serve(**settings):
        app = create_app(Settings(data_dir=tmp_path, **settings))

        @app.page("/hello")
        async def hello(view, request):
            return view.text("hello")

        await app.web.maybe_start()
        apps.append(app)
        return app

    yield serve
    for app in apps:
        await app.web.stop()


async def get(app, path):
    async with aiohttp.ClientSession() as session, session.get(app.web.address + path) as response:
        return response.status, await response.text()


async def test_two_apps_with_one_port_answer_on_different_ones(served, taken, caplog):
    caplog.set_level(logging.INFO, "stream.web")
    one, two = await served(worker_port=taken), await served(worker_port=taken)
    assert len({one.web.address, two.web.address, f"http://{HOST}:{taken}"}) == 3
    for app in (one, two):
        assert await get(app, "/hello") == (200, "hello")
    said = [record.getMessage() for record in caplog.records if record.msg.startswith("pages at")]
    assert said == [f"pages at {app.web.address} (/hello)" for app in (one, two)]


async def test_port_0_is_any(served):
    app = await served(worker_port=0)
    assert URL(app.web.address).port > 1024
    assert await get(app, "/hello") == (200, "hello")


async def test_the_port_of_fausts_command_line_is_tried_first(tmp_path):
    assert create_app(Settings(data_dir=tmp_path, worker_port=0)).first_port == 0
    app = create_app(Settings(data_dir=tmp_path, worker_port=0))
    app.conf.web_port = 7123  # as `faust worker --web-port 7123` does
    assert app.first_port == 7123


async def test_none_of_fausts_own_pages_is_served(served):
    app = await served(worker_port=0)
    for path in ("/", "/stats/", "/router/", "/table/", "/graph/", "/performance/"):
        assert (await get(app, path))[0] == 404


def test_an_answer_in_two_parts_waits_for_no_acknowledgement() -> None:
    with listen("127.0.0.1", 0) as server, socket.create_connection(server.getsockname()):
        accepted, _ = server.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
