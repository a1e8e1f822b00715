import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.protocol.admin import CreateAclsRequest

import stream.broker
from state.errors import SetupError
from stream.broker import Broker, server_properties
from stream.config import Settings, load_settings
from stream.topic_check import TopicMismatch, check_topics, topic_problems
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


async def allow(admin: AIOKafkaAdminClient, topic: str, principal: str, operation: int) -> None:
    """Allow an operation by Kafka's number; whatever else is done with the topic is refused from then on."""
    topics, literal, allowing = 2, 3, 3
    answer = await admin._send_request(
        CreateAclsRequest(topics, topic, literal, f"User:{principal}", "*", operation, allowing)
    )
    assert [code for code, _ in answer.creation_responses] == [0]


async def test_rights_that_lack_are_told_by_topic_and_a_hidden_topic_is_not_called_missing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    secured = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
    }
    lines = "".join(f"{name}={value}\n" for name, value in secured.items())
    monkeypatch.setattr(stream.broker, "server_properties", lambda *args: server_properties(*args) + lines)
    with Broker.start() as broker:
        specs = topic_specs(settings)
        await create_topics(broker.address, specs)
        assert await topic_problems(broker.address, specs) == []
        async with admin_client(broker.address) as admin:
            await allow(admin, settings.profiles_topic, "ANONYMOUS", 3)
            await allow(admin, settings.profiles_topic, "ANONYMOUS", 10)
            await allow(admin, settings.slates_topic, "ANONYMOUS", 4)
            await allow(admin, settings.items_topic, "somebody", 3)
        problems = await topic_problems(broker.address, specs)
    assert all(problem.stops for problem in problems)
    told = {problem.text.split(":")[0]: problem.text.split(": ")[1] for problem in problems}
    assert told == {
        settings.profiles_topic: "these credentials have no right to Write",
        settings.slates_topic: "these credentials have no right to DescribeConfigs",
        settings.items_topic: "these credentials may not know whether it exists; no right to Describe and "
        "DescribeConfigs and Read",
    }
