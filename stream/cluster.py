"""Everything about the cluster that a process needs, checked before it starts: access, topics, limits."""

import logging
from collections.abc import Iterable, Mapping
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from state.errors import SetupError
from stream.access import ROLES, AccessDenied, check_access
from stream.config import Settings
from stream.connection import connection
from stream.environment import env_name
from stream.topic_check import Problem, check_topics, topic_problems
from stream.topics import admin_client, topic_specs

log = logging.getLogger(__name__)

LIMITS: Final = (
    "transaction.max.timeout.ms",
    "group.min.session.timeout.ms",
    "group.max.session.timeout.ms",
)
"""What is looked at of a broker's own configuration."""


class BrokerLimits(SetupError):
    """The settings ask for what the brokers' configuration forbids.

    Args:
        problems: One line each, with what to do.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(("the brokers do not fit the settings:", *self.problems)))


async def check_cluster(settings: Settings, role: str) -> tuple[str, ...]:
    """Check what a process of this role needs.

    Brokers' limits are looked at for a worker only, and only where we may see them (DescribeConfigs on the
    cluster); the broker refuses what is beyond them anyway, later and in fewer words.

    Args:
        settings: Of the process.
        role: One of `stream.access.ROLES`.

    Returns:
        Risks that it can run with, a line each.

    Raises:
        BrokerUnreachableError: No broker answers.
        BrokerRefusesError: One does, and does not let us in.
        AccessDenied: ACLs do not allow all that is needed.
        TopicMismatch: Topics are missing or not as they must be.
        BrokerLimits: The settings are beyond what brokers allow.
    """
    there = connection(settings)
    async with admin_client(there) as admin:
        await check_access(admin, ROLES[role](settings), there.who)
        limits = await _limits(admin) if role == "worker" else {}
    risks = await check_topics(there, topic_specs(settings))
    if problems := list(beyond(settings, limits)):
        raise BrokerLimits(problems)
    return risks


async def cluster_problems(settings: Settings) -> list[Problem]:
    """Everything that a worker finds wrong, what stops it first.

    Where ACLs do not allow all that it needs, that is all that is told: the rest cannot be seen.

    Raises:
        BrokerUnreachableError: No broker answers.
        BrokerRefusesError: One does, and does not let us in.
    """
    there = connection(settings)
    async with admin_client(there) as admin:
        try:
            await check_access(admin, ROLES["worker"](settings), there.who)
        except AccessDenied as error:
            return [
                Problem(
                    f"not allowed: {need}; `python deploy/kafka/acls.py` prints what allows it", stops=True
                )
                for need in error.missing
            ]
        limits = await _limits(admin)
    found = [Problem(text, stops=True) for text in beyond(settings, limits)]
    return found + await topic_problems(there, topic_specs(settings))


def beyond(settings: Settings, limits: Mapping[str, int]) -> Iterable[str]:
    """What of the settings brokers with these limits refuse, one line each.

    Args:
        settings: Of a worker.
        limits: Milliseconds, by the names in `LIMITS`; those that are not known are left out.
    """
    transaction = int(settings.transaction_timeout_seconds * 1000)
    most = limits.get("transaction.max.timeout.ms", transaction)
    if settings.processing_guarantee == "exactly_once" and transaction > most:
        yield (
            f"{env_name('transaction_timeout_seconds')}: {settings.transaction_timeout_seconds:g} is beyond "
            f"the brokers' transaction.max.timeout.ms={most}: make it at most {most / 1000:g}"
        )
    session = int(settings.session_timeout_seconds * 1000)
    least = limits.get("group.min.session.timeout.ms", session)
    most = limits.get("group.max.session.timeout.ms", session)
    if not least <= session <= most:
        yield (
            f"{env_name('session_timeout_seconds')}: {settings.session_timeout_seconds:g} is not within the "
            f"brokers' group.min.session.timeout.ms={least} and group.max.session.timeout.ms={most}"
        )


async def _limits(admin: AIOKafkaAdminClient) -> dict[str, int]:
    """The limits of one broker; nothing where we may not see them."""
    node = admin._client.get_random_node()
    if node is None:
        return {}
    wanted = ConfigResource(ConfigResourceType.BROKER, str(node), configs=dict.fromkeys(LIMITS, ""))
    found = {}
    for answer in await admin.describe_configs([wanted]):
        for code, _, _, _, entries in answer.resources:
            if code:
                log.debug("brokers' limits are not looked at: that needs DescribeConfigs on the cluster")
            found.update({entry[0]: int(entry[1]) for entry in entries if entry[1] is not None})
    return found
