"""Exposures with answers of every speed, and what they are worth in truth."""

import math
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.policy.context import CONTEXT, CONTEXT_SET, CONTEXT_SIZE, FULL
from state.slate import Delta, Exposures, Reward

Array = NDArray[Any]

DAY: Final = 86_400
START: Final = 1_763_831_000_000
SLATE: Final = 10
"""Exposures of a slate."""


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
