"""What a crew's workers say of themselves; with real ones in `tests/kafka/test_demo.py`."""

from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from aiohttp import web

from stream.roster import Roster


class Child:
    """A worker whose log says where its pages are."""

    def __init__(self, address: str = "") -> None:
        self.pid = 42
        self.text = f"pages at {address} (/metrics)" if address else ""

    def check(self) -> None:
        """It runs."""

    def log(self) -> str:
        return self.text


class Member:
    """One place of a crew, whose restart gives a worker that has said nothing yet."""

    def __init__(self, address: str) -> None:
        self.name = "worker-1"
        self.restarts = 0
        self.child = Child(address)
        self.address: str | None = address or None

    def restart(self) -> None:
        self.restarts += 1
        self.child, self.address = Child(), None


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """Pages like a worker's."""

    async def ready(_: web.Request) -> web.Response:
        return web.json_response({"ready": True, "restored": [0, 3]})

    async def metrics(_: web.Request) -> web.Response:
        text = (
            "# TYPE freshslate_events counter\n"
            'freshslate_events_total{topic="events",type="click"} 40\n'
            'freshslate_events_total{topic="events",type="view"} 2\n'
        )
        return web.Response(text=text)

    app = web.Application()
    app.add_routes([web.get("/readyz", ready), web.get("/metrics", metrics)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    yield f"http://{host}:{port}"
    await runner.cleanup()


def roster_of(member: Member) -> Roster:
    return Roster(SimpleNamespace(members=[member]))  # type: ignore[arg-type]


async def asked(roster: Roster, member: Member) -> None:
    import aiohttp

    async with aiohttp.ClientSession() as session:
        await roster._ask(session, member)  # type: ignore[arg-type]


async def test_a_worker_that_says_what_it_restored_serves(address: str) -> None:
    member = Member(address)
    roster = roster_of(member)
    await asked(roster, member)
    (row,) = roster.rows()
    assert (row.name, row.state, row.pid) == ("worker-1", "serving", 42)
    assert (row.partitions, row.events, row.restarts) == ((0, 3), 42, 0)


async def test_a_worker_that_has_said_nothing_starts() -> None:
    member = Member("")
    roster = roster_of(member)
    await asked(roster, member)
    (row,) = roster.rows()
    assert (row.state, row.partitions, row.events) == ("starting", None, 0)


async def test_a_page_that_does_not_answer_is_asked_again_later() -> None:
    member = Member("http://127.0.0.1:1")
    roster = roster_of(member)
    await asked(roster, member)
    assert roster.rows()[0].state == "starting"


async def test_what_a_killed_worker_did_still_counts(address: str) -> None:
    member = Member(address)
    roster = roster_of(member)
    await asked(roster, member)
    await roster.restart(member)  # type: ignore[arg-type]
    (row,) = roster.rows()
    assert (row.state, row.partitions, row.restarts, row.events) == ("restarting", None, 1, 42)
    member.address = address
    await asked(roster, member)
    assert (roster.rows()[0].state, roster.rows()[0].events) == ("serving", 84)


def test_the_slowest_log_is_the_shortest() -> None:
    quick, slow = Member("http://127.0.0.1:6066"), Member("")
    slow.name = "worker-2"
    assert Roster(SimpleNamespace(members=[quick, slow])).slowest_log() == ""  # type: ignore[arg-type]
