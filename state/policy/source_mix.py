"""A bandit over candidate sources: each position is given to one of them."""

from typing import Final

import numpy as np

from state.policy.base import version_of
from state.policy.committee import Committee, CommitteePolicy
from state.policy.context import CONTEXT, CONTEXT_SIZE
from state.policy.draws import normals, seed_named
from state.policy.learning import Known
from state.retrieval.arrays import Doubles

DRAWS: Final = 1000
FLOOR: Final = 0.01
"""Least chance of a source that is an arm."""
LEAST_SHOWN: Final = 100.0
"""Exposures before which every source is an arm."""
LEAST_PART: Final = 0.001
"""Of all that was shown: a source with less of it is no arm, such as one that is turned off."""
_FIRST: Final = next(place for place, name in enumerate(CONTEXT) if name.startswith("source_"))


class SourceMix(CommitteePolicy):
    """Gives each position to a candidate source, as that is probable to be the one that earns the most.

    The value of source s is what exposures earned over what was shown, both by its share in them, with one
    exposure of the overall mean v0 added:

        v_s = (earned_s + v0) / (shown_s + 1)       deviation sqrt(v_s / (shown_s + 1)), as of a Poisson count

    At each version of the beliefs, p_s is the share of 1,000 seeded draws in which s has the largest value,
    floored at 0.01. At each position a source is drawn by p and takes the candidate left with its largest
    share, of equals the one ranked first, so a source that says nothing of those left takes the best ranked;
    or, with probability epsilon, any of those left is taken. With `state.policy.committee`

        P(i | above) = epsilon / m + (1 - epsilon) * sum of p_s over the sources whose best left is i

    Few arms, each with dense feedback: it learns fast and stays safe, and tells candidates apart no better
    than its sources do.

    Args:
        epsilon: In [1e-6, 1].

    Raises:
        ValueError: Epsilon is out of range.

    References:
        Scott (2010), A modern Bayesian look at the multi-armed bandit, ASMBI 26 (probability matching).
    """

    name: Final = "source_mix"

    def __init__(self, *, epsilon: float = 0.02) -> None:
        super().__init__(epsilon=epsilon)
        self.version: Final = version_of(self.name, 1, epsilon=epsilon)

    def appoint(self, known: Known) -> Committee:
        """One member for each source; see `CommitteePolicy.appoint`."""
        members = np.zeros((CONTEXT_SIZE, CONTEXT_SIZE - _FIRST), np.float32)
        members[_FIRST:] = np.eye(CONTEXT_SIZE - _FIRST, dtype=np.float32)
        return Committee(
            members, chances(known, seed_named(f"{self.version}/{known.version}/{known.scenario}"))
        )


def chances(known: Known, seed: int) -> Doubles:
    """Chances [sources] p of `SourceMix`, sum 1; 0 for a source that is no arm."""
    shown, earned = known.belief.shown.astype(np.float64), known.belief.earned.astype(np.float64)
    everything = shown[0]
    overall = earned[0] / everything if everything > 0.0 else 1.0
    shown, earned = shown[_FIRST:], earned[_FIRST:]
    arms = shown >= LEAST_PART * everything if everything >= LEAST_SHOWN else np.ones(shown.size, np.bool_)
    if not arms.any():
        arms[:] = True
    value = (earned + overall) / (shown + 1.0)
    deviation = np.sqrt(np.maximum(value, 0.0) / (shown + 1.0))
    drawn = value + deviation * normals(seed, DRAWS * value.size).reshape(DRAWS, -1)
    drawn[:, ~arms] = -np.inf
    wins = np.bincount(drawn.argmax(axis=1), minlength=value.size) / DRAWS
    return np.where(arms, FLOOR + (1.0 - FLOOR * arms.sum()) * wins, 0.0)
