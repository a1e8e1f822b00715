"""What these credentials may do with topics, asked of the broker by the names of the topics.

`Metadata` in version 8 says it (KIP-430); aiokafka speaks up to version 5, so it is built here. Without an
authorizer everything is allowed.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

OPERATIONS: Final = {3: "Read", 4: "Write", 8: "Describe", 10: "DescribeConfigs"}
"""Kafka's numbers of the operations that Freshslate needs on topics."""
MISSING: Final = 3
"""Error code UNKNOWN_TOPIC_OR_PARTITION."""
HIDDEN: Final = 29
"""Error code TOPIC_AUTHORIZATION_FAILED: the topic may be there or not."""


class TopicFound(NamedTuple):
    """What a broker says of a topic that it was asked for."""

    partitions: int
    replicas: int
    """Copies of the partition that has the fewest."""
    operations: frozenset[str]
    """Of `OPERATIONS`, those that are allowed."""
    is_hidden: bool = False
    """Whether these credentials may not know of it; then nothing else is known."""


class _MetadataResponseV8(Response):  # type: ignore[misc]  # untyped base
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
                ("operations", Int32),
            ),
        ),
        ("cluster_operations", Int32),
    )


class _MetadataRequestV8(RequestStruct):  # type: ignore[misc]  # untyped base
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _MetadataResponseV8
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _RightsRequest(Request[_MetadataRequestV8]):  # type: ignore[misc]  # untyped base
    API_KEY = 3

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)

    def build(self, request_struct_class: type[Any]) -> Any:
        return request_struct_class(self._names, False, False, True)


async def topics_found(admin: AIOKafkaAdminClient, names: Iterable[str]) -> Mapping[str, TopicFound]:
    """Those of `names` that exist, or that these credentials may not know of.

    Raises:
        aiokafka.errors.KafkaError: The broker does not answer, or is older than Kafka 2.3.
    """
    answer = await admin._send_request(_RightsRequest(sorted(names)))
    found = {}
    for code, name, _, partitions, operations in answer.topics:
        if code == HIDDEN:
            found[name] = TopicFound(0, 0, frozenset(), is_hidden=True)
        elif code != MISSING:
            copies = [len(replicas) for *_, replicas, _, _ in partitions]
            found[name] = TopicFound(len(copies), min(copies, default=0), allowed(operations))
    return found


def allowed(bits: int) -> frozenset[str]:
    """Names of the operations in Kafka's bit field.

    Examples:
        >>> sorted(allowed(1 << 3 | 1 << 8))
        ['Describe', 'Read']
    """
    return frozenset(name for number, name in OPERATIONS.items() if bits >> number & 1)
