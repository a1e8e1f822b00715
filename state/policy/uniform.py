"""Uniform policy over slates: every candidate left is as likely as any other."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from state.kernel import kernel
from state.policy.base import Choice, Scores, version_of
from state.seeds import advance, uniform


class Uniform:
    """An ordered draw without replacement from all candidates: the control that others are measured against.

    With m candidates left,

        P(i | above) = 1 / m

    so every ordered slate of k out of n is equally likely, and the scores are not looked at. The draw is a
    Fisher-Yates shuffle that stops after k steps.

    Examples:
        >>> import numpy as np
        >>> policy = Uniform()
        >>> scores = np.array([3.0, 2.0, 1.0, 0.0])
        >>> policy.distribution(scores, taken=[0]).round(4).tolist()
        [0.0, 0.3333, 0.3333, 0.3333]
        >>> choice = policy.choose(scores, slots=2, seed=7)
        >>> choice.indices.tolist(), [round(p, 4) for p in choice.propensities.tolist()]
        ([1, 0], [0.25, 0.3333])

    References:
        Durstenfeld (1964), Algorithm 235: Random permutation, CACM 7(7).
    """

    name: Final = "random"

    def __init__(self) -> None:
        self.version: Final = version_of(self.name, 1)

    def choose(self, scores: Scores, slots: int, seed: int) -> Choice:
        """Draw a slate; see `state.policy.base.Policy.choose`."""
        return Choice(*_draw(len(scores), slots, seed))

    def distribution(self, scores: Scores, taken: Sequence[int]) -> npt.NDArray[np.float64]:
        """Probabilities for the next position; see `state.policy.base.Policy.distribution`."""
        result = np.zeros(len(scores))
        left = np.setdiff1d(np.arange(len(scores)), taken)
        if left.size:
            result[left] = 1.0 / left.size
        return result


@kernel
def _draw(n: int, slots: int, seed: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Slate and propensities [k] over n candidates."""
    k = max(0, min(slots, n))
    chosen = np.empty(k, np.int32)
    propensities = np.empty(k, np.float32)
    order = np.arange(n)  # from j on: the candidates not yet taken
    state = np.uint64(seed)
    for j in range(k):
        m = n - j
        state = advance(state)
        # Below j + m: the largest uniform number times m rounds to less than m.
        pick = j + int(uniform(state) * m)
        chosen[j] = order[pick]
        order[pick] = order[j]
        propensities[j] = 1.0 / m
    return chosen, propensities
