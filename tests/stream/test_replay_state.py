"""What a user's past is compared with; the log is in memory, the real one is in `tests/kafka`."""

from collections import defaultdict

import pytest
from msgspec.structs import replace

import stream.replay_state
import stream.user_history
from stream.codecs import decode_slate
from stream.config import Settings
from stream.replay_state import compare, replay_state
from stream.user_history import NoSuchPast
from tests.stream.pasts import SETTINGS, Worker, World
from tests.stream.records import record

ALWAYS = 1 << 42
USER = "u3"


class Topics:
    """`read_topic` over a world."""

    def __init__(self, world, inputs):
        self.logs = defaultdict(list)
        for partition, log in inputs.items():
            self.logs["events", partition] = log
        for tp, log in world.shared.items():
            self.logs[tp.topic, tp.partition] = log
        for n, (slate_id, value) in enumerate(world.slates.items()):
            partition = int(slate_id.split("-")[1])
            key = decode_slate(value).user_id.encode()
            self.logs["slates", partition].append(
                record(value, n, topic="slates", partition=partition, key=key)
            )
        for n, (partition, key, value) in enumerate(world.changelog):
            self.logs["profiles", partition].append(record(value, n, topic="profiles", key=key))

    async def read_topic(self, broker, topic, *, partitions=None):
        del broker
        for (name, partition), log in list(self.logs.items()):
            if name == topic and (partitions is None or partition in partitions):
                for each in log:
                    yield each


@pytest.fixture
def past(monkeypatch):
    world = World()
    inputs = {partition: list(log) for partition, log in world.inputs.items()}
    worker = Worker(world, "a")
    for _ in range(7):
        for partition in (0, 1):
            worker.fold()
            worker.cycle(partition)
    topics = Topics(world, inputs)
    for module in (stream.replay_state, stream.user_history, stream.refold):
        monkeypatch.setattr(module, "read_topic", topics.read_topic)

    async def partitions(settings, names):
        return 2

    monkeypatch.setattr(stream.replay_state, "state_partitions", partitions)
    return topics


def parts(found):
    return {part.name: part.same for part in found.parts}


async def test_everything_is_the_same_bit_for_bit(past):
    found = await replay_state(SETTINGS, USER, ALWAYS)
    assert found.is_same
    assert found.again == found.slate
    assert set(parts(found).values()) == {True}
    assert found.assumed_order == 0
    assert found.folded > 10
    assert found.slate.items


async def test_a_moment_in_the_middle_has_the_slate_of_then(past):
    last = await replay_state(SETTINGS, USER, ALWAYS)
    earlier = await replay_state(SETTINGS, USER, last.slate.time - 1)
    assert earlier.slate.time < last.slate.time
    assert earlier.events < last.events
    assert earlier.is_same


async def test_another_policy_now_is_said_and_candidates_are_compared_all_the_same(past):
    other = Settings(**SETTINGS.model_dump(exclude_unset=True) | {"temperature": 0.9})
    found = await replay_state(other, USER, ALWAYS)
    assert not found.is_same
    told = parts(found)
    assert told["policy"] is False
    assert told["candidates_hash"] is True
    assert told["items"] is None
    assert next(part.why for part in found.parts if part.name == "policy").startswith("another policy")


async def test_other_candidates_are_found_and_explained(past):
    other = Settings(**SETTINGS.model_dump(exclude_unset=True) | {"source_weights": "popularity=9"})
    found = await replay_state(other, USER, ALWAYS)
    told = {part.name: part for part in found.parts}
    assert told["candidates_hash"].same is False or told["scores"].same is False
    assert any("another setting or version" in part.why for part in found.parts)


async def test_a_compacted_changelog_is_no_difference(past):
    last = await replay_state(SETTINGS, USER, ALWAYS)
    for place, log in past.logs.items():
        if place[0] == "profiles":
            past.logs[place] = list({each.key: each for each in log}.values())
    earlier = await replay_state(SETTINGS, USER, last.slate.time - 60_000)
    profile = next(part for part in earlier.parts if part.name == "profile")
    assert profile.same is None
    assert "folded on to now it is the same bit for bit" in profile.why
    assert parts(await replay_state(SETTINGS, USER, ALWAYS))["profile"] is True


async def test_a_profile_that_was_tampered_with_is_found(past):
    for place, log in past.logs.items():
        if place[0] == "profiles":
            past.logs[place] = [each for each in log if each.key != USER.encode()]
            past.logs[place].append(record(b"else", 99, key=USER.encode()))
    assert parts(await replay_state(SETTINGS, USER, ALWAYS))["profile"] is False


async def test_a_user_without_a_slate_has_a_profile(past):
    for place in list(past.logs):
        if place[0] == "slates":
            del past.logs[place]
    found = await replay_state(SETTINGS, USER, ALWAYS)
    assert found.slate is None
    assert found.profile.items


async def test_an_unknown_user_is_told(past):
    with pytest.raises(NoSuchPast, match="no event of 'nobody'"):
        await replay_state(SETTINGS, "nobody", ALWAYS)


async def test_a_slate_with_other_propensities_differs_in_them_alone(past):
    slate = (await replay_state(SETTINGS, USER, ALWAYS)).slate
    items = (replace(slate.items[0], propensity=0.5), *slate.items[1:])
    found = {part.name: part.same for part in compare(slate, replace(slate, items=items), why="")}
    assert [name for name, same in found.items() if not same] == ["propensities"]
