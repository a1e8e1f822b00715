"""Single examples at maturity, for learners that cannot learn from sums: (x, y, weight).

One example is one exposure: x its context, y the sum of its rewards that came within maturity, each over the
share of its type that does (Horvitz-Thompson: slow answers are made up for on average; `MOST_WEIGHT` bounds
it). A slow type is so learned from few heavy examples; `state.posterior.posterior` is much surer of it.

Bounded: of each time bucket the `per_bucket` exposures with the smallest hash of slate and position are kept,
whatever order they come in, and weigh as many as there were. So which are kept, and their order (by time,
slate, position), is a matter of the records alone; only what comes after its bucket has matured is left out,
and counted. Rewards are kept in the same way, since one may come before its exposure: of as many as there are
exposures, those of the kept ones are among the smallest too.
"""

from base64 import b64decode
from collections.abc import Iterable
from heapq import heappush, heapreplace
from typing import Final, NamedTuple, TypeVar
from zlib import crc32

import msgspec
import numpy as np
from msgspec import UNSET, Struct, field

from state.event import EVENT_TYPES
from state.policy.context import CONTEXT_SET, CONTEXT_SIZE, FULL
from state.posterior.config import LearningConfig
from state.retrieval.arrays import Doubles
from state.slate import Delta, Reward

Value = TypeVar("Value")

MOST_WEIGHT: Final = 200.0
"""Of a reward."""
PER_BUCKET: Final = 1000
"""Examples of a time bucket by default."""


class Example(NamedTuple):
    """One exposure, answered or not."""

    x: tuple[float, ...]
    """[CONTEXT_SIZE] the context, 0 to 1."""
    y: float
    """What it earned, corrected for delay."""
    weight: float
    """Exposures that it stands for, at least 1."""


class Kept(Struct):
    """What is kept of one bucket. Keys are `slate:position`; heaps hold negative hashes."""

    exposures: int = 0
    """How many there were."""
    order: list[tuple[int, str]] = field(default_factory=list)
    """Heap of those that are kept."""
    shown: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """Slate time and context by key."""
    answer_order: list[tuple[int, str]] = field(default_factory=list)
    answers: dict[str, dict[str, float]] = field(default_factory=dict)
    """Rewards by key and type."""


class Examples:
    """Waits for maturity with a sample of exposures. Make one only where somebody learns from it.

    Attributes:
        late: Exposures and rewards left out, since their bucket had matured.
    """

    def __init__(self, config: LearningConfig, per_bucket: int = PER_BUCKET) -> None:
        if per_bucket < 1:
            message = f"per_bucket must be at least 1, not {per_bucket}"
            raise ValueError(message)
        self._config = config
        self._per_bucket = per_bucket
        self._buckets: dict[int, Kept] = {}
        self._matured = -1
        self.late = 0

    def __len__(self) -> int:
        return sum(len(kept.shown) for kept in self._buckets.values())

    def learn(self, deltas: Iterable[Delta]) -> None:
        """Take exposures in; `Posterior.learn` takes the same deltas, and refuses those that are wrong."""
        for delta in deltas:
            exposures = delta.exposures
            if exposures is UNSET or exposures.context_set != CONTEXT_SET or not exposures.context:
                continue
            contexts = b64decode(exposures.context)
            for n, (slate, position) in enumerate(zip(exposures.slate, exposures.position, strict=True)):
                context = contexts[n * CONTEXT_SIZE : (n + 1) * CONTEXT_SIZE]
                time = exposures.times[slate]
                kept = self._bucket_of(time)
                if kept is not None and context[0]:
                    kept.exposures += 1
                    key = f"{exposures.slates[slate]}:{position}"
                    self._keep(kept.order, kept.shown, key, (time, context))

    def reward(self, rewards: Iterable[Reward]) -> None:
        """Take rewards in."""
        for each in rewards:
            if each.type not in EVENT_TYPES or each.delay_seconds > self._config.maturity_seconds:
                continue
            kept = self._bucket_of(each.time - round(1000 * each.delay_seconds))
            if kept is None:
                continue
            key = f"{each.slate_id}:{each.position}"
            self._keep(kept.answer_order, kept.answers, key, {})
            if key in kept.answers:
                of_type = kept.answers[key]
                of_type[each.type] = of_type.get(each.type, 0.0) + each.reward

    def mature(self, bucket: int, shares: Doubles) -> list[Example]:
        """The examples of all buckets up to this one, in the order of time, slate and position.

        Args:
            bucket: number of the latest that has matured, as `Posterior.matured`.
            shares: [types] of each type's rewards that has arrived by maturity, as `Posterior.arrived`.
        """
        self._matured = max(self._matured, bucket)
        heavy = np.minimum(MOST_WEIGHT, 1.0 / np.maximum(1.0 / MOST_WEIGHT, shares))
        weights = dict(zip(EVENT_TYPES, heavy.tolist(), strict=True))
        examples: list[Example] = []
        for number in sorted(each for each in self._buckets if each <= bucket):
            kept = self._buckets.pop(number)
            stands_for = kept.exposures / max(1, len(kept.shown))
            for key, (_, context) in sorted(kept.shown.items(), key=_order):
                earned = kept.answers.get(key, {})
                y = sum(weights[name] * reward for name, reward in sorted(earned.items()))
                examples.append(Example(tuple(byte / FULL for byte in context), y, stands_for))
        return examples

    def snapshot(self) -> bytes:
        """What waits."""
        return msgspec.msgpack.encode((self._matured, self._buckets))

    def restore(self, state: bytes) -> None:
        """Go on where `snapshot` was taken.

        Raises:
            msgspec.DecodeError: it is none.
        """
        self._matured, self._buckets = msgspec.msgpack.decode(state, type=tuple[int, dict[int, Kept]])

    def _bucket_of(self, time: int) -> Kept | None:
        number = time // self._config.bucket_ms
        if number <= self._matured:
            self.late += 1
            return None
        kept = self._buckets.get(number)
        if kept is None:
            kept = self._buckets[number] = Kept()
        return kept

    def _keep(self, order: list[tuple[int, str]], held: dict[str, Value], key: str, value: Value) -> None:
        """Hold the value if its hash is among the smallest, in the place of the largest."""
        if key in held:
            return
        entry = (-_hash(key), key)
        if len(order) < self._per_bucket:
            heappush(order, entry)
        elif entry > order[0]:
            _, out = heapreplace(order, entry)
            del held[out]
        else:
            return
        held[key] = value


def _hash(key: str) -> int:
    """64 bits: CRC-32 alone is linear, so it is mixed (splitmix64's finaliser)."""
    z = (crc32(key.encode()) * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return (z ^ (z >> 31)) >> 1


_MASK: Final = (1 << 64) - 1


def _order(entry: tuple[str, tuple[int, bytes]]) -> tuple[int, str, int]:
    key, (time, _) = entry
    slate, _, position = key.rpartition(":")
    return time, slate, int(position)
