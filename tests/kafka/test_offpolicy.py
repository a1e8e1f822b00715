"""A decision log on a real broker, judged from its topics."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from aiokafka import AIOKafkaProducer
from msgspec.structs import replace

from state.evaluation.evidence import OffPolicyError, gather
from state.policy.plan import Plan
from state.policy.softmax import Softmax
from state.policy.uniform import Uniform
from state.posterior.beliefs import PRIOR
from stream.beliefs import PastFold, believed_before
from stream.codecs import encode_delta, encode_reward, encode_slate
from stream.config import Settings
from stream.followed import learning_config
from stream.offpolicy import Asked, Window, evaluate_policy, read_topics
from stream.times import now_ms
from tests.kafka.harness import shop
from tests.kafka.test_commands import Shell
from tests.state.evaluation.logged import DAY, rewards_of, slates_of, world
from tests.state.posterior import made

WARM, RANDOM, SHARP = Softmax(temperature=0.3), Uniform(), Softmax(temperature=0.2)
MINUTE = 60_000


async def test_a_policy_is_judged_from_the_topics(broker: str, prefix: str, tmp_path: Path) -> None:
    log = world(600, [(WARM, 0.8), (RANDOM, 0.2)])
    end = now_ms() - 10 * MINUTE
    # All of it in the last hours, and one more slate whose feedback may still come.
    moved = [replace(each, time=end - (DAY + 86_400_000 - each.time) // 24) for each in slates_of(log)]
    rewards = [
        replace(each, time=moved[int(each.slate_id[1:])].time + 1_000) for each in rewards_of(log, moved)
    ]
    fresh = replace(moved[0], slate_id="fresh", time=now_ms() - 1_000)
    async with shop(broker, prefix, tmp_path) as it:
        async with AIOKafkaProducer(bootstrap_servers=broker, linger_ms=5) as producer:
            for slate in (*moved, moved[3], fresh):
                await producer.send(it.settings.slates_topic, encode_slate(slate), key=slate.user_id.encode())
            for reward in rewards:
                key = reward.user_id.encode()
                await producer.send(it.settings.rewards_topic, encode_reward(reward), key=key)
        window = Window(end - 86_400_000, now_ms(), 5 * MINUTE)
        read = await read_topics(it.settings, window, lambda *_: None)
    assert read.decisions.rows == 600
    assert read.left_out == {"repeated": 1, "immature": 1}
    assert read.decisions.rewards.sum() == log.rewards.sum()
    found = evaluate_policy(read, Plan([(SHARP, 1.0)]), Asked(), known=[WARM, RANDOM])
    wanted = gather(log, SHARP, arms=[WARM, RANDOM]).terms["snips"].value
    assert found.whole.estimates["snips"].value == pytest.approx(wanted, rel=1e-5)
    assert np.isfinite(found.whole.logged.value)


async def teach(producer: AIOKafkaProducer, settings: Settings, shown: list[made.Shown]) -> None:
    """Exposures and what they earned, written at their times."""
    for each in shown:
        value = encode_delta(made.delta([each]))
        await producer.send(settings.deltas_topic, value, timestamp_ms=each.time)
        for reward in made.rewards([each]):
            value = encode_reward(reward)
            await producer.send(settings.rewards_topic, value, timestamp_ms=reward.time)


def before(days: int) -> list[made.Shown]:
    """Exposures of five hours, so many days ago."""
    shown = made.log(4, count=900, minutes=300)
    shift = now_ms() - days * 24 * 60 * MINUTE - shown[0].time
    return [each._replace(time=each.time + shift) for each in shown]


async def test_what_was_learned_before_a_time_is_folded_from_the_topics(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    shown = before(9)
    until = shown[600].time
    async with shop(broker, prefix, tmp_path) as it:
        async with AIOKafkaProducer(bootstrap_servers=broker, linger_ms=5) as producer:
            await teach(producer, it.settings, shown)
        believed = await believed_before(it.settings, until)
        nothing = await believed_before(it.settings, shown[0].time)
    wanted = PastFold(learning_config(it.settings))
    known = [each for each in shown if each.time < until]
    wanted.learn([made.delta([each]) for each in known], [each.time for each in known])
    earned = [each for each in made.rewards(shown) if each.time < until]
    wanted.reward(earned, [each.time for each in earned])
    assert believed.rewards == len(earned) > 100
    assert believed.exposures == pytest.approx(wanted.believed().exposures)
    assert 300 < believed.exposures < 600
    mean = wanted.believed().beliefs.by_scenario[""].mean
    np.testing.assert_allclose(believed.beliefs.by_scenario[""].mean, mean, rtol=1e-3, atol=1e-4)
    assert nothing.beliefs == PRIOR


async def test_the_command_judges_a_policy_that_learns(broker: str, prefix: str, tmp_path: Path) -> None:
    log, start = world(600, [(WARM, 1.0)]), now_ms() - 60 * MINUTE
    slates = [replace(each, time=start + n) for n, each in enumerate(slates_of(log))]
    rewards = [
        replace(each, time=slates[int(each.slate_id[1:])].time + 1_000) for each in rewards_of(log, slates)
    ]
    said = tmp_path / "said.json"
    async with shop(broker, prefix, tmp_path) as it:
        async with AIOKafkaProducer(bootstrap_servers=broker, linger_ms=5) as producer:
            await teach(producer, it.settings, before(9))
            for slate in slates:
                await producer.send(it.settings.slates_topic, encode_slate(slate), key=slate.user_id.encode())
            for reward in rewards:
                await producer.send(it.settings.rewards_topic, encode_reward(reward))
        options = ["--policy", "linear_ts:epsilon=0.9", "--from", "2h", "--mature", "5m", "--positions", "1"]
        ran = await asyncio.to_thread(
            Shell(broker, prefix, tmp_path).run, "ope", *options, "--json", str(said)
        )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "are judged as they would have begun" in " ".join(ran.stdout.split())
    written = json.loads(said.read_text())
    assert written["slates"] == 600
    assert written["believed"]["exposures"] > 300
    assert written["whole"]["estimates"]["dr"]["value"] is not None


async def test_topics_that_are_not_there_are_named(broker: str, prefix: str, tmp_path: Path) -> None:
    async with shop(broker, prefix, tmp_path) as it:
        settings = it.settings.model_copy(update={"topic_prefix": f"{prefix}elsewhere."})
        with pytest.raises(OffPolicyError, match="FRESHSLATE_TOPIC_PREFIX"):
            await read_topics(settings, Window(0, 1, 1), lambda *_: None)
