"""What policies are worth where their slates decide what they learn: a simulated shop and the pure step.

Each policy answers a shop of its own: what its shoppers click is rewarded, rewards and exposures mature, and
what is learned from them chooses the next slates. Regret is the true click probability of the best slate that
could have been shown, less that of the slate that was. `python -m benchmarks.regret --help`.
"""

import argparse
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
LEARNING: Final = LearningConfig(bucket_seconds=2, maturity_seconds=20, half_life_seconds=1800.0)
"""The shop lives fast: a thought takes a second, a session less than a minute."""


class Contender(NamedTuple):
    """A policy, and how it learns."""

    policy: str
    parameters: Mapping[str, Any] = {}
    learning: LearningConfig = LEARNING


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
NEVER: Final = structs.replace(LEARNING, half_life_seconds=1e9)
DRIFTING: Final[Mapping[str, Contender]] = {
    "epsilon_greedy": CONTENDERS["epsilon_greedy"],
    "linear_ts, half-life 2 minutes": Contender(
        "linear_ts", learning=structs.replace(LEARNING, half_life_seconds=120.0)
    ),
    "linear_ts, forgets nothing": Contender("linear_ts", learning=NEVER),
    "squarecb learned, half-life 2 minutes": Contender(
        "squarecb", {"learned": True}, structs.replace(LEARNING, half_life_seconds=120.0)
    ),
    "squarecb learned, forgets nothing": Contender("squarecb", {"learned": True}, NEVER),
}
STUDIES: Final = ("clicks", "purchases", "drift")


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
    """

    def __init__(self, contender: Contender, study: str, seed: int) -> None:
        self.config = demo_config(RATE)
        self.shop = Shop(self.config, seed=seed, start=START)
        self.models = Models()
        self.posterior = Posterior(contender.learning)
        shares = Shares([(build_policy(contender.policy, contender.parameters), 1.0)], "policy")
        self.decide = Recommender(self.models, shares, RecommendRules(slots=SLOTS, log_candidates=1.0))
        self.rules = StepRules(reward=_rewards(study), exposing="impressions")
        self.profiles: dict[str, Profile] = {}
        self.decided = 0
        self.seen: list[tuple[float, float]] = []
        """True click probability of each slate that was seen, and of the best one."""
        self._index = {name: index for index, name in enumerate(self.shop.item_ids)}
        self._now = START
        self._offset = 0

    def run(self, *, events: int = 0, decisions: int = 0) -> None:
        """Go on for so many events without showing a slate, or until so many slates are decided in all."""
        end = self._offset + events
        while self._offset < end or (not events and self.decided < decisions):
            self._now += STEP_MS
            for change in self.shop.changes(self.shop.now + 1):
                self.models.upsert_item(change.item_id, change)
            if new := self.shop.events(self.shop.advance(self._now)):
                self._answer(new, is_shown=not events)

    def turn(self) -> None:
        """Change what shoppers go by: from now on, taste and price rather than what the session is about."""
        other = structs.replace(
            self.config, intent_weight=1.0, taste_weight=6.0, seen_factor=1.0, come_back_share=0.8, bias=-6.0
        )
        self.shop._world.rules[...] = new_rules(other)

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
        self.seen += zip(self.shop.last_expected.tolist(), self.shop.last_best.tolist(), strict=True)


def _rewards(study: str) -> RewardRules:
    """Clicks; or carts and purchases alone, of which most come when their exposures have matured."""
    names = ("add_to_cart", "purchase") if study == "purchases" else ("click",)
    return RewardRules({name: DEFAULT_RULES[name] for name in names})


def play(name: str, study: str, seed: int, decisions: int, *, unanswered: int = UNANSWERED) -> Curve:
    """One policy in one shop, which has been open for so many events before."""
    started = time.perf_counter()
    loop = Loop((DRIFTING if study == "drift" else CONTENDERS)[name], study, seed)
    loop.run(events=unanswered)
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


def table(report: Report) -> Table:
    """A line for each policy: regret per 1,000 slates seen, over all and in the last half, and click rate."""
    lines = []
    for name in dict.fromkeys(curve.contender for curve in report.curves):
        curves = [curve for curve in report.curves if curve.contender == name]
        half = POINTS // 2
        whole = [1000 * curve.regret[-1] / curve.seen[-1] for curve in curves]
        late = [
            1000 * (curve.regret[-1] - curve.regret[half - 1]) / (curve.seen[-1] - curve.seen[half - 1])
            for curve in curves
        ]
        click = [100 * curve.expected for curve in curves]
        best = [100 * curve.best for curve in curves]
        lines.append(
            [name]
            + [f"{mean:.{digits}f} ± {width:.{digits}f}" for (mean, width), digits in
               ((interval(whole), 1), (interval(late), 1), (interval(click), 2))]
            + [f"{interval(best)[0]:.1f}", f"{np.mean([curve.seconds for curve in curves]):.0f}"]
        )  # fmt: skip
    header = (
        "policy",
        "regret per 1,000 slates",
        "second half",
        "click rate, second half, %",
        "best, %",
        "s",
    )
    title = f"{report.study}: {report.decisions:,} decisions a policy and seed, means and 95 % intervals"
    return Table(title, header, lines)


def plot(report: Report, path: Path) -> None:
    """Cumulative regret, a line a policy: the mean over seeds and its 95 % interval."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(9.0, 5.0), dpi=120, layout="constrained")
    axes = figure.subplots()
    for name in dict.fromkeys(curve.contender for curve in report.curves):
        curves = [curve for curve in report.curves if curve.contender == name]
        x = np.mean([curve.seen for curve in curves], axis=0)
        found = [interval(values) for values in zip(*(curve.regret for curve in curves), strict=True)]
        mean, width = np.array(found).T
        (line,) = axes.plot(x, mean, label=name)
        axes.fill_between(x, mean - width, mean + width, color=line.get_color(), alpha=0.2)
    axes.set_xlabel("slates seen")
    axes.set_ylabel("cumulative regret, clicks")
    axes.set_title(f"{report.study}: mean and 95 % interval over seeds")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)


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
