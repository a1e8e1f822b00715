"""What policies are worth where their slates decide what they learn: a simulated shop and the pure step.

Each policy answers a shop of its own: what its shoppers click is rewarded, rewards and exposures mature, and
what is learned from them chooses the next slates. Regret is the true click probability of the best slate that
could have been shown, less that of the slate that was. `python -m benchmarks.regret --help`.
"""

import argparse
import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from msgspec import Struct, structs
from scipy.stats import t as student

from benchmarks.arguments import RESULTS, Table, deliver, parser, positive, progress, screen
from benchmarks.machine import machine
from state.event import Event, Inbound, Origin
from state.models import Models
from state.policy.registry import build_policy
from state.policy.shares import Shares
from state.policy.uniform import Uniform
from state.posterior.config import LearningConfig
from state.posterior.posterior import Posterior
from state.profile import Profile
from state.recommend import Recommender, RecommendRules
from state.reward import DEFAULT_RULES, RewardRules
from state.simulation.config import demo_config
from state.simulation.shop import Shop
from state.simulation.world import new_rules
from state.slate import Slate, Span
from state.step import StepRules, delta_of, step
from stream.closed_loop import slate_rows

START: Final = 1_763_831_000_000
STEP_MS: Final = 200
"""Events of this time reach the engine together."""
RATE: Final = 500.0
"""Events of the shop, per second of its time."""
UNANSWERED: Final = 20_000
"""Events before the first slate is shown: what a shop's log has of the time before."""
POINTS: Final = 100
"""Of a curve."""
SLOTS: Final = 10
COME_BACK: Final = 10.0
"""How much more than others the items seen before attract after the turn; before it nobody wants them."""
NEAR: Final = 0.15
"""Of the reference's regret: those within it set the scale of the differences."""
LEARNING: Final = LearningConfig(bucket_seconds=2, maturity_seconds=20, half_life_seconds=1800.0)
"""The shop lives fast: a thought takes a second, a session less than a minute."""


class Contender(NamedTuple):
    """A policy, and how it learns."""

    policy: str
    parameters: Mapping[str, Any] = {}
    learning: LearningConfig = LEARNING
    random_share: float = 0.0
    """Of shoppers, whose slates are random."""

    def shares(self) -> Shares:
        """Who draws whose slates."""
        policy = build_policy(self.policy, self.parameters)
        return Shares([(policy, 1.0 - self.random_share), (Uniform(), self.random_share)], "policy")


CONTENDERS: Final[Mapping[str, Contender]] = {
    "random": Contender("random"),
    "greedy": Contender("greedy"),
    "softmax": Contender("softmax"),
    "epsilon_greedy": Contender("epsilon_greedy"),
    "epsilon_greedy learned": Contender("epsilon_greedy", {"learned": True}),
    "squarecb learned": Contender("squarecb", {"learned": True}),
    "linear_ts": Contender("linear_ts"),
    "source_mix": Contender("source_mix"),
}
SOON: Final = structs.replace(LEARNING, half_life_seconds=20.0)
NEVER: Final = structs.replace(LEARNING, half_life_seconds=1e9)
DRIFTING: Final[Mapping[str, Contender]] = {
    "epsilon_greedy": CONTENDERS["epsilon_greedy"],
    "linear_ts, half-life 20 s": Contender("linear_ts", learning=SOON),
    "linear_ts, forgets nothing": Contender("linear_ts", learning=NEVER),
    "squarecb learned, half-life 20 s": Contender("squarecb", {"learned": True}, SOON),
    "squarecb learned, forgets nothing": Contender("squarecb", {"learned": True}, NEVER),
}
STUDIES: Final = ("clicks", "purchases", "drift")
REFERENCE: Final = "epsilon_greedy"
"""Whose regret the others' is compared with, seed by seed: in every study."""


class Curve(Struct):
    """One policy against one seed's shop."""

    contender: str
    seed: int
    decisions: int
    seconds: float
    seen: list[int]
    """[points] slates seen so far."""
    regret: list[float]
    """[points] summed over them."""
    expected: float
    """Mean true click probability of the slates seen in the last half."""
    best: float
    """That of the best slates there could have been."""


class Report(Struct):
    """One run of one study."""

    machine: Mapping[str, str]
    study: str
    decisions: int
    """Of each policy and seed."""
    curves: list[Curve]


class Loop:
    """A shop and one engine with one policy.

    Args:
        contender: The policy.
        study: One of `STUDIES`.
        seed: Of the shop.
        rate: Events of the shop, per second of its time.
    """

    def __init__(self, contender: Contender, study: str, seed: int, *, rate: float = RATE) -> None:
        self.config = demo_config(rate)
        if study == "drift":
            self.config = structs.replace(self.config, seen_factor=0.0)
        self.shop = Shop(self.config, seed=seed, start=START)
        self.models = Models()
        self.posterior = Posterior(contender.learning)
        rules = RecommendRules(slots=SLOTS, log_candidates=1.0)
        self.decide = Recommender(self.models, contender.shares(), rules)
        self.rules = StepRules(reward=_rewards(study), exposing="impressions")
        self.profiles: dict[str, Profile] = {}
        self.decided = 0
        self.seen: list[tuple[float, float]] = []
        """True click probability of each slate that was seen, and of the best one."""
        self.drawn: list[str] = []
        """Policy of each."""
        self._index = {name: index for index, name in enumerate(self.shop.item_ids)}
        self._now = START
        self._offset = 0

    def run(
        self, *, events: int = 0, decisions: int = 0, seconds: float = 0.0, is_shown: bool = True
    ) -> None:
        """Go on for so many events more, until so many slates are decided in all, or for so long.

        Args:
            events: of the shop.
            decisions: since its beginning.
            seconds: of the shop's time.
            is_shown: whether shoppers see the slates, and it is learned from what they do with them.
        """
        end, until = self._offset + events, self._now + 1000 * seconds
        while self._offset < end or self._now < until or self.decided < decisions:
            self._now += STEP_MS
            for change in self.shop.changes(self.shop.now + 1):
                self.models.upsert_item(change.item_id, change)
            if new := self.shop.events(self.shop.advance(self._now)):
                self._answer(new, is_shown=is_shown)

    def turn(self) -> None:
        """Change what shoppers want: from now on what they have seen before, rather than anything else."""
        rules = new_rules(structs.replace(self.config, bias=self.config.bias - math.log(COME_BACK)))
        rules["seen_factor"] = COME_BACK
        self.shop._world.rules[...] = rules

    def _answer(self, events: Sequence[Event], *, is_shown: bool) -> None:
        origin = (Origin("events", 0, number, self._now) for number in range(self._offset, 1 << 62))
        inbounds = [Inbound(event, next(origin)) for event in events]
        outcome = step(inbounds, self.profiles, self.decide, self.rules)
        self.profiles.update(outcome.profiles)
        span = Span("events", self._offset, self._offset + len(events) - 1)
        self._offset += len(events)
        delta = delta_of(outcome, [span], partition=0, events=len(events), dead_letters=0)
        self.models.learn([delta])
        if not is_shown:
            return
        self.posterior.learn([delta], [self._now])
        self.posterior.reward(outcome.rewards, [self._now] * len(outcome.rewards))
        self.decide.beliefs = self.posterior.beliefs()
        self._show(list(outcome.slates))

    def _show(self, slates: Sequence[Slate]) -> None:
        self.decided += len(slates)
        shoppers = np.array([int(slate.user_id.partition("-")[2]) for slate in slates], np.int32)
        rows = slate_rows(slates, self._index, SLOTS)
        self.shop.show(shoppers, rows, self._now, [slate.slate_id for slate in slates])
        self.drawn += [slates[row].policy for row in self.shop.last_seen.tolist()]
        self.seen += zip(self.shop.last_expected.tolist(), self.shop.last_best.tolist(), strict=True)


def _rewards(study: str) -> RewardRules:
    """Clicks; or carts and purchases alone, of which most come when their exposures have matured."""
    names = ("add_to_cart", "purchase") if study == "purchases" else ("click",)
    return RewardRules({name: DEFAULT_RULES[name] for name in names})


def play(name: str, study: str, seed: int, decisions: int, *, unanswered: int = UNANSWERED) -> Curve:
    """One policy in one shop, which has been open for so many events before."""
    started = time.perf_counter()
    loop = Loop((DRIFTING if study == "drift" else CONTENDERS)[name], study, seed)
    loop.run(events=unanswered, is_shown=False)
    seen, regret = [], []
    for point in range(1, POINTS + 1):
        loop.run(decisions=decisions * point // POINTS)
        if study == "drift" and point == POINTS // 2:
            loop.turn()
        judged = np.array(loop.seen).reshape(-1, 2)
        seen.append(len(judged))
        regret.append(float((judged[:, 1] - judged[:, 0]).sum()))
    last = judged[len(judged) // 2 :]
    expected, best = last.mean(axis=0).tolist()
    return Curve(name, seed, loop.decided, time.perf_counter() - started, seen, regret, expected, best)


def run(options: argparse.Namespace) -> Report:
    """All policies against all seeds, in several processes."""
    report = Report(machine(), options.study, options.decisions, [])
    names = list(DRIFTING if options.study == "drift" else CONTENDERS)
    if options.policies:
        names = [name for name in names if name in options.policies]
    jobs = [(name, seed) for seed in range(1, options.seeds + 1) for name in names]
    with (
        ProcessPoolExecutor(options.processes, get_context("spawn")) as pool,
        progress(screen(options), "policies", len(jobs)) as advance,
    ):
        running = [pool.submit(play, name, options.study, seed, options.decisions) for name, seed in jobs]
        for done in as_completed(running):
            report.curves.append(done.result())
            advance()
    report.curves.sort(key=lambda curve: (names.index(curve.contender), curve.seed))
    return report


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and half the length of its 95 % interval over seeds (Student's t)."""
    found = np.asarray(values)
    if len(found) < 2:
        return float(found.mean()), float("nan")
    width = student.ppf(0.975, len(found) - 1) * found.std(ddof=1) / len(found) ** 0.5
    return float(found.mean()), float(width)


def per_thousand(curve: Curve, since: int = 0) -> float:
    """Regret per 1,000 slates seen after so many points of the curve."""
    regret, seen = curve.regret[-1], curve.seen[-1]
    if since:
        regret, seen = regret - curve.regret[since - 1], seen - curve.seen[since - 1]
    return 1000 * regret / seen


def table(report: Report) -> Table:
    """A line for each policy: regret per 1,000 slates seen, over all and in the last half, and click rate."""
    by_name: dict[str, list[Curve]] = {}
    for curve in report.curves:
        by_name.setdefault(curve.contender, []).append(curve)
    half = POINTS // 2
    lines = []
    for name, curves in by_name.items():
        told = [
            _told([per_thousand(curve) for curve in curves]),
            _told([per_thousand(curve, half) for curve in curves]),
            "",
            _told([100 * curve.expected for curve in curves], digits=2),
        ]
        if name != REFERENCE and REFERENCE in by_name:
            pairs = zip(curves, by_name[REFERENCE], strict=True)
            told[2] = _told([per_thousand(own, half) - per_thousand(its, half) for own, its in pairs], "+")
        best = np.mean([100 * curve.best for curve in curves])
        lines.append([name, *told, f"{best:.1f}", f"{np.mean([curve.seconds for curve in curves]):.0f}"])
    header = (
        "policy",
        "regret per 1,000 slates",
        "second half",
        f"less {REFERENCE}'s, paired",
        "click rate, second half, %",
        "best, %",
        "s",
    )
    title = f"{report.study}: {report.decisions:,} decisions a policy and seed, means and 95 % intervals"
    return Table(title, header, lines)


def _told(values: Sequence[float], sign: str = "", *, digits: int = 1) -> str:
    mean, width = interval(values)
    return f"{mean:{sign}.{digits}f} ± {width:.{digits}f}"


def plot(report: Report, path: Path) -> None:
    """Cumulative regret, a line a policy, and beside it what it is less the reference's, seed by seed."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(13.0, 5.0), dpi=110, layout="constrained")
    whole, less = figure.subplots(1, 2)
    reference = [np.array(curve.regret) for curve in report.curves if curve.contender == REFERENCE]
    near = 0.0
    for number, name in enumerate(dict.fromkeys(curve.contender for curve in report.curves)):
        curves = [curve for curve in report.curves if curve.contender == name]
        x = np.mean([curve.seen for curve in curves], axis=0)
        _line(whole, x, [np.array(curve.regret) for curve in curves], name, number)
        if not reference:
            continue
        pairs = zip(curves, reference, strict=True)
        apart = [np.array(curve.regret) - its for curve, its in pairs]
        _line(less, x, apart, name, number)
        if abs(np.mean(apart, axis=0)[-1]) < NEAR * np.mean(reference, axis=0)[-1]:
            near = max(near, float(np.max(np.abs(apart))))
    less.set_ylim(-near or None, near or None)
    whole.set_ylabel("cumulative regret, clicks")
    less.set_ylabel(f"the same less {REFERENCE}'s")
    figure.suptitle(f"{report.study}: mean and 95 % interval over seeds")
    for axes in (whole, less):
        axes.set_xlabel("slates seen")
        axes.grid(alpha=0.3)
    whole.legend()
    figure.savefig(path)


def _line(axes: Any, x: Any, curves: Sequence[Any], name: str, number: int) -> None:
    found = [interval(values) for values in zip(*curves, strict=True)]
    mean, width = np.array(found).T
    axes.plot(x, mean, label=name, color=f"C{number}")
    axes.fill_between(x, mean - width, mean + width, color=f"C{number}", alpha=0.15)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    made = parser("regret", __doc__ or "")
    made.set_defaults(json=None)
    made.add_argument(
        "--study", choices=STUDIES, default="clicks", help="what is rewarded, or whether it drifts"
    )
    made.add_argument("--decisions", type=positive, default=62_500, help="slates a policy decides, per seed")
    made.add_argument("--seeds", type=positive, default=4, help="shops")
    made.add_argument("--processes", type=positive, default=2, help="side by side")
    made.add_argument("--policies", nargs="*", help="these alone")
    made.add_argument("--plot", type=Path, help="PNG of the curves")
    options = made.parse_args(given)
    options.json = options.json or RESULTS / f"regret-{options.study}.json"
    return options


def main() -> None:
    """Run, print, plot."""
    options = arguments()
    report = run(options)
    deliver(report, table(report), options, screen(options))
    if options.plot:
        plot(report, options.plot)


if __name__ == "__main__":
    main()
