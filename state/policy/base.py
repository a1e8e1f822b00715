"""What a policy is: a way to choose a slate that can say how probable each of its choices was."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int32]
Longs: TypeAlias = npt.NDArray[np.int64]
Scores: TypeAlias = npt.NDArray[np.floating[Any]]
"""Candidates' scores [n]: finite, at least 0, ranked (not increasing)."""


class Choice(NamedTuple):
    """A drawn slate; k = min(slots, n)."""

    indices: npt.NDArray[np.int32]
    """[k] index of the candidate at each position, all different."""
    propensities: npt.NDArray[np.float32]
    """[k] probability of that candidate at that position given those above it, (0, 1]."""


class Choices(NamedTuple):
    """Many drawn slates, a row for each; what stands beyond the k of a row is undefined."""

    indices: npt.NDArray[np.int32]
    """[n, slots] as in `Choice`, like the next."""
    propensities: npt.NDArray[np.float32]
    """[n, slots]"""

    @classmethod
    def empty(cls, rows: int, slots: int) -> "Choices":
        """Room for so many slates."""
        return cls(np.empty((rows, max(0, slots)), np.int32), np.empty((rows, max(0, slots)), np.float32))


class Policy(Protocol):
    """Chooses slates position by position, each candidate at most once, each with a probability above 0."""

    @property
    def name(self) -> str:
        """Name in the registry and in the log."""

    @property
    def version(self) -> str:
        """8 hex digits over name and parameters: equal versions choose with equal probabilities."""

    def choose_all(self, scores: Scores, counts: Ints, slots: int, seeds: Longs) -> Choices:
        """Draw a slate for each row: min(slots, n) of its candidates; the same row draws the same slate.

        The first call compiles a kernel: make it before a partition is owned.

        Args:
            scores: [rows, most] a user's candidates in each row.
            counts: [rows] how many there are.
            slots: Most items of a slate.
            seeds: [rows] of the draws.
        """
        ...

    def distribution(self, scores: Scores, taken: Sequence[int]) -> npt.NDArray[np.float64]:
        """Probability [n] of each candidate for the position below the different candidates `taken`.

        It is 0 for the taken ones and sums to 1, unless none is left. It is written apart from `choose`, so
        that one checks the other.
        """


def choose(policy: Policy, scores: Scores, slots: int, seed: int) -> Choice:
    """Draw one slate of min(slots, n) candidates; see `Policy.choose_all`."""
    count = np.array([len(scores)], np.int32)
    drawn = policy.choose_all(np.reshape(scores, (1, -1)), count, slots, np.array([seed], np.int64))
    k = max(0, min(slots, len(scores)))
    return Choice(drawn.indices[0, :k], drawn.propensities[0, :k])


def version_of(name: str, revision: int, **parameters: float) -> str:
    """Version of a policy: 8 hex digits, the same on every machine.

    `revision` counts changes of the algorithm that alter a probability under the same parameters.

    Examples:
        >>> version_of("softmax", 1, temperature=0.15)
        '9c47385b'
    """
    said = ",".join(f"{key}={float(value)!r}" for key, value in sorted(parameters.items()))
    return hashlib.blake2b(f"{name}/{revision}({said})".encode(), digest_size=4).hexdigest()
