"""The closed loop of `benchmarks/regret.py` on a real broker with a real worker, beside the pure step.

Both have the same shop, the same past and the same policies: half of the shoppers get slates of a learning
policy, half random ones. Compared is the share of the best possible click probability that their slates
reach. `python -m benchmarks.broker_loop --help`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct

from benchmarks.arguments import Table, deliver, parser, positive, progress, screen
from benchmarks.machine import machine
from benchmarks.processes import BenchmarkError
from benchmarks.regret import LEARNING, SLOTS, Contender, Loop, interval
from stream.demo import PAST_SECONDS, RANDOM_SHARE

GROUPS: Final = ("learned", "random")
ENVIRONMENT: Final[Mapping[str, str]] = {
    "FRESHSLATE_RANDOM_SHARE": str(RANDOM_SHARE),
    "FRESHSLATE_LOG_CANDIDATES": "1",
    "FRESHSLATE_EXPOSURES": "impressions",
    "FRESHSLATE_REWARDS": "click=1",
    "FRESHSLATE_SLATE_SIZE": str(SLOTS),
    "FRESHSLATE_MATURITY_SECONDS": str(LEARNING.maturity_seconds),
    "FRESHSLATE_LEARNING_BUCKET_SECONDS": str(LEARNING.bucket_seconds),
    "FRESHSLATE_LEARNING_HALF_LIFE_SECONDS": f"{LEARNING.half_life_seconds:.0f}",
}
"""What the pure loop has."""


class Pair(Struct):
    """One shop, by group: the share of the best click probability that its slates reach."""

    seed: int
    broker: dict[str, float]
    pure: dict[str, float]


class Report(Struct):
    """One run."""

    machine: Mapping[str, str]
    policy: str
    rate: float
    seconds: float
    pairs: list[Pair]


def on_broker(options: argparse.Namespace, seed: int) -> dict[str, float]:
    """Run the demo with this policy.

    Raises:
        BenchmarkError: It failed; the message has the end of its output.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "demo.json"
        command = [
            "demo",
            "--seconds",
            options.seconds,
            "--rate",
            options.rate,
            "--seed",
            seed,
            "--json",
            found,
        ]
        done = subprocess.run(
            [sys.executable, "-m", "agents.commands", *map(str, command)],
            env={**os.environ, **ENVIRONMENT, "FRESHSLATE_POLICY": options.policy},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            message = f"the demo failed:\n{(done.stdout + done.stderr)[-3000:]}"
            raise BenchmarkError(message)
        oracle: dict[str, float] = msgspec.json.decode(found.read_bytes())["oracle"]
        return oracle


def in_process(options: argparse.Namespace, seed: int) -> dict[str, float]:
    """Run the pure loop for as long."""
    loop = Loop(
        Contender(options.policy, random_share=RANDOM_SHARE), "clicks", seed, rate=float(options.rate)
    )
    loop.run(seconds=PAST_SECONDS, is_shown=False)
    loop.run(seconds=float(options.seconds))
    seen, is_random = np.array(loop.seen), np.array(loop.drawn) == "random"
    return {
        name: float(seen[rows, 0].sum() / seen[rows, 1].sum())
        for name, rows in (("learned", ~is_random), ("random", is_random))
    }


def run(options: argparse.Namespace) -> Report:
    """All shops, one after the other."""
    report = Report(machine(), options.policy, options.rate, options.seconds, [])
    with progress(screen(options), "shops", options.seeds) as advance:
        for seed in range(1, options.seeds + 1):
            report.pairs.append(Pair(seed, on_broker(options, seed), in_process(options, seed)))
            advance()
    return report


def table(report: Report) -> Table:
    """A line a group: both shares and their difference, with 95 % intervals over shops."""
    lines = []
    for group in GROUPS:
        broker = [100 * pair.broker[group] for pair in report.pairs]
        pure = [100 * pair.pure[group] for pair in report.pairs]
        apart, width = interval([one - other for one, other in zip(broker, pure, strict=True)])
        lines.append(
            [
                report.policy if group == "learned" else group,
                f"{np.mean(broker):.1f}",
                f"{np.mean(pure):.1f}",
                f"{apart:+.1f} ± {width:.1f}",
            ]
        )
    title = f"{report.seconds:g} s at {report.rate:g} events/s, {len(report.pairs)} shops"
    return Table(title, ("policy", "Kafka, % of the best", "pure step", "difference"), lines)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    made = parser("broker_loop", __doc__ or "")
    made.add_argument("--policy", default="linear_ts", help="of half of the shoppers")
    made.add_argument("--seconds", type=positive, default=120, help="of each shop's live part")
    made.add_argument("--rate", type=positive, default=300, help="events a second")
    made.add_argument("--seeds", type=positive, default=5, help="shops")
    return made.parse_args(given)


def main() -> None:
    """Run and print."""
    options = arguments()
    try:
        report = run(options)
    except BenchmarkError as error:
        sys.exit(f"benchmarks: {error}")
    deliver(report, table(report), options, screen(options))


if __name__ == "__main__":
    main()
