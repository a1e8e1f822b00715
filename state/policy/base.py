"""What a policy is: a way to choose a slate that can say how probable each of its choices was."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Scores: TypeAlias = npt.NDArray[np.floating[Any]]
"""Candidates' scores [n]: finite, at least 0, ranked (not increasing)."""


class Choice(NamedTuple):
    """A drawn slate; k = min(slots, n)."""

    indices: npt.NDArray[np.int32]
    """[k] index of the candidate at each position, all different."""
    propensities: npt.NDArray[np.float32]
    """[k] probability of that candidate at that position given those above it, (0, 1]."""


class Policy(Protocol):
    """Chooses slates position by position, each candidate at most once, each with a probability above 0."""

    @property
    def name(self) -> str:
        """Name in the registry and in the log."""

    @property
    def version(self) -> str:
        """8 hex digits over name and parameters: equal versions choose with equal probabilities."""

    def choose(self, scores: Scores, slots: int, seed: int) -> Choice:
        """Draw a slate of min(slots, n) candidates; the same arguments draw the same slate.

        The first call compiles a kernel: make it before a partition is owned.
        """

    def distribution(self, scores: Scores, taken: Sequence[int]) -> npt.NDArray[np.float64]:
        """Probability [n] of each candidate for the position below the different candidates `taken`.

        It is 0 for the taken ones and sums to 1, unless none is left. It is written apart from `choose`, so
        that one checks the other.
        """


def version_of(name: str, revision: int, **parameters: float) -> str:
    """Version of a policy: 8 hex digits, the same on every machine.

    `revision` counts changes of the algorithm that alter a probability under the same parameters.

    Examples:
        >>> version_of("softmax", 1, temperature=0.15)
        '9c47385b'
    """
    said = ",".join(f"{key}={float(value)!r}" for key, value in sorted(parameters.items()))
    return hashlib.blake2b(f"{name}/{revision}({said})".encode(), digest_size=4).hexdigest()
