"""Is what is learned right although answers take seconds to days? Known truth, four methods.

`corrected` is `state.posterior`. `one age` learns from rewards that came within maturity alone, and lets them
stand for the rest by the share that they are. `uncorrected` is that without the correction: what has not come
at maturity counts as nothing. `naive` counts every exposure at once, and its reward when that comes.
`python -m benchmarks.delays --help`.
"""

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from msgspec import Struct
from rich.console import Console

from benchmarks.arguments import Table, deliver, parser, positive, progress, screen
from benchmarks.delayed import DAY, KINDS, START, Array, Log, contexts_of, delta_of, make, rewards_of, truth
from benchmarks.machine import machine
from state.event import TYPE_CODES
from state.policy.context import CONTEXT, CONTEXT_SIZE, FULL
from state.posterior.beliefs import ALL, Belief
from state.posterior.config import LearningConfig
from state.posterior.posterior import Posterior
from state.posterior.solve import Weighed, solve
from state.posterior.sums import TYPES
from state.slate import Reward

AGES: Final = (1.0, 3.0, 8.0, 21.0)
"""Days of log after which estimates are looked at."""
DRIFT_AGES: Final = (9.5, 10.5, 11.0, 12.0, 14.0, 20.0)
DRIFT: Final = 10.0
"""The day on which what is liked changes."""
HALF_LIVES: Final = (1.0, 7.0, 3650.0)
"""Days."""


class Uncorrected(Posterior):
    """What has not come at maturity never comes."""

    def reward(self, rewards: Sequence[Reward], logged: Sequence[int] = ()) -> None:
        """Quick ones alone."""
        most = self.config.maturity_seconds
        super().reward([each for each in rewards if each.delay_seconds <= most], logged)

    def arrived(self, ages: Array) -> Array:
        """All of each type."""
        return np.ones((TYPES, len(ages)))


class OneAge(Uncorrected):
    """The quick ones stand for all, by the share of them that delays tell."""

    def __init__(self, config: LearningConfig) -> None:
        super().__init__(config)
        self._all = Posterior(config)

    def reward(self, rewards: Sequence[Reward], logged: Sequence[int] = ()) -> None:
        """All delays, and quick rewards."""
        self._all.reward(rewards, logged)
        super().reward(rewards, logged)

    def arrived(self, ages: Array) -> Array:
        """As at maturity."""
        return self._all.arrived(np.zeros(len(ages)))


def naive(log: Log, now: float, half_life: float) -> Belief:
    """Everything counts when it comes; an exposure and its rewards fade with the slate's age alike."""
    n = int(np.searchsorted(log.times, now, side="right"))
    fade = 0.5 ** ((now - log.times[:n]) / (1000 * half_life))
    x = log.contexts[:n] / FULL
    came = log.times[log.exposure] + 1000 * log.delay <= now
    who, kind = log.exposure[came], log.kind[came]
    earned, squares = np.zeros((TYPES, CONTEXT_SIZE)), np.zeros(TYPES)
    for number, each in enumerate(KINDS):
        of_kind = who[kind == number]
        earned[TYPE_CODES[each.name]] = each.reward * fade[of_kind] @ x[of_kind]
        squares[TYPE_CODES[each.name]] = each.reward**2 * fade[of_kind].sum()
    outer = (x * fade[:, None]).T @ x
    count = float(fade.sum())
    all_of_it = np.broadcast_to(outer, (TYPES, *outer.shape)), np.full(TYPES, count)
    return solve(Weighed(outer, all_of_it[0], fade @ x, count, all_of_it[1], earned, squares))


def beliefs_at(
    log: Log, learners: Mapping[str, Posterior], ages: Sequence[float]
) -> Iterator[tuple[float, dict[str, Belief]]]:
    """What each believes at those ages of the log, having read what there was until then."""
    seen = told = 0
    arrivals = log.times[log.exposure] + 1000 * log.delay
    for age in ages:
        now = START + age * DAY * 1000
        until = int(np.searchsorted(log.times, now, side="right"))
        upto = int(np.searchsorted(arrivals, now, side="right"))
        delta, rewards = delta_of(log, seen, until), rewards_of(log, told, upto)
        for learner in learners.values():
            learner.learn([delta])
            learner.reward(rewards)
        seen, told = until, upto
        yield age, {name: learner.beliefs().by_scenario[ALL] for name, learner in learners.items()}


OTHERS: Final = {"one age": OneAge, "uncorrected": Uncorrected}


class Bias(Struct):
    """How far the estimates of one method are off, over all seeds."""

    method: str
    days: float
    mean: float
    """Of estimate over truth, less 1: of the value of the mean context."""
    half_width: float
    """Of its 95 % interval."""
    z: float
    spread: float
    """Standard deviation of a single log's."""
    slow: float
    """As `mean`, of the weight of the source that purchases follow."""
    slow_half_width: float


class Drifted(Struct):
    """How well a half-life follows a change."""

    half_life_days: float
    errors: dict[str, float]
    """Root mean squared error of a context's value over the truth's mean value, by day."""


class Report(Struct):
    """One run."""

    machine: dict[str, str]
    seeds: int
    exposures: int
    truth: float
    biases: list[Bias]
    drift: list[Drifted]


MEAN_CONTEXT: Final = np.array([1.0, 0.5, 0.29, *[0.2] * (CONTEXT_SIZE - 3)])


def biases(seeds: int, exposures: int, step: Any) -> list[Bias]:
    """All methods over all seeds."""
    theta, config = truth(), LearningConfig()
    found: dict[tuple[str, float], list[tuple[float, float]]] = {}
    slow = CONTEXT.index("source_history")
    for seed in range(seeds):
        log = make(seed, exposures, AGES[-1])
        learners = {"corrected": Posterior(config), **{n: kind(config) for n, kind in OTHERS.items()}}
        for age, believed in beliefs_at(log, learners, AGES):
            believed["naive"] = naive(log, START + age * DAY * 1000, config.half_life_seconds)
            for name, belief in believed.items():
                off = belief.mean @ MEAN_CONTEXT / (theta @ MEAN_CONTEXT) - 1
                found.setdefault((name, age), []).append((off, belief.mean[slow] / theta[slow] - 1))
        step()
    return [_bias(name, age, np.array(values)) for (name, age), values in sorted(found.items())]


def _bias(name: str, age: float, values: Array) -> Bias:
    error = values.std(axis=0, ddof=1) / math.sqrt(len(values))
    mean = values.mean(axis=0)
    half = 1.96 * error
    z = float(mean[0] / error[0])
    spread = float(values[:, 0].std(ddof=1))
    return Bias(name, age, float(mean[0]), float(half[0]), z, spread, float(mean[1]), float(half[1]))


def drift(seeds: int, exposures: int, step: Any) -> list[Drifted]:
    """What is liked changes on day `DRIFT`; each half-life, the error over all seeds."""
    contexts = contexts_of(np.random.default_rng(0), 10_000) / FULL
    worth = {flip: contexts @ truth(flip) for flip in (False, True)}
    squares: dict[tuple[float, float], list[float]] = {}
    for seed in range(seeds):
        log = make(1000 + seed, exposures, DRIFT_AGES[-1], DRIFT)
        learners = {str(days): Posterior(LearningConfig(half_life_seconds=days * DAY)) for days in HALF_LIVES}
        for age, believed in beliefs_at(log, learners, DRIFT_AGES):
            right = worth[age > DRIFT]
            for days in HALF_LIVES:
                off = contexts @ believed[str(days)].mean - right
                squares.setdefault((days, age), []).append(float((off**2).mean()))
        step()
    scale = float(worth[False].mean())
    return [
        Drifted(
            days, {f"{age:g}": math.sqrt(float(np.mean(squares[days, age]))) / scale for age in DRIFT_AGES}
        )
        for days in HALF_LIVES
    ]


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    made = parser("delays", "Bias of what is learned from answers that take seconds to days, over seeds.")
    made.add_argument("--seeds", type=positive, default=100, help="logs of known truth (default %(default)s)")
    made.add_argument("--exposures", type=positive, default=100_000, help="of a log (default %(default)s)")
    made.add_argument(
        "--drift-seeds", type=positive, default=20, help="logs that change (default %(default)s)"
    )
    made.add_argument("--plot", type=Path, help="where a PNG of the biases goes")
    return made.parse_args(given)


def run(options: argparse.Namespace, console: Console) -> Report:
    """Measure."""
    with progress(console, "logs", options.seeds + options.drift_seeds) as step:
        found = biases(options.seeds, options.exposures, step)
        drifted = drift(options.drift_seeds, options.exposures, step)
    worth = float(truth() @ MEAN_CONTEXT)
    return Report(machine(), options.seeds, options.exposures, worth, found, drifted)


def tables(report: Report) -> tuple[Table, Table]:
    """For people."""
    lines = [
        [
            each.method,
            f"{each.days:g}",
            f"{100 * each.mean:+.1f} ± {100 * each.half_width:.1f} %",
            f"{each.z:+.1f}",
            f"{100 * each.spread:.1f} %",
            f"{100 * each.slow:+.1f} ± {100 * each.slow_half_width:.1f} %",
        ]
        for each in report.biases
    ]
    header = ("method", "log, days", "bias of an exposure's value", "z", "sd of a log", "bias, slow source")
    title = f"{report.seeds} logs of {report.exposures:,} exposures, an exposure is worth {report.truth:.3f}"
    days = list(report.drift[0].errors)
    changes = [
        [f"{each.half_life_days:g} days", *(f"{100 * error:.1f} %" for error in each.errors.values())]
        for each in report.drift
    ]
    change = Table("Error while taste changes", ("half-life", *(f"day {d}" for d in days)), changes)
    return Table(title, header, lines), change


def plot(report: Report, path: Path) -> None:
    """Biases with their intervals over the log's age."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(9.0, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    names = ("corrected", "one age", "uncorrected", "naive")
    for shift, name in zip((0.97, 0.99, 1.01, 1.03), names, strict=True):
        rows = [each for each in report.biases if each.method == name]
        axes.errorbar(
            [shift * each.days for each in rows],
            [100 * each.mean for each in rows],
            yerr=[100 * each.half_width for each in rows],
            marker="o",
            capsize=3,
            label=name,
        )
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.set(xscale="log", xlabel="days of log", ylabel="bias of an exposure's value, %")
    axes.set_xticks(AGES, [f"{age:g}" for age in AGES])
    axes.set_xticks([], minor=True)
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(path)


def main() -> None:
    """Measure and print."""
    options = arguments()
    console = screen(options)
    report = run(options, console)
    first, second = tables(report)
    deliver(report, first, options, console)
    deliver(report, second, options, console)
    if options.plot:
        plot(report, options.plot)


if __name__ == "__main__":
    main()
