import pytest

from stream import decision_log
from stream.codecs import encode_reward, encode_slate
from stream.config import Settings
from stream.decision_log import read_decision_log
from tests.state.ranking.test_examples import T, reward, slate
from tests.stream.records import record


@pytest.fixture
def topics(monkeypatch):
    """Topics by name, each a list of values."""
    values = {"slates": [], "rewards": []}

    async def read_topic(broker, topic, *, since):
        assert since == T - 1000
        for offset, value in enumerate(values[topic]):
            yield record(value, offset, topic=topic)

    monkeypatch.setattr(decision_log, "read_topic", read_topic)
    return values


async def read():
    return await read_decision_log(Settings(), T - 1000)


async def test_rewarded_slates_become_examples_in_the_order_of_time(topics):
    topics["slates"] = [encode_slate(slate(n, "a", "b")) for n in (3, 1, 2)]
    topics["rewards"] = [encode_reward(reward(3, "a")), encode_reward(reward(1, "b"))]
    logged = await read()
    assert logged.examples.labels.tolist() == [0, 1, 1, 0]
    assert (logged.first_time, logged.last_time, logged.slates) == (T + 1, T + 3, 2)


async def test_tombstones_and_slates_from_before_the_window_are_passed_over(topics):
    topics["slates"] = [None, encode_slate(slate(1, "a", "b"))]
    topics["rewards"] = [encode_reward(reward(9, "a")), encode_reward(reward(1, "a")), None]
    logged = await read()
    assert logged.slates == 1
    assert logged.examples.sizes.tolist() == [2]


async def test_slates_without_features_are_counted_and_teach_nothing(topics):
    topics["slates"] = [encode_slate(slate(1, "a", "b", feature_set="00000000"))]
    topics["rewards"] = [encode_reward(reward(1, "a"))]
    logged = await read()
    assert (logged.slates, logged.examples.sizes.size) == (1, 0)


async def test_an_empty_log_has_no_times(topics):
    logged = await read()
    assert (logged.first_time, logged.last_time, logged.slates) == (None, None, 0)
