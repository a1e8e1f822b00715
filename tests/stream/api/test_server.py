"""What the process checks before it serves; that it serves is in `tests/kafka/test_api.py`."""

import asyncio
import contextlib
import socket
from pathlib import Path
from unittest.mock import Mock

import pytest
import uvloop
from starlette.responses import Response

from state.errors import SetupError
from state.policy.uniform import Uniform
from stream.api.popular import Popular
from stream.api.server import ApiProcess, _config, _Server, check_reach
from stream.config import load_settings
from stream.transport import FETCH_WAIT_MS
from stream.worker_metrics import RULES_INFO, RULES_REFUSED
from tests.state.retrieval.shops import make_delta, make_interactions
from tests.stream.pasts import replica


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.1.2.3"])
def test_this_machine_alone_needs_no_keys(host: str) -> None:
    check_reach(load_settings(api_host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "shop.example"])
def test_whoever_lets_others_in_needs_keys(host: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="freshslate api-key"):
        check_reach(load_settings(api_host=host))
    check_reach(load_settings(api_host=host, api_keys_file=tmp_path / "keys.toml"))


async def test_it_is_ready_once_it_knows_what_there_is(tmp_path: Path) -> None:
    process = ApiProcess(load_settings(data_dir=tmp_path))
    assert "slates" in process.ready()
    process.follower.caught_up.set()
    assert "models" in process.ready()
    process.replica.caught_up.set()
    assert process.ready() == ""


async def test_keys_that_cannot_be_followed_stop_it(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    process = ApiProcess(load_settings(data_dir=tmp_path, api_keys_file=path))
    with pytest.raises(SetupError, match=r"keys\.toml"):
        process._keys()
    path.write_text("[[key]]\nname = 7")
    with pytest.raises(SetupError, match="API keys"):
        process._keys()


async def test_popular_slates_keep_to_the_business_rules_of_now(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('exclude = ["i1"]')
    process = ApiProcess(load_settings(data_dir=tmp_path, rules_file=path, slate_size=50))
    process.replica.models.learn([make_delta(make_interactions(5))])
    popular = Popular(process.decide, lambda: 1_763_831_000_000)

    async def shown() -> set[str]:
        return {item.item_id for item in (await popular("u", "default", "feed")).items}

    assert "i2" in await shown()
    assert "i1" not in await shown()
    await process.files["rules"].reload(b'exclude = ["i2"]')
    assert {"i1", "i2"} & await shown() == {"i1"}
    await process.files["rules"].reload(b"exclude = 7")
    assert {"i1", "i2"} & await shown() == {"i1"}
    assert process.metrics.value(RULES_REFUSED) == 1
    assert process.metrics.value(RULES_INFO) == 1


def test_a_file_of_rules_or_policies_that_cannot_be_followed_stops_it(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text("nothing = 7")
    for setting in ("rules_file", "policy_file"):
        with pytest.raises(SetupError, match=r"wrong\.toml"):
            ApiProcess(load_settings(data_dir=tmp_path, **{setting: path}))


async def test_popular_slates_are_drawn_by_the_policies_of_now(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text('[[arm]]\npolicy = "greedy"\nshare = 1.0\n')
    process = ApiProcess(load_settings(data_dir=tmp_path, policy_file=path))
    process.replica.models.learn([make_delta(make_interactions(5))])
    popular = Popular(process.decide, lambda: 1_763_831_000_000)
    assert (await popular("u", "default", "feed")).policy == "greedy"
    await process.files["policies"].reload(b'[[arm]]\npolicy = "random"\nshare = 1.0\n')
    assert (await popular("u", "default", "feed")).policy == Uniform.name


async def test_brokers_gather_what_the_apis_models_learn_and_no_workers_wait(tmp_path: Path) -> None:
    process = ApiProcess(load_settings(data_dir=tmp_path))
    asked = process.replica._settings
    assert asked["fetch_max_wait_ms"] > FETCH_WAIT_MS
    assert asked["fetch_min_bytes"] > 1
    workers = replica()._settings
    assert workers["fetch_max_wait_ms"] == FETCH_WAIT_MS
    assert "fetch_min_bytes" not in workers


def test_requests_are_answered_that_came_before_the_end_and_were_not_looked_at() -> None:
    quick = Mock()
    quick.answer.return_value = b""
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    async def answers() -> list[bytes]:
        server = _Server(_config(Response("here"), quick), asyncio.Event())
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        listening = socket.create_server(("127.0.0.1", 0), backlog=100)
        await server.startup([listening])
        with contextlib.ExitStack() as stack:
            asking = [
                stack.enter_context(socket.create_connection(listening.getsockname())) for _ in range(50)
            ]
            for each in asking:
                each.sendall(request)
            await server.shutdown([listening])
            return [each.recv(1 << 16) for each in asking]

    # The loop of `freshslate api`, which takes one connection a turn.
    assert all(answer.endswith(b"here") for answer in uvloop.run(answers()))
