"""Are off-policy estimates right? Against a world whose truth is known, without Kafka.

`python -m benchmarks.offpolicy --help`; what the numbers mean: docs/evaluation.md.

- coverage: a policy judged from logs of many seeds: bias, error, how often 95 % intervals hold the truth.
- ranking: several policies judged from one log, then each played itself.
- speed: slates a second that are weighed.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import msgspec
import numpy as np
from rich.console import Console
from rich.progress import track

from benchmarks.slate_world import moments, play, value_of
from state.evaluation.estimators.slates import independent, standard
from state.evaluation.estimators.terms import Terms, delta_interval
from state.evaluation.evidence import Evidence, gather
from state.evaluation.offpolicy import MAIN, judge
from state.evaluation.probabilities import probabilities
from state.policy.base import Policy
from state.policy.epsilon_greedy import EpsilonGreedy
from state.policy.softmax import Softmax
from state.policy.uniform import Uniform

POSITIONS: Final = 5
ARMS: Final[list[tuple[Policy, float]]] = [(Softmax(temperature=0.3), 0.8), (Uniform(), 0.2)]
"""The logged policies."""
TARGETS: Final[dict[str, Policy]] = {
    "softmax 0.2": Softmax(temperature=0.2),
    "softmax 0.6": Softmax(temperature=0.6),
}
"""What the coverage study judges: one more and one less greedy than the log."""
CANDIDATES: Final[dict[str, Policy]] = {
    **{f"softmax {t}": Softmax(temperature=t) for t in (0.15, 0.2, 0.25, 0.4, 0.6, 1.0)},
    "epsilon_greedy 0.6": EpsilonGreedy(epsilon=0.6),
    "random": Uniform(),
}
"""What the ranking study judges."""
ROUNDS: Final = 200
"""Bootstrap draws of the coverage study."""
WORLD_SEED: Final = 20_000
TRUTH_SLATES: Final = 2_000_000
OWN_SLATES: Final = 400_000
"""Slates that each candidate of the ranking plays itself."""
CHUNK: Final = 100_000


def true_value(policy: Policy, slates: int) -> float:
    """The policy's value in the world, from slates that no log has seen."""
    rng = np.random.default_rng(WORLD_SEED)
    parts = [min(CHUNK, slates - first) for first in range(0, slates, CHUNK)]
    return float(
        np.average([value_of(moments(part, rng), policy, POSITIONS, rng) for part in parts], weights=parts)
    )


def evidence_of(slates: int, policy: Policy, seed: int) -> Evidence:
    """A log of this seed, and what it says of the policy."""
    rng = np.random.default_rng(seed)
    log = play(moments(slates, rng), ARMS, POSITIONS, rng)
    return gather(log, policy, arms=[arm for arm, _ in ARMS], seed=seed)


def further(evidence: Evidence) -> dict[str, Terms]:
    """Estimators that `freshslate ope` does not print: weights that assume too little or too much."""
    decisions = evidence.decisions
    ratios = np.array(evidence.weights)
    ratios[:, 1:] /= evidence.weights[:, :-1]
    return {
        "standard IPS": standard(decisions.rewards, ratios),
        "independent, given the items above": independent(decisions.rewards, ratios),
    }


def coverage(name: str, policy: Policy, slates: int, seeds: int, truth_slates: int) -> list[dict[str, Any]]:
    """A row for each estimator."""
    truth = true_value(policy, truth_slates)
    found: dict[str, list[tuple[float, dict[str, tuple[float, float] | None]]]] = {}
    refused: dict[str, int] = {}
    for seed in track(range(seeds), f"coverage, {name}", console=Console(stderr=True)):
        evidence = evidence_of(slates, policy, seed)
        users = evidence.decisions.users
        for its, estimate in judge(evidence, seed=seed, rounds=ROUNDS).estimates.items():
            if estimate.value is None:
                refused[its] = refused.get(its, 0) + 1
                continue
            intervals = {
                "delta": estimate.ci95,
                "bootstrap": estimate.bootstrap_ci95,
                "bernstein": estimate.bernstein_ci95,
            }
            found.setdefault(its, []).append((estimate.value, intervals))
        for its, terms in further(evidence).items():
            found.setdefault(its, []).append((terms.value, {"delta": delta_interval(terms, users)}))
    rows = [_row(its, estimates, truth) for its, estimates in found.items()]
    return [{"policy": name, **row, "refused": refused.get(row["estimator"], 0)} for row in rows] + [
        {"policy": name, "estimator": its, "seeds": 0, "truth": truth, "refused": count}
        for its, count in refused.items()
        if its not in found
    ]


def _row(
    name: str, estimates: list[tuple[float, dict[str, tuple[float, float] | None]]], truth: float
) -> dict[str, Any]:
    values = np.array([value for value, _ in estimates])
    row: dict[str, Any] = {
        "estimator": name,
        "seeds": len(values),
        "truth": truth,
        "bias": float(values.mean() - truth),
        "bias_error": float(values.std(ddof=1) / np.sqrt(len(values))),
        "rmse": float(np.sqrt(np.mean((values - truth) ** 2))),
    }
    for kind in ("delta", "bootstrap", "bernstein"):
        bounds = [its[kind] for _, its in estimates if its.get(kind) is not None]
        if bounds:
            row[f"{kind}_coverage"] = float(np.mean([low <= truth <= high for low, high in bounds]))  # type: ignore[misc]
            row[f"{kind}_width"] = float(np.mean([high - low for low, high in bounds]))  # type: ignore[misc]
    return row


def on_policy(slates: int) -> dict[str, float]:
    """What each candidate earns when it is played itself."""
    found = {}
    for number, (name, policy) in enumerate(CANDIDATES.items()):
        rng = np.random.default_rng(WORLD_SEED + 1 + number)
        own = play(moments(slates, rng), [(policy, 1.0)], POSITIONS, rng)
        found[name] = float(own.rewards.sum(axis=1).mean())
    return found


def ranking(slates: int, seed: int, earned: dict[str, float]) -> dict[str, Any]:
    """All candidates judged from one log, beside what each earned when it was played itself."""
    rng = np.random.default_rng(seed)
    log = play(moments(slates, rng), ARMS, POSITIONS, rng)
    rows = []
    for name, policy in CANDIDATES.items():
        evidence = gather(log, policy, arms=[arm for arm, _ in ARMS], seed=seed)
        estimate = judge(evidence, rounds=10).estimates[MAIN]
        rows.append(
            {
                "policy": name,
                "estimate": estimate.value,
                "ci95": estimate.ci95,
                "ess": estimate.support.ess,
                "refused": estimate.refused,
                "on_policy": earned[name],
            }
        )
    told = [row for row in rows if row["estimate"] is not None]
    ours = np.array([row["estimate"] for row in told])
    theirs = np.array([row["on_policy"] for row in told])
    held = [row["ci95"][0] <= row["on_policy"] <= row["ci95"][1] for row in told]
    return {"rows": rows, "spearman": spearman(ours, theirs), "held": sum(held), "told": len(told)}


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation of values without ties."""
    ranks = [np.argsort(np.argsort(values)) for values in (first, second)]
    return float(np.corrcoef(*ranks)[0, 1])


def speed(slates: int) -> dict[str, float]:
    """Slates of 10 from up to 60 weighed a second, the best of three rounds."""
    rng = np.random.default_rng(1)
    log = play(moments(slates, rng), ARMS, 10, rng)
    found = {}
    for name, policy in (("softmax", Softmax()), ("epsilon_greedy", EpsilonGreedy()), ("random", Uniform())):
        probabilities(policy, log.drawn)
        times = []
        for _ in range(3):
            start = perf_counter()
            probabilities(policy, log.drawn)
            times.append(perf_counter() - start)
        found[name] = slates / min(times)
    gather(log, Softmax(temperature=0.2))
    start = perf_counter()
    gather(log, Softmax(temperature=0.2))
    found["everything but intervals"] = slates / (perf_counter() - start)
    return found


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.offpolicy", description=__doc__)
    made.add_argument("--seeds", type=int, default=400, help="logs of the coverage study")
    made.add_argument("--slates", type=int, default=8_000, help="of each such log")
    made.add_argument(
        "--ranking-slates", type=int, default=40_000, help="of the one log of the ranking study"
    )
    made.add_argument("--ranking-seeds", type=int, default=20, help="how often the ranking study is done")
    made.add_argument("--truth-slates", type=int, default=TRUTH_SLATES, help="from which truth is known")
    made.add_argument("--own-slates", type=int, default=OWN_SLATES, help="of each policy played itself")
    made.add_argument("--json", type=Path, help="where numbers go")
    return made.parse_args(given)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Everything."""
    earned = on_policy(options.own_slates)
    return {
        "arguments": {key: str(value) for key, value in vars(options).items()},
        "coverage": [
            row
            for name, policy in TARGETS.items()
            for row in coverage(name, policy, options.slates, options.seeds, options.truth_slates)
        ],
        "ranking": [
            ranking(options.ranking_slates, seed, earned)
            for seed in track(range(options.ranking_seeds), "ranking", console=Console(stderr=True))
        ],
        "speed": speed(20_000),
    }


def show(report: dict[str, Any], console: Console) -> None:
    """Print it as Markdown, for the docs."""
    console.print(
        "| policy | estimator | bias | error (RMSE) | coverage delta | bootstrap | Bernstein | width |"
    )
    console.print("|---|---|---:|---:|---:|---:|---:|---:|")
    for row in report["coverage"]:
        if "bias" not in row:
            console.print(f"| {row['policy']} | {row['estimator']} | refused in all {row['refused']} |")
            continue
        covered = " | ".join(
            f"{row[f'{kind}_coverage']:.1%}" if f"{kind}_coverage" in row else ""
            for kind in ("delta", "bootstrap", "bernstein")
        )
        console.print(
            f"| {row['policy']} ({row['truth']:.4f}) | {row['estimator']} | {row['bias']:+.4f} ±"
            f"{2 * row['bias_error']:.4f} | {row['rmse']:.4f} | {covered} | {row['delta_width']:.4f} |"
            + (f" refused {row['refused']}" if row["refused"] else "")
        )
    first = report["ranking"][0]
    console.print("\n| policy | estimate | 95 % interval | ESS | on-policy |\n|---|---:|---:|---:|---:|")
    for row in first["rows"]:
        if row["estimate"] is None:
            console.print(f"| {row['policy']} | {row['refused']} | | | {row['on_policy']:.4f} |")
            continue
        low, high = row["ci95"]
        console.print(
            f"| {row['policy']} | {row['estimate']:.4f} | {low:.4f} to {high:.4f} | {row['ess']:,.0f}"
            f" | {row['on_policy']:.4f} |"
        )
    correlations = [each["spearman"] for each in report["ranking"]]
    held, told = (sum(each[key] for each in report["ranking"]) for key in ("held", "told"))
    console.print(
        f"\nSpearman: median {np.median(correlations):.3f}, least {min(correlations):.3f} over"
        f" {len(correlations)} logs; {held} of {told} intervals hold the on-policy value ({held / told:.1%})"
    )
    console.print("; ".join(f"{name}: {rate:,.0f} slates/s" for name, rate in report["speed"].items()))


def main() -> int:
    options = arguments()
    report = run(options)
    show(report, Console(width=200))
    if options.json:
        options.json.write_bytes(msgspec.json.encode(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
