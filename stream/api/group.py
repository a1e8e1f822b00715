"""The workers' group, as the broker has it: who holds which partitions, and how far behind they are."""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError

from stream.config import Settings
from stream.connection import arguments, connection

FRESH_SECONDS: Final = 1.0
"""How old an answer may be: many may look at once."""
LOOK_SECONDS: Final = 5.0
"""How long a look may take."""


class PartitionRow(NamedTuple):
    """One partition of one input topic."""

    topic: str
    partition: int
    owner: str
    """Client of the worker that holds it; empty where nobody does."""
    lag: int
    """Records that are not committed yet."""


class Look(NamedTuple):
    """What there was."""

    state: str
    """Of the group: Stable, PreparingRebalance, CompletingRebalance, Empty, Dead; or why it is not known."""
    workers: list[str]
    partitions: list[PartitionRow]


class Group:
    """Looks when it is asked, with clients of its own.

    Args:
        settings: of the workers.
        now: a monotonic clock, seconds.
    """

    def __init__(self, settings: Settings, now: Callable[[], float]) -> None:
        self._settings = settings
        self._now = now
        self._lock = asyncio.Lock()
        self._clients: tuple[AIOKafkaAdminClient, AIOKafkaConsumer] | None = None
        self._latest: tuple[float, Look] | None = None

    async def look(self) -> Look:
        """Who holds what; a broker that does not answer is said so in `state`."""
        async with self._lock:
            if self._latest is None or self._now() - self._latest[0] > FRESH_SECONDS:
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        found = await self._look()
                except (KafkaError, OSError, TimeoutError) as error:
                    found = Look(f"not known: {type(error).__name__}", [], [])
                self._latest = (self._now(), found)
            return self._latest[1]

    async def close(self) -> None:
        """Let the clients go."""
        if self._clients is not None:
            admin, consumer = self._clients
            self._clients = None
            await consumer.stop()
            await admin.close()

    async def _look(self) -> Look:
        admin, consumer = await self._connected()
        (answer,) = await admin.describe_consumer_groups([self._settings.app_id])
        _, _, state, _, _, members, *_ = answer.groups[0]
        owners: dict[TopicPartition, str] = {}
        names = set()
        for member_id, client, _host, _metadata, assigned in members:
            names.add(name := worker_name(client, member_id))
            if assigned:
                held = ConsumerProtocolMemberAssignment.decode(assigned).partitions()
                owners |= dict.fromkeys(held, name)
        topics = self._settings.input_topics
        tps = [
            TopicPartition(topic, number) for topic in topics for number in range(self._settings.partitions)
        ]
        ends = await consumer.end_offsets(tps)
        committed = await admin.list_consumer_group_offsets(self._settings.app_id)
        starts = await consumer.beginning_offsets(tps)
        rows = []
        for tp in tps:
            done = committed[tp].offset if tp in committed else -1
            lag = ends[tp] - (done if done >= 0 else starts[tp])
            rows.append(PartitionRow(tp.topic, tp.partition, owners.get(tp, ""), max(0, lag)))
        return Look(str(state), sorted(names), rows)

    async def _connected(self) -> tuple[AIOKafkaAdminClient, AIOKafkaConsumer]:
        if self._clients is None:
            where = connection(self._settings)
            admin = AIOKafkaAdminClient(**arguments(where))
            consumer = AIOKafkaConsumer(
                **arguments(where), enable_auto_commit=False, isolation_level="read_committed"
            )
            await admin.start()
            await consumer.start()
            self._clients = (admin, consumer)
        return self._clients


def worker_name(client: str, member_id: str) -> str:
    """A name that tells workers apart: the end of the member's id."""
    return f"{client.partition('-')[0]} {member_id[-6:]}"
