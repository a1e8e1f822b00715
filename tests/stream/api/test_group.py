"""The workers' group; with a broker: `tests/kafka/test_console.py`."""

from stream.api.group import Group, Look, worker_name
from stream.config import load_settings


def test_a_workers_name_is_short_and_tells_it_apart() -> None:
    assert worker_name("faust-0.15.3", "faust-0.15.3-65721cbf-5805-4387-9867-6c833e2a5b5b") == "faust 2a5b5b"


async def test_a_look_is_shared_for_a_second_and_a_broker_that_is_away_is_said_so() -> None:
    now = [0.0]
    group = Group(load_settings(), lambda: now[0])
    looks: list[int] = []

    async def look() -> Look:
        looks.append(1)
        if len(looks) == 2:
            raise OSError
        return Look("Stable", ["w"], [])

    group._look = look  # type: ignore[method-assign]
    assert (await group.look()).state == (await group.look()).state == "Stable"
    now[0] = 1.5
    assert (await group.look()).state == "not known: OSError"
    assert len(looks) == 2
    await group.close()
