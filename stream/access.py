"""What each part of Freshslate must be allowed by a cluster with ACLs, and what of that is missing.

One list: the worker checks it before it starts, `deploy/kafka/acls.py` makes ACLs of it, and
docs/security.md has it as a table.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import BrokerResponseError, GroupAuthorizationFailedError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from state.errors import SetupError
from stream.config import Settings
from stream.topic_names import TopicNames

TOPIC: Final = "topic"
GROUP: Final = "group"
TRANSACTIONAL_ID: Final = "transactional-id"
READ: Final = "Read"
WRITE: Final = "Write"
CREATE: Final = "Create"
DELETE: Final = "Delete"
DESCRIBE: Final = "Describe"
DESCRIBE_CONFIGS: Final = "DescribeConfigs"
OPERATIONS: Final[Mapping[str, int]] = {
    READ: 3,
    WRITE: 4,
    CREATE: 5,
    DELETE: 6,
    DESCRIBE: 8,
    DESCRIBE_CONFIGS: 10,
}
"""Kafka's number of each (`AclOperation`)."""
_TOPIC_REFUSED: Final = 29
_REFUSALS: Final = frozenset({GroupAuthorizationFailedError.errno, 53})
"""Also TRANSACTIONAL_ID_AUTHORIZATION_FAILED."""
_NOT_TOLD: Final = -(1 << 31)


class Need(NamedTuple):
    """One thing that must be allowed."""

    kind: str
    """`topic`, `group` or `transactional-id`, as kafka-acls writes it."""
    name: str
    operation: str
    is_prefix: bool = False
    """Whether every name that begins so is meant."""

    def __str__(self) -> str:
        return f"{self.operation} on {self.kind} {self.name}{'*' if self.is_prefix else ''}"


class AccessDenied(SetupError):
    """ACLs do not allow what is needed.

    Args:
        who: We are, for people.
        missing: What is not allowed.
    """

    def __init__(self, who: str, missing: Sequence[Need]) -> None:
        super().__init__(who, missing)
        self.who = who
        self.missing = tuple(missing)

    def __str__(self) -> str:
        lines = "\n".join(f"  - {need}" for need in self.missing)
        return (
            f"the broker does not allow {self.who or 'us, who are nobody to it,'} what is needed:\n{lines}\n"
            "`python deploy/kafka/acls.py` prints the commands that allow it, or applies them "
            "(docs/security.md)."
        )


def worker_needs(settings: Settings) -> list[Need]:
    """Of a worker, `freshslate worker`, and of `freshslate topics check`."""
    read = [*settings.input_topics, settings.items_topic, settings.rankers_topic]
    both = [settings.rewards_topic, settings.deltas_topic, settings.profiles_topic]
    written = [settings.slates_topic, *both, settings.dlq_topic]
    if settings.processing_guarantee == "at_least_once":
        # What was published by a cycle that never ended is looked up and repeated.
        read.append(settings.slates_topic)
    if settings.canary_seconds:
        written.append(settings.input_topics[0])  # its own heartbeats
    needs = [Need(TOPIC, name, READ) for name in (*read, *both)]
    needs += [Need(TOPIC, name, WRITE) for name in written]
    needs += _configs(settings)
    needs.append(Need(GROUP, settings.app_id, READ))
    if settings.processing_guarantee == "exactly_once":
        needs.append(Need(TRANSACTIONAL_ID, f"{settings.app_id}-", WRITE, is_prefix=True))
    return needs


def monitor_needs(settings: Settings) -> list[Need]:
    """Of `freshslate monitor`, which joins no group and writes nothing."""
    topics = (settings.slates_topic, settings.rewards_topic, settings.deltas_topic)
    seen = [name for name in _all(settings) if name not in topics]
    return [
        *(Need(TOPIC, name, READ) for name in topics),
        *(Need(TOPIC, name, DESCRIBE) for name in seen),
        *_configs(settings),
    ]


def setup_needs(settings: Settings) -> list[Need]:
    """Of `freshslate topics create`."""
    return [Need(TOPIC, name, what) for name in _all(settings) for what in (CREATE, DESCRIBE)]


def shop_needs(settings: Settings) -> list[Need]:
    """Of a shop: it sends events and items, and reads slates with a consumer group of its own."""
    written = (*settings.input_topics, settings.items_topic)
    return [
        *(Need(TOPIC, name, WRITE) for name in written),
        *(Need(TOPIC, name, DESCRIBE_CONFIGS) for name in written),
        Need(TOPIC, settings.slates_topic, READ),
        Need(GROUP, f"{settings.app_id}-shop", READ, is_prefix=True),
    ]


def analyst_needs(settings: Settings) -> list[Need]:
    """Of the commands that read: inspect, audit, export, ope, experiment, replay-state.

    To see whether workers run, the group as well.
    """
    return [
        *(Need(TOPIC, name, READ) for name in _all(settings)),
        *_configs(settings),
        Need(GROUP, settings.app_id, DESCRIBE),
    ]


def api_needs(settings: Settings) -> list[Need]:
    """Of `freshslate api`: what an operator does, and items to be written."""
    return [
        *operator_needs(settings),
        Need(TOPIC, settings.items_topic, WRITE),
    ]


def operator_needs(settings: Settings) -> list[Need]:
    """Of `freshslate dlq` and `freshslate forget`: what an analyst reads, and a transaction of their own."""
    written = (*settings.input_topics, settings.dlq_topic)
    return [
        *analyst_needs(settings),
        *(Need(TOPIC, name, WRITE) for name in written),
        Need(TRANSACTIONAL_ID, f"{settings.app_id}-dlq", WRITE),
    ]


def mover_needs(settings: Settings) -> list[Need]:
    """Of `freshslate topics move`, of the new topics; of the old ones it is an analyst who sees the group."""
    written = [name for name in settings.own_topics if name != settings.dlq_topic]
    return [
        *setup_needs(settings),
        *analyst_needs(settings),
        *(Need(TOPIC, name, WRITE) for name in written),
    ]


ROLES: Final[Mapping[str, Callable[[Settings], list[Need]]]] = {
    "worker": worker_needs,
    "monitor": monitor_needs,
    "setup": setup_needs,
    "shop": shop_needs,
    "analyst": analyst_needs,
    "api": api_needs,
    "operator": operator_needs,
    "mover": mover_needs,
}
"""By the name that `deploy/kafka/acls.py` and docs/security.md give it."""


def _all(settings: TopicNames) -> Sequence[str]:
    return (*settings.input_topics, *settings.own_topics)


def _configs(settings: TopicNames) -> list[Need]:
    return [Need(TOPIC, name, DESCRIBE_CONFIGS) for name in _all(settings)]


async def check_access(admin: AIOKafkaAdminClient, needs: Iterable[Need], who: str = "") -> None:
    """Ask the broker what we may do, and compare.

    Of groups and transactional ids it says only whether we may see them, which Read and Write include.
    Topics that do not exist count as allowed: that they are missing is told elsewhere.

    Raises:
        AccessDenied: with all that is missing.
    """
    needs = list(needs)
    topics = sorted({need.name for need in needs if need.kind == TOPIC})
    allowed = await _allowed(admin, topics)
    missing = [
        need
        for need in needs
        if need.kind == TOPIC and not allowed[need.name] & (1 << OPERATIONS[need.operation])
    ]
    for need in needs:
        if need.kind != TOPIC and not await _is_visible(admin, need):
            missing.append(need)
    if missing:
        raise AccessDenied(who, missing)


async def _allowed(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> Mapping[str, int]:
    """Bits of the operations that are allowed, by topic."""
    # The admin client has no method for this.
    answer = await admin._send_request(_AllowedRequest(topics))
    allowed = {}
    for code, name, _, _, operations in answer.topics:
        if code == _TOPIC_REFUSED:
            # It may not be seen, so not read or written either; of its configuration nothing is known.
            allowed[name] = 1 << OPERATIONS[DESCRIBE_CONFIGS]
        else:
            allowed[name] = -1 if code or operations == _NOT_TOLD else operations
    return allowed


async def _is_visible(admin: AIOKafkaAdminClient, need: Need) -> bool:
    name = f"{need.name}check" if need.is_prefix else need.name
    try:
        await admin.find_coordinator(name, int(need.kind == TRANSACTIONAL_ID))
    except BrokerResponseError as error:
        return error.errno not in _REFUSALS
    return True


class _AllowedResponseV8(Response):  # type: ignore[misc]  # untyped base
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(("node_id", Int32), ("host", String("utf-8")), ("port", Int32), ("rack", String("utf-8"))),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _AllowedRequestV8(RequestStruct):  # type: ignore[misc]  # untyped base
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _AllowedResponseV8
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _AllowedRequest(Request[_AllowedRequestV8]):  # type: ignore[misc]  # untyped base
    """Metadata, version 8: the first that says what we may do with a topic (KIP-430)."""

    API_KEY = 3

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: type[Any]) -> Any:
        # No topic is made by asking for it.
        return request_struct_class(self._topics, False, False, True)
