"""The baselines by name. A further one is a class like `Contender` and an entry here."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from state.evaluation.baselines.neighbours import Method, Neighbours, exponential
from state.evaluation.baselines.popularity import Popular
from state.evaluation.baselines.repeat import Repeats
from state.evaluation.baselines.rules import SEQUENTIAL, TOGETHER, PairRules
from state.evaluation.baselines.vmis import Vmis
from state.evaluation.contenders import Contender
from state.retrieval.arrays import Doubles


def same(place: Doubles, _length: float) -> Doubles:
    """Every place counts the same."""
    return np.ones_like(place)


def quadratic(place: Doubles, length: float) -> Doubles:
    """(i / L)^2."""
    return (place / length) ** 2


def linear(steps: Doubles) -> Doubles:
    """1 - 0.1 j, below 0 beyond ten steps, as published code has it."""
    return 1.0 - 0.1 * steps


SKNN: Final = Method(neighbours=50, sample=500, match=same, cosine=True)
VSKNN: Final = Method(neighbours=1_500, sample=10_000, match=quadratic, vote=linear, idf_weight=10.0)
STAN: Final = Method(
    neighbours=500, sample=2_500, match=exponential(1.02), cosine=True, decay_days=80, place_decay=2.05
)
VSTAN: Final = Method(
    neighbours=200,
    sample=500,
    match=exponential(2.45),
    cosine=True,
    vote=lambda steps: np.exp(-(steps - 1) / 4.9),
    decay_days=80,
    place_decay=4.9,
    idf_weight=10.0,
)
"""As tuned on Diginetica's week before the last."""

BASELINES: Final[Mapping[str, Callable[[], Contender]]] = {
    "popularity": Popular,
    "repeat": Repeats,
    "covisitation": lambda: PairRules(TOGETHER),
    "sr": lambda: PairRules(SEQUENTIAL),
    "sknn": lambda: Neighbours(SKNN),
    "vsknn": lambda: Neighbours(VSKNN),
    "stan": lambda: Neighbours(STAN),
    "vstan": lambda: Neighbours(VSTAN),
    "vmis": Vmis,
}
"""Makers of baselines that have learned nothing yet."""

REBUILT: Final = frozenset({"sknn", "vsknn", "stan", "vstan", "vmis"})
"""Those that are built anew from everything learned: too slow where every event is learned."""
