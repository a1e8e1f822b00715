"""The posterior of an exposure's value: a fold of exposures and rewards that reads no silence as failure.

**The trouble.** A purchase comes days after its slate. Who counts an exposure when it happens, and its reward
when that comes, has always more exposures than answers: every estimate is too low, and lowest for what earns
slowly. Waiting for the slowest answer instead would learn nothing for a week.

**The method: additive statistics at maturity, corrected for delay.** Slates fall into buckets of event time.
A bucket matures once the newest slate is `maturity` later than its end. Of what has matured, sums are kept by
hour h of the slates: x x^T over exposures and, by type t of the answer, r x over the rewards that have come;
x is the context logged with the slate. An hour of age a has seen the share F_t(a) of its answers of type t,
known from the delays seen (`state.posterior.delays`). So with w the discount of an hour,

    A_t = sum over h of w_h F_t(a_h) sum x x^T,     b_t = sum over h of w_h sum r x,
    mean = sum over t of (A_t + lambda I)^-1 (b_t + prior)

is unbiased up to the prior: E[b_t] = A_t theta_t where E[r_t | x] = theta_t x, as long as a delay depends on
the type alone. An exposure counts by the share of its answers that can have come; nothing is divided by a
small F, so a slow type is learned from all its rewards of weeks and not from the few quick ones.
`state.posterior.solve` has the rest of the formulas.

Sources: Vernade, Cappe, Perchet, "Stochastic bandit models for delayed conversions", UAI 2017 (the corrected
counts of section 3, here for a linear model); Chapelle, "Modeling delayed feedback in display advertising",
KDD 2014.

**Order.** The result is that of the set of records and not of their order, up to rounding: sums are sums, the
newest slate time is a maximum, and weights are made of both when beliefs are asked for. What belongs to a
bucket that has matured already (a partition that is behind) is added to its hour at once, and counted as
late. Only which scenarios are told apart where there are too many is a matter of order.

**Bounds.** Per scenario `waiting` buckets and `SPANS` hours, 2 KB each; at most `MOST_SCENARIOS` scenarios
are told apart, the rest counts for `ALL` only. Nothing is kept per exposure, and nothing beyond 32 days.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from state.interner import Interner
from state.policy.context import CONTEXT_SET
from state.posterior.beliefs import ALL, PRIOR, Belief, Beliefs
from state.posterior.config import LearningConfig
from state.posterior.delays import Delays, add_delays, arrived, new_delays, pass_spans
from state.posterior.records import feedback, seen_items
from state.posterior.solve import solve, weigh
from state.posterior.sums import (
    SPAN_MS,
    SPANS,
    Sums,
    add_exposures,
    add_rewards,
    by_scenario,
    forget,
    grown,
    mature,
    new_sums,
)
from state.retrieval.arrays import Doubles, Longs, check_layout
from state.slate import Delta, Reward

MOST_SCENARIOS: Final = 16
LEAST_EXPOSURES: Final = 1000.0
"""Of a scenario, discounted; with fewer it has no belief of its own."""


class Posterior:
    """What exposures and rewards have taught. Not thread-safe.

    Attributes:
        config: Parameters; fixed.
        late: `exposures` and `rewards` of buckets that had matured, counted since the start.
        left_out: Records left out since the start, by reason (`state.posterior.records`).
    """

    def __init__(self, config: LearningConfig | None = None) -> None:
        self.config: Final = config or LearningConfig()
        self.late: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        # The first stands for no scenario, and for those beyond the bound.
        self._scenarios = Interner([ALL])
        self._sums: Sums = new_sums(1, self.config.waiting)
        self._delays: Delays = new_delays(self.config.maturity_seconds)
        self._newest: int | None = None

    @property
    def newest(self) -> int | None:
        """Time of the newest slate, epoch milliseconds; None before the first."""
        return self._newest

    @property
    def matured(self) -> int:
        """Number of the latest bucket that has matured, counted from the epoch; 0 before the first slate."""
        return 0 if self._newest is None else self._matured_at(self._newest)

    @property
    def matured_until(self) -> int | None:
        """Slates before this time, epoch milliseconds, are learned from; None before the first slate."""
        return None if self._newest is None else (self._matured_at(self._newest) + 1) * self.config.bucket_ms

    @property
    def scenarios(self) -> tuple[str, ...]:
        """Scenarios told apart, by number."""
        return tuple(self._scenarios.strings)

    def arrived(self, ages: Doubles) -> Doubles:
        """[types, n] share of each type's rewards that has arrived at ages of seconds, from maturity on."""
        return arrived(self._delays, self._newest or 0, ages)

    def learn(self, deltas: Sequence[Delta], logged: Sequence[int] = ()) -> None:
        """Fold the exposures of deltas.

        Args:
            deltas: in any order; cheapest in large batches.
            logged: their own times in the log, epoch milliseconds, which say whether a slate can be of that
                time; empty: it is believed.

        Raises:
            ValueError: The arrays of a delta do not fit each other; nothing of the batch is folded.
        """
        seen = seen_items(deltas, logged, self._slot_of, self.left_out)
        if seen.times.size:
            self._advance(int(seen.times.max()))
            rows, kept = self._rows(seen.slots, seen.times, "exposures")
            since = seen.times[kept] % SPAN_MS / 1000.0
            add_exposures(self._sums, rows, since, seen.contexts[kept])

    def reward(self, rewards: Sequence[Reward], logged: Sequence[int] = ()) -> None:
        """Fold rewards; the arguments are those of `learn`.

        Raises:
            ValueError: A context holds what is no byte; nothing of the batch is folded.
        """
        given = feedback(rewards, logged, self._slot_of, self.left_out)
        if not given.times.size:
            return
        self._advance(int(given.times.max()))
        newest = (self._newest or 0) // SPAN_MS
        add_delays(self._delays, newest, given.times // SPAN_MS, given.types, given.delays)
        rows, kept = self._rows(given.slots, given.times, "rewards", given.contexts[:, 0] != 0)
        add_rewards(self._sums, rows, given.types[kept], given.rewards[kept], given.contexts[kept])

    def beliefs(self) -> Beliefs:
        """What is believed now; `PRIOR` until something has matured."""
        matured = Sums(
            *(part[:, self.config.waiting :] for part in by_scenario(self._sums, self.config.waiting))
        )
        if self._newest is None or not matured.exposures.any():
            return PRIOR
        found: dict[str, Belief] = {}
        for slot, name in enumerate(self._scenarios.strings):
            belief = self._believed(Sums(*(part[slot] for part in matured)))
            if name and belief.count >= LEAST_EXPOSURES:
                found[name] = belief
        found[ALL] = self._believed(Sums(*(part.sum(axis=0) for part in matured)))
        return Beliefs(max(1, self.matured), MappingProxyType(found))

    def _believed(self, hourly: Sums) -> Belief:
        """From sums by the places of hours."""
        newest = self._newest or 0
        places = np.arange(SPANS)
        begins = newest // SPAN_MS - (newest // SPAN_MS - places) % SPANS  # hours
        since = hourly.since / np.maximum(1.0, hourly.exposures)
        ages = (newest - begins * SPAN_MS) / 1000.0 - since
        weights = 0.5 ** (ages / self.config.half_life_seconds)
        return solve(weigh(hourly, weights, self.arrived(ages)))

    def warm(self) -> None:
        """Compile every kernel, or load it from numba's cache. Leaves this posterior as it is."""
        none, nothing, sums = np.zeros(0, np.int64), np.zeros(0), new_sums(1, 1)
        no_contexts = np.zeros((0, sums.shown.shape[1]), np.uint8)
        add_exposures(sums, none, nothing, no_contexts)
        add_rewards(sums, none, none, nothing, no_contexts)
        add_delays(new_delays(self.config.maturity_seconds), 0, none, none, nothing)

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Everything learned, as arrays of their own that later folds leave alone."""
        arrays: dict[str, NDArray[Any]] = {
            "learned": np.frombuffer(self._signature(), np.uint8).copy(),
            "scenarios": np.frombuffer(msgspec.msgpack.encode(self._scenarios.strings), np.uint8).copy(),
            "newest": np.array([] if self._newest is None else [self._newest], np.int64),
            "delays": self._delays.counts.copy(),
        }
        return arrays | {name: array.copy() for name, array in self._sums._asdict().items()}

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[Any]], config: LearningConfig | None = None) -> "Posterior":
        """A posterior that goes on where `snapshot` was taken.

        Raises:
            ValueError: It was learned with other parameters or contexts, its arrays are of another type, or
                there is none in there.
        """
        posterior = cls(config)
        if "learned" not in arrays:
            message = "it holds no posterior: an older program wrote it"
            raise ValueError(message)
        found, own = arrays["learned"].tobytes(), posterior._signature()
        if found != own:
            message = f"the posterior was learned with {found.decode()}; now it is {own.decode()}"
            raise ValueError(message)
        names = msgspec.msgpack.decode(arrays["scenarios"].tobytes(), type=list[str])
        posterior._scenarios = Interner(names)
        sums = {name: np.array(arrays[name]) for name in Sums._fields}
        check_layout("posterior", sums, posterior._sums._asdict())
        posterior._sums = Sums(**sums)
        posterior._delays = posterior._delays._replace(counts=np.array(arrays["delays"]))
        newest = arrays["newest"]
        posterior._newest = int(newest[0]) if newest.size else None
        return posterior

    def _signature(self) -> bytes:
        return msgspec.json.encode({"contexts": CONTEXT_SET, "learning": self.config})

    def _matured_at(self, newest: int) -> int:
        return (newest - self.config.maturity_ms) // self.config.bucket_ms - 1

    def _slot_of(self, scenario: str) -> int:
        known = self._scenarios.ids.get(scenario)
        if known is not None:
            return known
        if len(self._scenarios) == MOST_SCENARIOS:
            return 0
        slot = self._scenarios.intern(scenario)
        self._sums = grown(self._sums, slot + 1, self.config.waiting)
        return slot

    def _advance(self, newest: int) -> None:
        """Let buckets mature that are old enough beside a slate of that time."""
        before, self._newest = self._newest, max(newest, self._newest or newest)
        if before is None or before == self._newest:
            return
        first, last = self._matured_at(before), self._matured_at(self._newest)
        buckets = np.arange(first + 1, min(first + self.config.waiting, last) + 1)
        waiting, newest, hour = self.config.waiting, self._newest // SPAN_MS, before // SPAN_MS
        if buckets.size:
            # These are of hours up to `before`: first they go there, then the hours since then are emptied.
            mature(self._sums, waiting, buckets, buckets * self.config.bucket_ms // SPAN_MS)
        if newest > hour:
            forget(self._sums, waiting, np.arange(hour + 1, min(hour + SPANS, newest) + 1))
            pass_spans(self._delays, hour, newest)

    def _rows(
        self, slots: Longs, times: Longs, what: str, may: NDArray[np.bool_] | None = None
    ) -> tuple[Longs, NDArray[np.bool_]]:
        """Rows of the sums, and which [n] records have one: those that `may`, and are not too old."""
        waiting = self.config.waiting
        buckets, hours = times // self.config.bucket_ms, times // SPAN_MS
        kept = hours > (self._newest or 0) // SPAN_MS - SPANS
        self.left_out["too_old"] += int((~kept).sum())
        if may is not None:
            kept &= may
        is_late = buckets <= self.matured
        self.late[what] += int((is_late & kept).sum())
        places = np.where(is_late, waiting + hours % SPANS, buckets % waiting)
        return (slots * (waiting + SPANS) + places)[kept], kept
