"""The posterior of an exposure's value: a fold of exposures and rewards that reads no silence as failure.

**The trouble.** A purchase comes days after its slate. Who counts an exposure when it happens, and its reward
when that comes, has always more exposures than answers: every estimate is too low, and lowest for what earns
slowly. Waiting for the slowest answer instead would learn nothing for a week.

**The method: additive statistics at maturity, corrected for delay.** Slates fall into buckets of event time.
A bucket k matures once the newest slate is `maturity` (m) later than its end; then

    A <- g A + sum x x^T,     b_t <- g b_t + sum over rewards of type t with delay <= m of r x

with x the context that was logged with the slate and g the decay of a bucket. An answer of type t that takes
longer than m is missing from b_t; the share that does not, F_t(m), is known from the delays seen
(`state.posterior.delays`), so each that came stands for 1 / F_t(m) (Horvitz-Thompson), and

    mean = (A + lambda I)^-1 (sum over t of b_t / F_t(m) + lambda mu0)

is unbiased up to the prior: E[b_t] = F_t(m) sum E[r_t | x] x, as long as the delay depends on the type alone.
F is divided by when beliefs are asked for, so what is known of delays later corrects what matured before.
`state.posterior.solve` has the rest of the formulas.

Sources: Chapelle, "Modeling delayed feedback in display advertising", KDD 2014; Vernade, Cappe, Perchet,
"Stochastic bandit models for delayed conversions", UAI 2017 (their corrected counts, here at one age);
Horvitz, Thompson, JASA 47, 1952.

**Order.** The result is that of the set of records and not of their order, up to rounding: the newest slate
time is a maximum; bucket k weighs g^(K - k), K being the latest that has matured, whenever its records come.
What belongs to a bucket that has matured already (a partition that is behind, feedback with a clock that is
wrong) is added at once with that weight, and counted as late. Only which scenarios are told apart where there
are too many is a matter of order.

**Bounds.** Per scenario `waiting + 1` rows of sums, 2 KB each; at most `MOST_SCENARIOS` scenarios are told
apart, the rest counts for `ALL` only. Nothing is kept per exposure.
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
from state.posterior.delays import SPAN_MS, Delays, add_delays, arrived, new_delays, pass_spans
from state.posterior.records import feedback, seen_items
from state.posterior.solve import solve
from state.posterior.sums import Sums, add_exposures, add_rewards, grown, mature, new_sums
from state.retrieval.arrays import Doubles, Longs
from state.slate import Delta, Reward

MOST_SCENARIOS: Final = 32
LEAST_EXPOSURES: Final = 1000.0
"""Of a scenario, matured and discounted; with fewer it has no belief of its own."""


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
    def scenarios(self) -> tuple[str, ...]:
        """Scenarios told apart, by number."""
        return tuple(self._scenarios.strings)

    @property
    def shares(self) -> Doubles:
        """[types] F, share of each type's rewards that arrives within maturity."""
        return arrived(self._delays, self._newest or 0)

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
            rows, weights = self._places(seen.slots, seen.times, "exposures")
            add_exposures(self._sums, rows, weights, seen.contexts)

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
        counts = (given.delays <= self.config.maturity_seconds) & (given.contexts[:, 0] != 0)
        slots, times, types, _, earned, contexts = (array[counts] for array in given)
        if times.size:
            rows, weights = self._places(slots, times, "rewards")
            add_rewards(self._sums, rows, weights, types, earned, contexts)

    def beliefs(self) -> Beliefs:
        """What is believed now; `PRIOR` until something has matured."""
        matured = Sums(*(array[:: 1 + self.config.waiting] for array in self._sums))
        if not matured.exposures.any():
            return PRIOR
        shares = self.shares
        found: dict[str, Belief] = {}
        for slot, name in enumerate(self._scenarios.strings):
            if name and matured.exposures[slot] >= LEAST_EXPOSURES:
                found[name] = solve(Sums(*(array[slot] for array in matured)), shares)
        found[ALL] = solve(Sums(*(array.sum(axis=0) for array in matured)), shares)
        return Beliefs(max(1, self.matured), MappingProxyType(found))

    def warm(self) -> None:
        """Compile every kernel, or load it from numba's cache. Leaves this posterior as it is."""
        rows, weights, sums = np.zeros(0, np.int64), np.zeros(0), new_sums(1, 1)
        nothing = np.zeros((0, sums.shown.shape[1]), np.uint8)
        add_exposures(sums, rows, weights, nothing)
        add_rewards(sums, rows, weights, rows, weights, nothing)
        add_delays(new_delays(self.config.maturity_seconds), 0, rows, rows, weights)

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
            ValueError: It was learned with other parameters or contexts, or there is none in there.
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
        posterior._sums = Sums(*(np.array(arrays[name]) for name in Sums._fields))
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
        if last > first:
            mature(self._sums, self.config.waiting, first, last, self.config.decay)
        pass_spans(self._delays, before // SPAN_MS, self._newest // SPAN_MS)

    def _places(self, slots: Longs, times: Longs, what: str) -> tuple[Longs, Doubles]:
        """Rows of the sums, and the weights there."""
        self._advance(int(times.max()))
        waiting, last = self.config.waiting, self.matured
        buckets = times // self.config.bucket_ms
        is_late = buckets <= last
        self.late[what] += int(is_late.sum())
        places = np.where(is_late, 0, 1 + buckets % waiting)
        age = np.minimum(0, buckets - last).astype(np.float64)
        return slots * (1 + waiting) + places, self.config.decay**-age
