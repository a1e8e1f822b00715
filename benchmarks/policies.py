"""What policies cost: microseconds a slate of 10 from 60 candidates, and what logging the candidates takes.

    python -m benchmarks.policies [--rounds 60]

All of them in turn, round by round, so that what else the machine does meets each alike; medians of the CPU
time of this thread.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from state.interner import Interner
from state.policy.base import Policy
from state.policy.context import CONTEXT_SIZE, FULL, Contexts, contexts_of
from state.policy.learning import NOTHING_KNOWN, Known, learns
from state.policy.registry import POLICY_NAMES, build_policy
from state.policy.river_model import RiverLearner, RiverModel
from state.policy.squarecb import SquareCB
from state.render_pool import render_pools
from state.retrieval.blend import SOURCES, Ranked

SLATES: Final = 200
"""In one call, as in a cycle under load."""
CANDIDATES: Final = 60
SLOTS: Final = 10
MODELS: Final = (
    "linear_model.LinearRegression",
    "linear_model.LogisticRegression",
    "tree.HoeffdingTreeRegressor",
    "tree.HoeffdingAdaptiveTreeRegressor",
)
EXAMPLES: Final = 3000
RIVER_SLATES: Final = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    ranked = made_candidates()
    contexts = contexts_of(ranked)
    for name, seconds in medians(calls(ranked, contexts), rounds).items():
        print(f"{name:<28} {1e6 * seconds / SLATES:6.2f} us a slate")
    for model in MODELS:
        slate, example = river(model, ranked, contexts, min(rounds, 5))
        print(f"river {model:<40} {1e6 * slate:6.0f} us a slate, {1e6 * example:5.1f} us an example")


def made_candidates() -> Ranked:
    """Candidates of which half of the sources say something each."""
    rng = np.random.default_rng(1)
    shape = SLATES, CANDIDATES, len(SOURCES)
    shares = (rng.exponential(size=shape) * (rng.random(shape) < 0.5)).astype(np.float32)
    order = np.argsort(-shares.sum(axis=2), axis=1)
    shares = np.take_along_axis(shares, order[:, :, np.newaxis], axis=1)
    items = np.tile(np.arange(CANDIDATES, dtype=np.int32), (SLATES, 1))
    return Ranked(items, shares.sum(axis=2), shares, np.full(SLATES, CANDIDATES, np.int32))


def known_of(contexts: Contexts) -> Known:
    """A belief of rewards of some per cent, as 100,000 exposures may have left it."""
    prior = NOTHING_KNOWN.belief
    shown = (contexts.reshape(-1, CONTEXT_SIZE).mean(axis=0) / FULL * 1e5).astype(np.float32)
    belief = prior._replace(
        mean=(0.05 * prior.mean).astype(np.float32),
        root=(0.03 * prior.root).astype(np.float32),
        shown=shown,
        earned=(0.05 * shown).astype(np.float32),
        count=1e5,
    )
    return Known(1, "", belief)


def calls(ranked: Ranked, contexts: Contexts) -> Mapping[str, Callable[[], object]]:
    """What to time, by name."""
    policies = {name: build_policy(name, {}) for name in POLICY_NAMES if name != RiverModel.name}
    for name in ("epsilon_greedy", "softmax", "squarecb"):
        policies[f"{name}, learned"] = build_policy(name, {"learned": True})
    known = known_of(contexts)
    ids = Interner(f"sku-{number:07d}" for number in range(CANDIDATES)).written()
    rows = np.arange(SLATES, dtype=np.int32)
    return {name: drawing(policy, ranked, contexts, known) for name, policy in policies.items()} | {
        "contexts": lambda: contexts_of(ranked),
        "candidates as JSON": lambda: render_pools(ids, ranked, contexts, rows),
    }


def drawing(policy: Policy, ranked: Ranked, contexts: Contexts, known: Known) -> Callable[[], object]:
    """A call that draws all slates."""
    scores, counts = ranked.scores, ranked.counts
    seeds = np.random.default_rng(2).integers(0, 2**53, len(counts))
    if learns(policy):
        return lambda: policy.choose_contexts(contexts, scores, counts, SLOTS, seeds, known)
    return lambda: policy.choose_all(scores, counts, SLOTS, seeds)


def medians(given: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median CPU seconds of each call."""
    for call in given.values():
        call()  # compiles
    spent: dict[str, list[float]] = {name: [] for name in given}
    for _ in range(rounds):
        for name, call in given.items():
            started = time.thread_time()
            call()
            spent[name].append(time.thread_time() - started)
    return {name: float(np.median(times)) for name, times in spent.items()}


def river(model: str, ranked: Ranked, contexts: Contexts, rounds: int) -> tuple[float, float]:
    """CPU seconds that a model takes for a slate, and for an example."""
    learner = RiverLearner(model, {})
    examples = contexts.reshape(-1, CONTEXT_SIZE)[:EXAMPLES]
    started = time.thread_time()
    for context in examples:
        learner.learn(context, 0.1 * context[1] / FULL, 1.0)
    learned = (time.thread_time() - started) / len(examples)
    few = Ranked(*(part[:RIVER_SLATES] for part in ranked))
    call = drawing(RiverModel(learner, SquareCB()), few, contexts[:RIVER_SLATES], NOTHING_KNOWN)
    return medians({model: call}, rounds)[model] / RIVER_SLATES, learned


if __name__ == "__main__":
    main()
