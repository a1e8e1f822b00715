"""The topics: what each must look like, made explicitly; `stream/topic_check.py` checks them.

Never by auto-creation: a topic made by accident has one partition and the wrong clean-up, and a
partition count cannot be changed later without moving users away from their state.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaConnectionError, KafkaError, for_code
from aiokafka.protocol.admin import DeleteGroupsRequest

from state.errors import SetupError
from stream.config import DAY, Settings
from stream.connection import Where, arguments, connection
from stream.knock import BrokerUnreachableError, knock
from stream.setting_types import FOR_EVER

BATCH_BYTES: Final = 8 << 20
"""Largest record batch in a topic that a worker writes by batch."""
POLL_SECONDS: Final = 0.05
ALREADY_EXISTS: Final = 36
"""Kafka's error code TOPIC_ALREADY_EXISTS."""
NON_EMPTY_GROUP: Final = 68
"""Kafka's error code of that name."""


class TopicSpec(NamedTuple):
    """What a topic must look like."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]
    is_input: bool = False
    is_copartitioned: bool = True
    """Whether partition n of it belongs to the owner of partition n of the inputs."""


class TopicState(NamedTuple):
    """What an existing topic looks like."""

    partitions: int
    config: Mapping[str, str]
    """Effective values, also those that are the broker's defaults."""
    replicas: int | None = None
    """Copies of the partition that has the fewest; None where it is not known."""


def topic_specs(settings: Settings) -> list[TopicSpec]:
    """Every topic that `settings` needs, inputs first."""
    written = {"max.message.bytes": str(BATCH_BYTES)}

    def spec(name: str, config: Mapping[str, str], **traits: bool) -> TopicSpec:
        durable = {"min.insync.replicas": str(_min_insync(settings))}
        return TopicSpec(name, settings.partitions, settings.replication, {**durable, **config}, **traits)

    return [
        *(
            spec(name, _deleted_after(settings.events_retention_seconds), is_input=True)
            for name in settings.input_topics
        ),
        spec(settings.items_topic, {"cleanup.policy": "compact"}, is_copartitioned=False),
        spec(settings.slates_topic, {**written, **_slates_config(settings)}),
        spec(settings.rewards_topic, {**written, **_deleted_after(settings.rewards_retention_seconds)}),
        spec(settings.deltas_topic, {**written, **_deleted_after(settings.deltas_retention_seconds)}),
        spec(settings.profiles_topic, {**written, **PROFILES_CONFIG}),
        spec(
            settings.rankers_topic,
            {**written, "cleanup.policy": "compact"},
            is_copartitioned=False,
        ),
        spec(
            settings.dlq_topic,
            {**written, **_deleted_after(settings.dlq_retention_seconds)},
            is_copartitioned=False,
        ),
    ]


PROFILES_CONFIG: Final = {
    # Compaction alone: with "delete" in it, a user who stays away loses their state (a faust trap).
    "cleanup.policy": "compact",
    # A restore reads what compaction has not reached, and the active segment is never compacted.
    "segment.bytes": str(64 << 20),
    "segment.ms": str(15 * 60 * 1000),
    "min.cleanable.dirty.ratio": "0.2",
    "max.compaction.lag.ms": str(60 * 60 * 1000),
    # A store on disk that is older than this may have missed a tombstone.
    "delete.retention.ms": str(7 * DAY * 1000),
}


def _deleted_after(seconds: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": _milliseconds(seconds)}


def _slates_config(settings: Settings) -> dict[str, str]:
    return {
        "cleanup.policy": "compact,delete",
        "retention.ms": _milliseconds(settings.slates_retention_seconds),
        # Compaction keeps a user's latest slate only; until then every decision can be read.
        "min.compaction.lag.ms": str(settings.slates_log_seconds * 1000),
    }


def _milliseconds(seconds: int) -> str:
    return str(seconds if seconds == FOR_EVER else seconds * 1000)


def _min_insync(settings: Settings) -> int:
    if settings.min_insync is not None:
        return settings.min_insync
    return 2 if settings.replication >= 3 else 1


async def create_topics(
    broker: Where, specs: Sequence[TopicSpec], *, timeout_seconds: float = 30.0
) -> tuple[str, ...]:
    """Create those topics that do not exist yet; an existing one is left as it is.

    Returns:
        The names that were created, when every broker can be written to and read from.

    Raises:
        BrokerUnreachableError: No broker answers.
        SetupError: A broker refuses a topic, or does not have it in time.
    """
    async with admin_client(broker) as admin:
        existing = await _existing(admin)
        wanted = [spec for spec in specs if spec.name not in existing]
        created = await _create(admin, wanted, broker) if wanted else ()
        await _wait_for_leaders(admin, specs, timeout_seconds)
        return created


async def describe(broker: Where, names: Iterable[str]) -> dict[str, TopicState]:
    """Partitions and effective configuration of those of `names` that exist.

    Raises:
        BrokerUnreachableError: No broker answers.
        SetupError: The configuration of one cannot be read.
    """
    async with admin_client(broker) as admin:
        existing = await _existing(admin)
        present = [name for name in names if name in existing]
        configs = await _configs(admin, present)
    return {
        name: TopicState(len(existing[name]), configs[name], _fewest_copies(existing[name]))
        for name in present
    }


def _fewest_copies(partitions: Sequence[Mapping[str, Any]]) -> int:
    return min((len(partition["replicas"]) for partition in partitions), default=0)


async def remove_topics(settings: Settings) -> None:
    """Remove every topic of these settings, inputs included, and the group.

    A static member stays in its group for a session timeout after its end; the group goes after that.
    """
    async with admin_client(connection(settings)) as admin:
        await admin.delete_topics([spec.name for spec in topic_specs(settings)])
        deadline = time.monotonic() + settings.session_timeout_seconds + 2.0
        # Nobody tells us when the last member is forgotten: this can only ask.
        while await _delete_group(admin, settings.app_id) == NON_EMPTY_GROUP:
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(POLL_SECONDS)


async def _delete_group(admin: AIOKafkaAdminClient, group: str) -> int:
    """Error code of the deletion, 0 for none."""
    try:
        coordinator = await admin.find_coordinator(group)
        # The admin client has no method for this.
        response = await admin._send_request(DeleteGroupsRequest([group]), coordinator)
    except KafkaError as error:
        return int(error.errno)
    return int(response.results[0][1])


@asynccontextmanager
async def admin_client(broker: Where) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started admin client.

    Raises:
        BrokerUnreachableError: No broker answers.
        BrokerRefusesError: One does, and does not let us in.
    """
    await knock(broker)
    admin = AIOKafkaAdminClient(**arguments(broker))
    try:
        await admin.start()
    except KafkaConnectionError as error:
        await admin.close()
        raise BrokerUnreachableError(str(broker), str(error)) from None
    try:
        yield admin
    finally:
        await admin.close()


async def _existing(admin: AIOKafkaAdminClient) -> dict[str, list[dict[str, Any]]]:
    """Partitions of every topic by name: asking for all of them is what never creates one."""
    topics = await admin.describe_topics()
    return {topic["topic"]: topic["partitions"] for topic in topics if not topic["error_code"]}


async def _create(admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec], broker: Where) -> tuple[str, ...]:
    answer = await admin.create_topics(
        [
            NewTopic(spec.name, spec.partitions, spec.replication, topic_configs=dict(spec.config))
            for spec in specs
        ]
    )
    errors = {name: (code, *text) for name, code, *text in answer.topic_errors}
    refused = defaultdict(list)
    for name, (code, *text) in errors.items():
        if code not in {0, ALREADY_EXISTS}:
            refused[(text and text[0]) or for_code(code).__name__].append(name)
    if refused:
        told = "; ".join(f"{', '.join(names)}: {text}" for text, names in refused.items())
        message = f"the broker at {broker} does not create the topics: {told}"
        raise SetupError(message)
    return tuple(name for name, error in errors.items() if error[0] == 0)


async def _wait_for_leaders(
    admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec], timeout_seconds: float
) -> None:
    """Wait until a new topic is known with its leaders; brokers learn of it one after the other.

    Each question goes to a random broker, so as many good answers in a row are asked for as there are
    brokers.
    """
    deadline = time.monotonic() + timeout_seconds
    brokers = len((await admin.describe_cluster())["brokers"])
    in_a_row = 0
    while in_a_row < brokers:
        existing = await _existing(admin)
        late = [spec.name for spec in specs if not _is_led(existing.get(spec.name, []))]
        in_a_row = 0 if late else in_a_row + 1
        if late:
            if time.monotonic() > deadline:
                message = f"topics {', '.join(late)} have no leader after {timeout_seconds:g} s"
                raise SetupError(message)
            await asyncio.sleep(POLL_SECONDS)


def _is_led(partitions: Sequence[Mapping[str, Any]]) -> bool:
    return bool(partitions) and all(p["leader"] >= 0 and not p["error_code"] for p in partitions)


async def _configs(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Configuration by topic."""
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found: dict[str, dict[str, str]] = {}
    for answer in await admin.describe_configs(resources):
        for code, text, _, name, entries in answer.resources:
            if code:
                message = f"cannot read the configuration of topic {name}: {text or for_code(code).__name__}"
                raise SetupError(message)
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found
