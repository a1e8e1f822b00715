"""What a policy is: a way to choose a slate that can say how probable each of its choices was."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from state.policy.limits import Limits

Ints: TypeAlias = npt.NDArray[np.int32]
Longs: TypeAlias = npt.NDArray[np.int64]
Scores: TypeAlias = npt.NDArray[np.floating[Any]]
"""Candidates' scores [n]: finite, at least 0, ranked (not increasing)."""


class Choice(NamedTuple):
    """A drawn slate; k = min(slots, n), or fewer where limits leave no more."""

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
    sizes: npt.NDArray[np.int32]
    """[n] the k of each row."""

    @classmethod
    def empty(cls, counts: Ints, slots: int) -> "Choices":
        """Room for a slate of each row of so many candidates [n], with the sizes that nothing limits."""
        shape = len(counts), max(0, slots)
        return cls(
            np.empty(shape, np.int32),
            np.empty(shape, np.float32),
            np.minimum(counts, shape[1], dtype=np.int32),
        )


class Policy(Protocol):
    """Chooses slates position by position, each candidate at most once, each with a probability above 0."""

    @property
    def name(self) -> str:
        """Name in the registry and in the log."""

    @property
    def version(self) -> str:
        """8 hex digits over name and parameters: equal versions choose with equal probabilities."""

    def choose_all(
        self, scores: Scores, counts: Ints, slots: int, seeds: Longs, *, limits: Limits | None = None
    ) -> Choices:
        """Draw a slate for each row: min(slots, n) of its candidates; the same row draws the same slate.

        Under limits each position is drawn among the candidates that they leave, and a slate ends where they
        leave none. Limits that close nothing change no draw.

        The first call compiles a kernel: make it before a partition is owned.

        Args:
            scores: [rows, most] a user's candidates in each row.
            counts: [rows] how many there are.
            slots: Most items of a slate.
            seeds: [rows] of the draws.
            limits: How many of a group a slate may hold, and the candidates' groups.
        """
        ...

    def distribution(self, scores: Scores, taken: Sequence[int]) -> npt.NDArray[np.float64]:
        """Probability [n] of each candidate for the position below the different candidates `taken`.

        It is 0 for the taken ones and sums to 1, unless none is left. Under limits `taken` is what
        `state.policy.limits.closed` gives. It is written apart from `choose`, so that one checks the other.
        """


def choose(policy: Policy, scores: Scores, slots: int, seed: int, *, limits: Limits | None = None) -> Choice:
    """Draw one slate; see `Policy.choose_all`."""
    count = np.array([len(scores)], np.int32)
    drawn = policy.choose_all(
        np.reshape(scores, (1, -1)), count, slots, np.array([seed], np.int64), limits=limits
    )
    k = drawn.sizes[0]
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
