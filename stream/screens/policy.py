"""A policy file, for people: who is served by what."""

from typing import Any

from rich.console import Console
from rich.table import Table

from state.policy.greedy import Greedy
from state.policy.learning import learns
from state.policy.plan import Plan


def print_plan(console: Console, plan: Plan) -> None:
    """Print a line for each arm, and what works but is not wise."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("scenario", "policy", "version", "share", "goes by"):
        table.add_column(title, justify="right" if title == "share" else "left")
    for scenario, arms in plan.arms.items():
        for policy, share in arms:
            by = "what was learned" if learns(policy) else "scores"
            name = scenario or ("all" if len(plan.arms) == 1 else "all others")
            table.add_row(name, policy.name, policy.version, f"{share:.2%}", by)
    console.print(table, highlight=False)
    console.print(f"version {plan.version}, users divided by the salt {plan.salt!r}", highlight=False)
    for line in advice(plan):
        console.print(f"note: {line}", highlight=False, soft_wrap=True)


def advice(plan: Plan) -> list[str]:
    """What works but is not wise, a line each."""
    return [
        f"{scenario or 'all others'}: greedy serves everybody, so its log can judge no other policy"
        for scenario, arms in plan.arms.items()
        if all(policy.name == Greedy.name for policy, share in arms if share > 0.0)
    ]


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON has it; the scenario of the arms for all others is empty."""
    return {
        "version": plan.version,
        "salt": plan.salt,
        "arms": [
            {"scenario": scenario, "policy": policy.name, "version": policy.version, "share": share}
            for scenario, arms in plan.arms.items()
            for policy, share in arms
        ],
        "notes": advice(plan),
    }
