"""The control group on a real broker: who gets random slates, and what the log says came of it."""

import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiokafka import AIOKafkaProducer

from state.event import state_key
from state.slate import Slate, SlateItem, Trigger
from stream.codecs import decode_slate, encode_slate
from stream.config import Settings
from stream.experiment import ExperimentError, compare_groups
from stream.reading import read_topic
from stream.worker import shares
from tests.kafka.harness import Shop, clicks, send, shop

USERS = 300


def slate(user: str, slate_id: str, policy: str, time: int) -> Slate:
    return Slate(
        slate_id=slate_id,
        user_id=user,
        tenant="default",
        scenario="feed",
        time=time,
        trigger=Trigger("e", time, "events", 0, 0),
        policy=policy,
        policy_version="v",
        seed=1,
        candidates=1,
        candidates_hash="",
        items=(SlateItem("i1", 1, 1.0, 1.0, ()),),
    )


async def publish(it: Shop, slates: Iterable[Slate]) -> None:
    """Send slates as a worker would."""
    async with AIOKafkaProducer(bootstrap_servers=it.settings.broker, linger_ms=5) as producer:
        for each in slates:
            await producer.send(it.settings.slates_topic, encode_slate(each), key=each.user_id.encode())


def policy_of(number: int) -> str:
    return "random" if number % 3 == 0 else "softmax"


def event(user: int, kind: str, name: str, time: int, **fields: Any) -> dict[str, Any]:
    return {"event_id": name, "type": kind, "user_id": f"u{user}", "item_id": "i1", "time": time, **fields}


async def test_users_of_both_groups_are_compared_from_the_topics(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    now = int(time.time() * 1000) - 60_000
    async with shop(broker, prefix, tmp_path) as it:
        await publish(it, (slate(f"u{n}", f"s{n}", policy_of(n), now) for n in range(USERS)))
        events = []
        for n in range(USERS):
            events.append(event(n, "impression", f"{n}-seen", now, slate_id=f"s{n}"))
            # Every second user of learned slates clicks, every fourth of random ones.
            if n % (4 if policy_of(n) == "random" else 2) == 0:
                events.append(event(n, "click", f"{n}-click", now + 1, slate_id=f"s{n}"))
                events.append(event(n, "purchase", f"{n}-buy", now + 2, value=10.0, currency="EUR"))
        events.append(event(0, "nonsense", "bad", now))
        await send(it, events)
        found = await compare_groups(it.settings)
        later = await compare_groups(it.settings, since=now + 2)
        nothing = await compare_groups(it.settings, until=now)
    assert (found.learned_users, found.random_users, found.mixed_users) == (200, 100, 0)
    assert (found.ctr.learned, found.ctr.random) == (0.5, 0.25)
    assert found.ctr.lift == pytest.approx(1.0)
    assert found.ctr.lift_ci95 is not None
    assert found.ctr.lift_ci95[0] > 0
    assert (found.conversion.learned, found.revenue_per_session.random) == (0.5, 2.5)
    assert found.currencies == ("EUR",)
    assert (later.conversion.learned, later.learned_users, later.random_users) == (1.0, 100, 25)
    assert (nothing.learned_users, nothing.unassigned_users) == (0, 0)


async def test_impressions_and_clicks_of_two_topics_are_joined_however_long_the_log(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    now = int(time.time() * 1000) - 3_600_000
    count = 200
    async with shop(broker, prefix, tmp_path, inputs=("impressions", "clicks")) as it:
        await publish(it, (slate(f"u{n}", "s", policy_of(n), now) for n in range(3)))
        async with AIOKafkaProducer(bootstrap_servers=broker, linger_ms=5) as producer:
            for n in range(count):
                for user in range(3):
                    for topic, offset in (("impressions", 0), ("clicks", 1)):
                        value = (
                            f'{{"user_id": "u{user}", "event_id": "{topic}-{n}", "item_id": "i1",'
                            f' "slate_id": "s{n}"}}'
                        )
                        stamp = now + 1000 * n + offset
                        await producer.send(
                            prefix + topic, value.encode(), partition=user % 2, timestamp_ms=stamp
                        )
        found = await compare_groups(it.settings)
    assert (found.ctr.learned, found.ctr.random) == (1.0, 1.0)
    assert (found.learned_users, found.random_users) == (2, 1)


async def test_a_worker_gives_its_share_of_users_uniformly_random_slates(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path, random_share=0.5) as it:
        worker = it.start()
        await it.started()
        await it.settled(await send(it, clicks(4_000)))
        slates = [
            decode_slate(record.value or b"") async for record in read_topic(broker, it.settings.slates_topic)
        ]
        found = await compare_groups(it.settings)
        assert (await it.audit()).is_clean
        assert worker.poll() is None
    expected = shares(it.settings)
    policies = defaultdict(set)
    for each in slates:
        policies[state_key(each.tenant, each.user_id)].add(each.policy)
        if each.policy == "random":
            wanted = [np.float32(1 / (each.candidates - depth)) for depth in range(len(each.items))]
            assert [item.propensity for item in each.items] == wanted
    assert all(names == {expected.policy_of(user).name} for user, names in policies.items())
    random = sum(names == {"random"} for names in policies.values())
    assert abs(random - len(policies) / 2) < 4 * (len(policies) / 4) ** 0.5
    assert {each.policy for each in slates} == {"random", "softmax"}
    assert (found.random_users, found.mixed_users) == (random, 0)
    assert found.learned_users == len(policies) - random
    assert found.ctr_per == "slates"
    assert found.unnamed_clicks > 0


async def test_topics_that_are_not_there_are_named(broker: str, prefix: str, tmp_path: Path) -> None:
    settings = Settings(broker=broker, topic_prefix=prefix)
    with pytest.raises(ExperimentError, match=rf"there is no topic {prefix}slates or {prefix}events at"):
        await compare_groups(settings)
