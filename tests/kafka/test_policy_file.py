"""Policies from a file in real workers: in force from the start, changed without a restart, nothing lost."""

from collections import Counter
from pathlib import Path

from state.event import state_key
from state.policy.plan import Plan
from stream.policy_file import load_plan
from tests.kafka.harness import clicks, read_json, send, shop, until

FIRST = """
[[arm]]
policy = "linear_ts"
share = 0.7
[[arm]]
policy = "softmax"
share = 0.3
"""
SECOND = FIRST.replace("linear_ts", "source_mix").replace("softmax", "squarecb")


def served_as(plan: Plan, slate: dict[str, str]) -> bool:
    """Whether the plan gives this slate's user the policy that drew it."""
    policy = plan.policy_of(state_key(slate["tenant"], slate["user_id"]), slate["scenario"])
    return (policy.name, policy.version) == (slate["policy"], slate["policy_version"])


async def test_workers_follow_a_changed_file_and_refuse_a_wrong_one(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    policies = tmp_path / "policy.toml"
    policies.write_text(FIRST)
    first = load_plan(policies)
    async with shop(broker, prefix, tmp_path, policy_file=policies, log_candidates=0.5) as it:
        for _ in range(2):
            it.start()
        await it.started()
        sent = await send(it, clicks(2_000), rate=1_000)
        await it.settled(sent)
        before = await read_json(it, it.settings.slates_topic)
        policies.write_text(SECOND)
        second = load_plan(policies)
        await until(lambda: it.logs().count("are in force") >= 4, 60, it.logs)
        sent += await send(it, clicks(2_000, seed=2), rate=1_000)
        policies.write_text(SECOND.replace("0.3", "0.4"))
        await until(
            lambda: it.logs().count("the shares sum to 1.1; they must sum to 1; version") >= 2, 30, it.logs
        )
        sent += await send(it, clicks(1_000, seed=3))
        await it.settled(sent)
        slates = await read_json(it, it.settings.slates_topic)
        assert (await it.audit()).is_clean
    assert before
    assert all(served_as(first, slate) for slate in before)
    assert all(served_as(first, slate) or served_as(second, slate) for slate in slates)
    drawn = Counter(slate["policy"] for slate in slates)
    assert min(drawn[name] for name in ("linear_ts", "softmax", "source_mix", "squarecb")) > 100
    logged = sum("pool" in slate for slate in slates) / len(slates)
    assert 0.4 < logged < 0.6
    for slate in slates:
        learns = slate["policy"] in {"linear_ts", "source_mix"}
        assert all(("expected" in item) == learns for item in slate["items"])
