"""Uniform policy over slates: every candidate left is as likely as any other."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from state.kernel import kernel
from state.policy.base import Choices, Ints, Longs, Scores, version_of
from state.policy.limits import Limits, count_in, forget, without
from state.seeds import advance, uniform


class Uniform:
    """An ordered draw without replacement from all candidates: the control that others are measured against.

    With m candidates left,

        P(i | above) = 1 / m

    so every ordered slate of k out of n is equally likely, and the scores are not looked at. The draw is a
    Fisher-Yates shuffle that stops after k steps.

    Examples:
        >>> import numpy as np
        >>> from state.policy.base import choose
        >>> policy = Uniform()
        >>> scores = np.array([3.0, 2.0, 1.0, 0.0])
        >>> policy.distribution(scores, taken=[0]).round(4).tolist()
        [0.0, 0.3333, 0.3333, 0.3333]
        >>> choice = choose(policy, scores, slots=2, seed=7)
        >>> choice.indices.tolist(), [round(p, 4) for p in choice.propensities.tolist()]
        ([1, 0], [0.25, 0.3333])

    References:
        Durstenfeld (1964), Algorithm 235: Random permutation, CACM 7(7).
    """

    name: Final = "random"

    def __init__(self) -> None:
        self.version: Final = version_of(self.name, 1)

    def choose_all(
        self, scores: Scores, counts: Ints, slots: int, seeds: Longs, *, limits: Limits | None = None
    ) -> Choices:
        """Draw slates; see `state.policy.base.Policy.choose_all`."""
        del scores
        drawn = Choices.empty(counts, slots)
        if limits is None:
            _draw_all(counts, seeds, drawn.indices, drawn.propensities)
        else:
            _draw_all_limited(counts, seeds, *limits, drawn.indices, drawn.propensities, drawn.sizes)
        return drawn

    def distribution(self, scores: Scores, taken: Sequence[int]) -> npt.NDArray[np.float64]:
        """Probabilities for the next position; see `state.policy.base.Policy.distribution`."""
        result = np.zeros(len(scores))
        left = np.setdiff1d(np.arange(len(scores)), taken)
        if left.size:
            result[left] = 1.0 / left.size
        return result


@kernel
def _draw_all(counts: Ints, seeds: Longs, chosen: Ints, propensities: npt.NDArray[np.float32]) -> None:
    """Fill a row of `chosen` and `propensities` [rows, slots] for each of `counts` and `seeds` [rows]."""
    for row in range(counts.size):
        _draw(counts[row], seeds[row], chosen[row], propensities[row])


@kernel
def _draw(n: int, seed: int, chosen: Ints, propensities: npt.NDArray[np.float32]) -> None:
    """Slate and propensities [slots] over n candidates."""
    k = min(chosen.size, n)
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


@kernel
def _draw_all_limited(
    counts: Ints,
    seeds: Longs,
    groups: Ints,
    most: Ints,
    chosen: Ints,
    propensities: npt.NDArray[np.float32],
    sizes: Ints,
) -> None:
    """`_draw_all` under limits; `sizes` [rows] are those of the slates."""
    held = np.zeros(most.size, np.int32)
    for row in range(counts.size):
        size = _draw_limited(counts[row], seeds[row], groups[row], most, held, chosen[row], propensities[row])
        sizes[row] = size
        forget(held, groups[row], chosen[row, :size])


@kernel
def _draw_limited(
    n: int,
    seed: int,
    groups: Ints,
    most: Ints,
    held: Ints,
    chosen: Ints,
    propensities: npt.NDArray[np.float32],
) -> int:
    """`_draw` among the candidates whose groups are open; returns the size. `held` counts what is drawn."""
    order = np.arange(n)  # in [j, end): the candidates that are eligible
    end = n
    state = np.uint64(seed)
    j = 0
    while j < chosen.size and j < end:
        m = end - j
        state = advance(state)
        pick = j + int(uniform(state) * m)
        index = order[pick]
        chosen[j] = index
        order[pick] = order[j]
        propensities[j] = 1.0 / m
        j += 1
        if count_in(held, most, groups[index]):
            end = without(order, j, end, groups, groups[index])
    return j
