"""Is what is learned right although answers take seconds to days? Known truth, three methods.

`corrected` is `state.posterior`; `uncorrected` is the same without the correction for delay, so what has not
come at maturity counts as nothing; `naive` counts every exposure at once, and its reward when that comes.
`python -m benchmarks.delays --help`.
"""

import argparse
import math
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.arguments import Table, deliver, parser, positive, progress, screen
from benchmarks.machine import machine
from state.event import TYPE_CODES
from state.policy.context import CONTEXT, CONTEXT_SET, CONTEXT_SIZE, FULL
from state.posterior.beliefs import ALL, Belief
from state.posterior.config import LearningConfig
from state.posterior.posterior import Posterior
from state.posterior.solve import solve
from state.posterior.sums import TYPES, Sums
from state.slate import Delta, Exposures, Reward

Array = NDArray[Any]

DAY: Final = 86_400
START: Final = 1_763_831_000_000
SLATE: Final = 10
"""Exposures of a slate."""
AGES: Final = (1.0, 3.0, 8.0, 21.0)
"""Days of log after which estimates are looked at."""
DRIFT_AGES: Final = (9.5, 10.5, 11.0, 12.0, 14.0, 20.0)
DRIFT: Final = 10.0
"""The day on which what is liked changes."""
HALF_LIVES: Final = (1.0, 7.0, 3650.0)
"""Days."""


class Kind(NamedTuple):
    """Answers of one type."""

    name: str
    reward: float
    delay: float
    """Mean seconds, exponential."""
    horizon: float
    """Seconds; later answers are no rewards."""
    rates: Mapping[str, float]
    """Probability of an answer, linear in the context."""


KINDS: Final = (
    Kind("click", 1.0, 5.0, 1800.0, {"bias": 0.02, "blend": 0.10, "rank": 0.04}),
    Kind("add_to_cart", 2.0, 600.0, DAY, {"bias": 0.01, "blend": 0.03, "source_sequence_rules": 0.02}),
    Kind("like", 2.0, 6 * 3600.0, DAY, {"bias": 0.005, "source_session_knn": 0.02}),
    Kind("purchase", 5.0, 3 * DAY, 7 * DAY, {"bias": 0.002, "source_history": 0.03, "blend": 0.01}),
)


class Log(NamedTuple):
    """What happened: n exposures in the order of time, and m answers in the order in which they came."""

    times: Array
    """[n] of the slates, epoch milliseconds."""
    contexts: Array
    """[n, d] bytes."""
    exposure: Array
    """[m] which exposure is answered."""
    kind: Array
    """[m] index into `KINDS`."""
    delay: Array
    """[m] seconds."""


def truth(flipped: bool = False) -> Array:
    """[d] what an exposure earns within the horizons, per 1 of each number of its context."""
    theta = np.zeros(CONTEXT_SIZE)
    for kind in KINDS:
        within = -math.expm1(-kind.horizon / kind.delay)
        theta += kind.reward * within * weights(kind, flipped)
    return theta


def weights(kind: Kind, flipped: bool) -> Array:
    """[d] of the probability; after the drift the history's items are liked no more, those of rules are."""
    found = np.zeros(CONTEXT_SIZE)
    swap = (
        {"source_history": "source_sequence_rules", "source_sequence_rules": "source_history"}
        if flipped
        else {}
    )
    for name, rate in kind.rates.items():
        found[CONTEXT.index(swap.get(name, name))] += rate
    return found


def make(seed: int, exposures: int, days: float, drift: float = math.inf) -> Log:
    """A log of that many days; traffic is even."""
    draw = np.random.default_rng(seed)
    slates = exposures // SLATE
    times = START + np.sort(draw.integers(0, int(days * DAY * 1000), slates)).repeat(SLATE)
    contexts = contexts_of(draw, len(times))
    found = []
    for number, kind in enumerate(KINDS):
        is_late = times >= START + min(drift, 1e6) * DAY * 1000
        chance = np.where(is_late, *(contexts @ weights(kind, flip) / FULL for flip in (True, False)))
        hit = np.flatnonzero(draw.random(len(times)) < chance)
        delay = np.round(draw.exponential(kind.delay, len(hit)), 3)
        kept = delay <= kind.horizon
        found.append((hit[kept], np.full(kept.sum(), number), delay[kept]))
    exposure, kinds, delays = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(times[exposure] + 1000 * delays)
    return Log(times, contexts, exposure[order], kinds[order], delays[order])


def contexts_of(draw: np.random.Generator, n: int) -> Array:
    """[n, d] contexts: blend and sources independent, the sources mostly silent."""
    contexts = draw.integers(0, FULL + 1, (n, CONTEXT_SIZE)).astype(np.uint8)
    contexts[:, 3:] *= draw.random((n, CONTEXT_SIZE - 3)) < 0.4
    contexts[:, CONTEXT.index("rank")] = np.tile(FULL / (1 + np.arange(SLATE)), n // SLATE).astype(np.uint8)
    contexts[:, 0] = FULL
    return contexts


def delta_of(log: Log, start: int, stop: int) -> Delta:
    """The delta of these exposures."""
    slates = range(start, stop, SLATE)
    exposures = Exposures(
        slates=tuple(f"s{n}" for n in slates),
        times=tuple(log.times[start:stop:SLATE].tolist()),
        policies=("softmax/1",) * len(slates),
        slate=tuple((np.arange(stop - start) // SLATE).tolist()),
        position=tuple((1 + np.arange(stop - start) % SLATE).tolist()),
        context=b64encode(log.contexts[start:stop].tobytes()).decode(),
        context_set=CONTEXT_SET,
        scenarios=("feed",) * len(slates),
    )
    empty: dict[str, Any] = dict.fromkeys(("spans", "items", "item", "session", "time", "type"), ())
    zero: dict[str, Any] = dict.fromkeys(("partition", "events", "duplicates", "dead_letters"), 0)
    return Delta(**empty, **zero, slates=len(slates), exposures=exposures)


def rewards_of(log: Log, start: int, stop: int) -> list[Reward]:
    """These answers."""
    features = log.contexts[log.exposure[start:stop]].astype(float).tolist()
    columns = (log.exposure, log.kind, log.delay)
    rows = zip(*(column[start:stop].tolist() for column in columns), features, strict=True)
    return [
        Reward(
            reward_id=f"r{start + n}",
            slate_id=f"s{exposure // SLATE}",
            event_id=f"e{start + n}",
            user_id="u",
            tenant="default",
            scenario="feed",
            item_id="i",
            position=1 + exposure % SLATE,
            type=KINDS[kind].name,
            time=int(log.times[exposure]) + round(1000 * delay),
            reward=KINDS[kind].reward,
            value=None,
            currency=None,
            propensity=0.1,
            policy="softmax",
            policy_version="1",
            delay_seconds=delay,
            features=tuple(context),
        )
        for n, (exposure, kind, delay, context) in enumerate(rows)
    ]


class Uncorrected(Posterior):
    """What is missing at maturity counts as nothing."""

    @property
    def shares(self) -> Array:
        """All of each type."""
        return np.ones(TYPES)


def naive(log: Log, now: float, half_life: float) -> Belief:
    """Everything counts when it comes; an exposure and its rewards fade with the slate's age alike."""
    n = int(np.searchsorted(log.times, now, side="right"))
    fade = 0.5 ** ((now - log.times[:n]) / (1000 * half_life))
    x = log.contexts[:n].astype(float)
    came = log.times[log.exposure] + 1000 * log.delay <= now
    who, kind = log.exposure[came], log.kind[came]
    earned, squares = np.zeros((TYPES, CONTEXT_SIZE)), np.zeros(TYPES)
    for number, each in enumerate(KINDS):
        of_kind = who[kind == number]
        earned[TYPE_CODES[each.name]] = each.reward * fade[of_kind] @ x[of_kind]
        squares[TYPE_CODES[each.name]] = each.reward**2 * fade[of_kind].sum()
    outer = np.tril((x * fade[:, None]).T @ x)
    return solve(Sums(outer, fade @ x, fade.sum(), earned, squares), np.ones(TYPES))


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
        learners = {"corrected": Posterior(config), "uncorrected": Uncorrected(config)}
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
    made.add_argument("--exposures", type=positive, default=200_000, help="of a log (default %(default)s)")
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
    for shift, name in ((0.97, "corrected"), (1.0, "uncorrected"), (1.03, "naive")):
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
