import asyncio

import pytest
from aiokafka.admin import NewTopic

from state.errors import SetupError
from stream.config import Settings, load_settings
from stream.topic_check import TopicMismatch, check_topics
from stream.topics import (
    BATCH_BYTES,
    admin_client,
    create_topics,
    describe,
    topic_specs,
)


@pytest.fixture
def settings(prefix: str) -> Settings:
    return load_settings(topic_prefix=prefix, partitions=4)


async def test_created_topics_are_as_specified(broker: str, settings: Settings) -> None:
    specs = topic_specs(settings)
    created = await create_topics(broker, specs)
    assert sorted(created) == sorted(spec.name for spec in specs)
    await check_topics(broker, specs)
    found = await describe(broker, created)
    for spec in specs:
        state = found[spec.name]
        assert state.partitions == 4
        assert {key: state.config[key] for key in spec.config} == spec.config


async def test_a_second_creation_changes_nothing(broker: str, settings: Settings) -> None:
    specs = topic_specs(settings)
    await create_topics(broker, specs)
    assert await create_topics(broker, specs) == ()
    wider = topic_specs(settings.model_copy(update={"partitions": 8}))
    assert await create_topics(broker, wider) == ()
    assert (await describe(broker, [settings.slates_topic]))[settings.slates_topic].partitions == 4


async def test_two_workers_may_create_at_the_same_time(broker: str, settings: Settings) -> None:
    specs = topic_specs(settings)
    first, second = await asyncio.gather(create_topics(broker, specs), create_topics(broker, specs))
    assert sorted((*first, *second)) == sorted(spec.name for spec in specs)
    await check_topics(broker, specs)


async def test_a_check_creates_nothing(broker: str, settings: Settings) -> None:
    specs = topic_specs(settings)
    with pytest.raises(TopicMismatch, match="do not exist: run `freshslate topics create`"):
        await check_topics(broker, specs)
    assert await describe(broker, [spec.name for spec in specs]) == {}


async def test_every_mismatch_is_in_one_error(broker: str, settings: Settings) -> None:
    odd = settings.model_copy(update={"inputs": ("clicks", "purchases")})
    clicks, purchases = odd.input_topics
    async with admin_client(broker) as admin:
        await admin.create_topics([NewTopic(clicks, 4, 1), NewTopic(purchases, 2, 1)])
        small, large = {"max.message.bytes": "1000000"}, {"max.message.bytes": str(BATCH_BYTES)}
        await admin.create_topics([NewTopic(odd.slates_topic, 4, 1, topic_configs=small)])
        await admin.create_topics([NewTopic(odd.profiles_topic, 3, 1, topic_configs=large)])
    await create_topics(broker, topic_specs(odd))
    with pytest.raises(TopicMismatch) as caught:
        await check_topics(broker, topic_specs(odd))
    told = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 6
    assert f"({clicks} has 4, {purchases} has 2 partitions)" in told
    assert f"{purchases}: 2 partitions" in told
    assert f"{odd.profiles_topic}: 3 partitions" in told
    assert f"{odd.slates_topic} has cleanup.policy=delete, not compact,delete" in told
    assert f"{odd.slates_topic} has max.message.bytes=1000000, below 8388608" in told
    assert f"{odd.profiles_topic} has cleanup.policy=delete, not compact" in told


async def test_a_refusal_is_one_clear_error(broker: str, prefix: str) -> None:
    settings = load_settings(topic_prefix=prefix, replication=3)
    with pytest.raises(SetupError, match=r"does not create the topics: .*slates.*replication factor"):
        await create_topics(broker, topic_specs(settings))
