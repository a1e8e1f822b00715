"""What one worker learns, all workers use."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.partitioner import DefaultPartitioner

from state.posterior.posterior import Posterior
from state.retrieval.config import ModelConfig
from stream.codecs import encode_delta, encode_reward
from stream.followed import followed_topics, learning_config
from stream.model_audit import posterior_differences
from stream.replica import Replica
from stream.worker import SNAPSHOT
from tests.kafka.harness import PARTITIONS, Shop, clicks, read_json, send, shop, until
from tests.state.posterior.made import Shown, delta, log, rewards


def user_in(partition: int, name: str) -> str:
    """A user whose events go to this partition."""
    choose, numbers = DefaultPartitioner(), list(range(PARTITIONS))
    return next(
        user
        for user in (f"{name}{n}" for n in range(1000))
        if choose(user.encode(), numbers, numbers) == partition
    )


def click(user: str, item: str) -> dict[str, Any]:
    return {"type": "click", "user_id": user, "item_id": item}


async def last_slate(it: Shop, user: str, item: str) -> dict[str, Any]:
    """The slate that answers a click sent now."""
    event_id = f"{user}-{item}-{time.monotonic_ns()}"
    done = await it.processed()
    await send(it, [click(user, item) | {"event_id": event_id}])
    await it.settled(done + 1)
    slates = await read_json(it, it.settings.slates_topic)
    return next(slate for slate in slates if slate["trigger"]["event_id"] == event_id)


def partitions_of(it: Shop, worker: Any) -> set[int]:
    """Partitions a worker says it opened last."""
    lines = [line for line in it.log(worker).splitlines() if "opened partitions" in line]
    return {int(n) for n in lines[-1].split("[")[-1].split("]")[0].split(",")}


async def test_a_click_in_one_worker_changes_what_the_other_retrieves(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path) as it:
        first, second = it.start(), it.start()
        await it.started()
        await until(
            lambda: len(partitions_of(it, first)) == len(partitions_of(it, second)) == PARTITIONS // 2,
            30,
            it.logs,
        )
        here = user_in(min(partitions_of(it, first)), "ada")
        there = user_in(min(partitions_of(it, second)), "bob")
        before = await last_slate(it, there, "tent")
        assert "stove" not in {item["item_id"] for item in before["items"]}
        await last_slate(it, here, "tent")
        await last_slate(it, here, "stove")
        after = await last_slate(it, there, "tent")
        assert after["items"][0]["item_id"] == "stove"
        assert "session_knn" in {source["name"] for source in after["items"][0]["sources"]}


async def test_a_restarted_replica_reads_its_snapshot_and_the_tail(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path, snapshot_seconds=1) as it:
        worker = it.start()
        await it.started()
        await send(it, clicks(2_000))
        await it.settled(2_000)
        snapshot = it.settings.data_dir / it.settings.app_id / "worker-0" / SNAPSHOT
        await until(snapshot.exists, 20, it.logs)
        worker.kill()
        worker.wait()
        known = {
            "topics": followed_topics(it.settings),
            "config": ModelConfig(),
            "learning": learning_config(it.settings),
            "snapshot_seconds": 60.0,
        }
        continued = await caught_up(Replica(broker, snapshot=snapshot, **known))
        fresh = await caught_up(Replica(broker, snapshot=tmp_path / "none", **known))
        assert continued.models.n_sessions == fresh.models.n_sessions > 100
        assert continued.models.n_items == fresh.models.n_items
        assert continued.offsets == fresh.offsets


async def give_feedback(it: Shop, shown: Sequence[Shown]) -> None:
    """Exposures and rewards onto their topics, each stamped with the time at which it was known."""
    async with AIOKafkaProducer(bootstrap_servers=it.settings.broker, linger_ms=5) as producer:
        for n in range(0, len(shown), 10):
            some = shown[n : n + 10]
            await producer.send(
                it.settings.deltas_topic,
                encode_delta(delta(some, n // 10 % PARTITIONS)),
                partition=n // 10 % PARTITIONS,
                timestamp_ms=some[-1].time,
            )
        for n, each in enumerate(sorted(rewards(shown), key=lambda reward: reward.time)):
            await producer.send(
                it.settings.rewards_topic,
                encode_reward(each),
                partition=n % PARTITIONS,
                timestamp_ms=each.time,
            )


async def test_beliefs_are_the_fold_of_feedback_also_after_a_restart(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    shown = log(2, count=600, minutes=400)
    async with shop(
        broker, prefix, tmp_path, deltas_retention_seconds=-1, rewards_retention_seconds=-1
    ) as it:
        await give_feedback(it, shown[:300])
        known = {
            "topics": followed_topics(it.settings),
            "config": ModelConfig(),
            "learning": learning_config(it.settings),
            "snapshot_seconds": 60.0,
        }
        first = await caught_up(Replica(broker, snapshot=tmp_path / "models.npz", **known))
        await first.save()
        await give_feedback(it, shown[300:])
        continued = await caught_up(Replica(broker, snapshot=tmp_path / "models.npz", **known))
        fresh = await caught_up(Replica(broker, snapshot=tmp_path / "none", **known))
        expected = Posterior(learning_config(it.settings))
        expected.learn([delta(shown)])
        expected.reward(rewards(shown))
        for replica in (continued, fresh):
            assert posterior_differences(replica.posterior, expected) == []
            assert replica.beliefs.version == expected.matured > first.beliefs.version
        assert continued.folded[it.settings.rewards_topic] == len(rewards(shown[300:]))


async def test_a_start_without_a_snapshot_reads_no_rewards_of_before_the_deltas_that_are_left(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    shown = log(3, count=600, minutes=400)
    async with shop(
        broker, prefix, tmp_path, deltas_retention_seconds=-1, rewards_retention_seconds=-1
    ) as it:
        await give_feedback(it, shown)
        gone = {
            TopicPartition(it.settings.deltas_topic, number): RecordsToDelete(before_offset=10)
            for number in range(PARTITIONS)
        }
        admin = AIOKafkaAdminClient(bootstrap_servers=broker)
        await admin.start()
        try:
            await admin.delete_records(gone)
        finally:
            await admin.close()
        replica = await caught_up(
            Replica(
                broker,
                topics=followed_topics(it.settings),
                config=ModelConfig(),
                learning=learning_config(it.settings),
                snapshot=tmp_path / "none",
                snapshot_seconds=60.0,
            )
        )
        since = shown[409].time - 60_000  # the earliest delta that is left holds the ten up to this one
        answers = sorted(each.time for each in rewards(shown))
        assert replica.folded[it.settings.rewards_topic] == sum(time >= since for time in answers)
        assert 0 < sum(time >= since for time in answers) < len(answers)


async def caught_up(replica: Replica) -> Replica:
    """Run a replica until it has read what there is."""
    import asyncio
    import contextlib

    task = asyncio.create_task(replica.run())
    await asyncio.wait_for(replica.caught_up.wait(), 30)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return replica
