"""Records handed on by topic; how they come is in `tests/kafka/test_api.py`."""

from aiokafka import TopicPartition

from stream.api.follower import Followed, Follower
from stream.config import load_settings
from tests.stream.records import record


def test_each_topics_records_go_to_who_asked_for_them() -> None:
    seen: dict[str, list[int]] = {"slates": [], "items": []}
    follower = Follower(
        load_settings(),
        {
            name: Followed(None, lambda records, name=name: seen[name].extend(r.offset for r in records))
            for name in seen
        },
    )
    follower.take(
        {
            TopicPartition("slates", 0): [record({}, 1, topic="slates"), record({}, 2, topic="slates")],
            TopicPartition("items", 3): [record({}, 7, topic="items")],
        }
    )
    assert seen == {"slates": [1, 2], "items": [7]}
    assert follower.lag() == {}
    assert not follower.caught_up.is_set()
