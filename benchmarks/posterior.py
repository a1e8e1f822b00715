"""What learning from feedback costs: exposures/s and rewards/s, of the kernels and from bytes to sums.

`python -m benchmarks.posterior --help`.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from rich.console import Console

from benchmarks.arguments import Table, deliver, parser, positive, screen
from benchmarks.delayed import delta_of, make, rewards_of
from benchmarks.machine import load_average, machine
from state.posterior.config import LearningConfig
from state.posterior.delays import add_delays, new_delays
from state.posterior.posterior import Posterior
from state.posterior.records import feedback, seen_items
from state.posterior.sums import SPAN_MS, SPANS, add_exposures, add_rewards, new_sums
from state.slate import Delta, Reward
from stream.codecs import decode_delta, decode_reward, encode_delta, encode_reward

PER_DELTA: Final = 2_000
"""Exposures: a cycle of 200 slates of 10."""
AT_ONCE: Final = 200
"""Records, as the replica polls them."""
WAITING: Final = LearningConfig().waiting


class Rate(Struct):
    """One path."""

    name: str
    rate: float
    """Median of the rounds, a second of CPU time: what else runs on the machine takes its own."""
    lowest: float
    highest: float


class Report(Struct):
    """One run."""

    machine: dict[str, str]
    load_before: float
    load_after: float
    rates: list[Rate]
    believe_ms: float
    """Beliefs of all scenarios made anew, median."""
    snapshot_mb: float


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    made = parser("posterior", "Exposures and rewards learned per second and core.")
    made.add_argument("--exposures", type=positive, default=400_000, help="(default %(default)s)")
    made.add_argument("--rounds", type=positive, default=5, help="(default %(default)s)")
    return made.parse_args(given)


def run(options: argparse.Namespace) -> Report:
    """Measure; rounds of all paths take turns."""
    load_before = load_average()
    log = make(1, options.exposures, 0.2)
    n = len(log.times)
    deltas = [delta_of(log, start, min(n, start + PER_DELTA)) for start in range(0, n, PER_DELTA)]
    rewards = rewards_of(log, 0, len(log.exposure))
    # The generator's rewards are few; here there are as many as exposures.
    rewards = (rewards * (1 + n // len(rewards)))[:n]
    kernels = _kernels(deltas, rewards)
    paths: dict[str, Callable[[], int]] = kernels | _whole(deltas, rewards)
    Posterior().warm()
    found: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(options.rounds):
        for name, path in paths.items():
            started = time.process_time()
            count = path()
            found[name].append(count / (time.process_time() - started))
    posterior = Posterior()
    posterior.learn(deltas)
    posterior.reward(rewards)
    return Report(
        machine=machine(),
        load_before=load_before,
        load_after=load_average(),
        rates=[Rate(name, float(np.median(r)), min(r), max(r)) for name, r in found.items()],
        believe_ms=1e3 * float(np.median([_took(posterior.beliefs) for _ in range(20)])),
        snapshot_mb=sum(array.nbytes for array in posterior.snapshot().values()) / 1e6,
    )


def _took(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _kernels(deltas: Sequence[Delta], rewards: Sequence[Reward]) -> dict[str, Callable[[], int]]:
    seen = seen_items(deltas, (), lambda _: 0, Counter())
    given = feedback(rewards, (), lambda _: 0, Counter())
    sums, delays = new_sums(1, WAITING), new_delays(1800)
    newest = int(given.times.max()) // SPAN_MS
    rows = WAITING + seen.times // SPAN_MS % SPANS
    reward_rows = WAITING + given.times // SPAN_MS % SPANS
    since = seen.times % SPAN_MS / 1000.0

    def exposures() -> int:
        add_exposures(sums, rows, since, seen.contexts)
        return len(rows)

    def answers() -> int:
        add_delays(delays, newest, given.times // SPAN_MS, given.types, given.delays)
        add_rewards(sums, reward_rows, given.types, given.rewards, given.contexts)
        return len(reward_rows)

    return {"exposures, kernel": exposures, "rewards, kernel": answers}


def _whole(deltas: Sequence[Delta], rewards: Sequence[Reward]) -> dict[str, Callable[[], int]]:
    delta_bytes = [encode_delta(each) for each in deltas]
    reward_bytes = [encode_reward(each) for each in rewards]
    n = sum(len(each.exposures.slate) for each in deltas)

    def folded() -> int:
        posterior = Posterior()
        for start in range(0, len(deltas), AT_ONCE):
            posterior.learn(deltas[start : start + AT_ONCE])
        return n

    def decoded() -> int:
        posterior = Posterior()
        for start in range(0, len(delta_bytes), AT_ONCE):
            posterior.learn([decode_delta(each) for each in delta_bytes[start : start + AT_ONCE]])
        return n

    def rewarded() -> int:
        posterior = Posterior()
        for start in range(0, len(rewards), AT_ONCE):
            posterior.reward(rewards[start : start + AT_ONCE])
        return len(rewards)

    def rewards_decoded() -> int:
        posterior = Posterior()
        for start in range(0, len(reward_bytes), AT_ONCE):
            posterior.reward([decode_reward(each) for each in reward_bytes[start : start + AT_ONCE]])
        return len(rewards)

    return {
        "exposures, structs to sums": folded,
        "exposures, bytes to sums": decoded,
        "rewards, structs to sums": rewarded,
        "rewards, bytes to sums": rewards_decoded,
    }


def show(report: Report, options: argparse.Namespace, console: Console) -> None:
    """Print and write it."""
    lines = [
        [each.name, f"{each.rate:,.0f}", f"{each.lowest:,.0f} to {each.highest:,.0f}"]
        for each in report.rates
    ]
    title = (
        f"Learning from feedback, one core; beliefs made anew in {report.believe_ms:.1f} ms, snapshot "
        f"{report.snapshot_mb:.1f} MB, load {report.load_before:.1f} to {report.load_after:.1f}"
    )
    deliver(report, Table(title, ("path", "a second of CPU", "rounds"), lines), options, console)


def main() -> None:
    """Measure and print."""
    options = arguments()
    show(run(options), options, screen(options))


if __name__ == "__main__":
    main()
