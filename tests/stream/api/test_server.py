"""What the process checks before it serves; that it serves is in `tests/kafka/test_api.py`."""

from pathlib import Path

import pytest

from state.errors import SetupError
from stream.api.server import ApiProcess, check_reach
from stream.config import load_settings


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
