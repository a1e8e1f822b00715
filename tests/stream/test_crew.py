"""Several workers of our own; with a broker in `tests/kafka/test_demo.py`."""

import os
import time
from pathlib import Path

import pytest

from stream.child import ChildEnded, ended
from stream.config import Settings
from stream.crew import Crew


def settings(folder: Path) -> Settings:
    return Settings(broker="127.0.0.1:1", data_dir=folder / "data")


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def variables(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


@pytest.mark.parametrize(("membership", "named"), [("static", True), ("dynamic", False)])
def test_only_static_members_have_an_instance_id_which_survives_a_kill(
    tmp_path: Path, membership: str, named: bool
) -> None:
    with Crew(settings(tmp_path), tmp_path, 2, membership=membership) as crew:  # type: ignore[arg-type]
        first, second = crew.members
        before = [variables(member.child.pid).get("FRESHSLATE_INSTANCE_ID") for member in (first, second)]
        killed = first.child.pid
        first.restart()
        after = variables(first.child.pid).get("FRESHSLATE_INSTANCE_ID")
        assert before == (["worker-1", "worker-2"] if named else [None, None])
        assert after == before[0]
        assert (first.restarts, second.restarts) == (1, 0)
        assert not is_running(killed)
    assert not is_running(first.child.pid)
    assert not is_running(second.child.pid)


def test_a_worker_that_ends_by_itself_is_noticed(tmp_path: Path) -> None:
    with Crew(settings(tmp_path), tmp_path, 1) as crew:
        (member,) = crew.members
        ended(member.child.pid)
        time.sleep(0.5)  # the supervisor looks five times a second
        with pytest.raises(ChildEnded, match=r"no Kafka broker answers at 127\.0\.0\.1:1"):
            member.child.check()


def test_the_address_of_its_pages_is_what_a_worker_says(tmp_path: Path) -> None:
    with Crew(settings(tmp_path), tmp_path, 1) as crew:
        (member,) = crew.members
        assert member.address is None
        log = tmp_path / "worker-1.0.log"
        log.write_text("[INFO] pages at http://127.0.0.1:6067 (/metrics, /healthz, /readyz)\n")
        assert member.address == "http://127.0.0.1:6067"
        member.restart()
        assert member.address is None
