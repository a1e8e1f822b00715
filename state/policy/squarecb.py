"""SquareCB over slates: exploration by inverse gap weighting."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from state.kernel import kernel
from state.policy.base import Choices, Ints, Longs, Scores, version_of
from state.policy.limits import Limits, count_in, forget, over, without
from state.retrieval.arrays import Doubles, Floats
from state.seeds import advance, uniform

MOST_GAMMA: Final = 1e9
"""Beyond it, nobody waits for the exploration that a log needs."""


class SquareCB:
    """A candidate is the less likely the further its score is below the best one left.

    With m candidates left, b the best of them and s* the best score of all,

        P(i | above) = 1 / (m + gamma * (s_b - s_i) / s*)       for i other than b, and the rest for b

    which is at least 1 / (m + gamma) for each. b is the first in the ranking. Only ratios to the best score
    count, so one gamma fits every scale; where all scores are 0, every candidate is equally likely.

    Candidates at a tenth of the best score behind it are drawn 10 / gamma of the time each, however many
    there are: exploration is not spread evenly, it goes to what may be as good. For a regret bound gamma
    grows with the square root of what was learned; here it is constant, as the world drifts. The default
    earns most in `benchmarks/regret.py`; a log that is to judge other policies is better drawn with less.

    Args:
        gamma: In [0, 1e9]; 0 is uniform, higher explores less.

    Raises:
        ValueError: Gamma is out of range.

    Examples:
        >>> import numpy as np
        >>> policy = SquareCB(gamma=30.0)
        >>> policy.distribution(np.array([3.0, 2.0, 1.0, 0.0]), taken=[]).round(4).tolist()
        [0.8575, 0.0714, 0.0417, 0.0294]

    References:
        Foster, Rakhlin (2020), Beyond UCB: optimal and efficient contextual bandits with regression oracles,
        ICML, algorithm 1.
        Abe, Long (1999), Associative reinforcement learning using linear probabilistic concepts, ICML.
    """

    name: Final = "squarecb"

    def __init__(self, *, gamma: float = 10_000.0) -> None:
        if not (math.isfinite(gamma) and 0.0 <= gamma <= MOST_GAMMA):
            message = (
                f"gamma must be in [0, {MOST_GAMMA:g}]: a log without exploration can judge no other policy;"
                f" got {gamma!r}"
            )
            raise ValueError(message)
        self.gamma: Final = float(gamma)
        self.version: Final = version_of(self.name, 1, gamma=gamma)

    def choose_all(
        self, scores: Scores, counts: Ints, slots: int, seeds: Longs, *, limits: Limits | None = None
    ) -> Choices:
        """Draw slates; see `state.policy.base.Policy.choose_all`."""
        drawn = Choices.empty(counts, slots)
        # One type, whatever the caller's: one compiled kernel.
        given = np.ascontiguousarray(scores, np.float64)
        _draw_all(
            given,
            counts,
            self.gamma,
            seeds,
            *over(limits, len(counts)),
            drawn.indices,
            drawn.propensities,
            drawn.sizes,
        )
        return drawn

    def distribution(self, scores: Scores, taken: Sequence[int]) -> Doubles:
        """Probabilities for the next position; see `state.policy.base.Policy.distribution`."""
        result = np.zeros(len(scores))
        left = np.setdiff1d(np.arange(len(scores)), taken)
        if left.size:
            relative = scores[left].astype(np.float64) / (float(np.max(scores)) or 1.0)
            result[left] = 1.0 / (left.size + self.gamma * (relative[0] - relative))
            result[left[0]] = 1.0 - result[left[1:]].sum()
        return result


@kernel
def _draw_all(
    scores: Doubles,
    counts: Ints,
    gamma: float,
    seeds: Longs,
    groups: Ints,
    most: Ints,
    chosen: Ints,
    propensities: Floats,
    sizes: Ints,
) -> None:
    """Fill the rows of the last three, a `Choices`."""
    held = np.zeros(most.size, np.int32)
    for row in range(counts.size):
        its = scores[row, : counts[row]]
        size = _draw(its, gamma, seeds[row], groups[row], most, held, chosen[row], propensities[row])
        sizes[row] = size
        if most.size:
            forget(held, groups[row], chosen[row, :size])


@kernel
def _draw(
    scores: Doubles,
    gamma: float,
    seed: int,
    groups: Ints,
    most: Ints,
    held: Ints,
    chosen: Ints,
    propensities: Floats,
) -> int:
    """Slate and propensities [slots] of ranked scores; returns the size. `held` counts what is drawn."""
    n = scores.size
    left = np.arange(n)  # candidates that are eligible, still in their ranked order
    top = scores[0] if n and scores[0] > 0.0 else 1.0
    m = n
    state = np.uint64(seed)
    j = 0
    while j < chosen.size and m > 0:
        best = scores[left[0]]
        state = advance(state)
        drawn = uniform(state)
        # From the last up, for the best has what all others leave.
        pick = 0
        others = share = 0.0
        for i in range(m - 1, 0, -1):
            probability = 1.0 / (m + gamma * ((best - scores[left[i]]) / top))
            others += probability
            if pick == 0 and drawn < others:
                pick = i
                share = probability
        index = left[pick]
        chosen[j] = index
        propensities[j] = share if pick else 1.0 - others
        j += 1
        m -= 1
        for i in range(pick, m):
            left[i] = left[i + 1]
        if most.size and count_in(held, most, groups[index]):
            m = without(left, 0, m, groups, groups[index])
    return j
