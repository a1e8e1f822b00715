"""The ranking itself: no exploration, and so no log that could judge another policy."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from state.kernel import kernel
from state.policy.base import Choices, Ints, Longs, Scores, version_of
from state.policy.limits import Limits, count_in, forget, over
from state.retrieval.arrays import Doubles, Floats


class Greedy:
    """The best candidate left at each position, with probability 1: what exploration costs is measured by it.

    It breaks the promise of the other policies that every candidate left may be drawn. A log of its slates
    says nothing about what it did not show, so it can judge no policy but itself: give it a share of users
    beside one that explores, never all.

    Examples:
        >>> import numpy as np
        >>> from state.policy.base import choose
        >>> choice = choose(Greedy(), np.array([3.0, 2.0, 1.0]), slots=2, seed=7)
        >>> choice.indices.tolist(), choice.propensities.tolist()
        ([0, 1], [1.0, 1.0])
    """

    name: Final = "greedy"

    def __init__(self) -> None:
        self.version: Final = version_of(self.name, 1)

    def choose_all(
        self, scores: Scores, counts: Ints, slots: int, seeds: Longs, *, limits: Limits | None = None
    ) -> Choices:
        """List slates; see `state.policy.base.Policy.choose_all`."""
        del scores, seeds  # the order is all that counts
        drawn = Choices.empty(counts, slots)
        _list_all(counts, *over(limits, len(counts)), drawn.indices, drawn.propensities, drawn.sizes)
        return drawn

    def distribution(self, scores: Scores, taken: Sequence[int]) -> Doubles:
        """Probabilities for the next position; see `state.policy.base.Policy.distribution`."""
        result = np.zeros(len(scores))
        left = np.setdiff1d(np.arange(len(scores)), taken)
        result[left[:1]] = 1.0
        return result


@kernel
def _list_all(
    counts: Ints, groups: Ints, most: Ints, chosen: Ints, propensities: Floats, sizes: Ints
) -> None:
    """Fill the rows of the last three, a `Choices`."""
    held = np.zeros(most.size, np.int32)
    for row in range(counts.size):
        size = 0
        for index in range(counts[row]):
            if size == chosen.shape[1]:
                break
            if most.size:
                group = groups[row, index]
                if group >= 0 and held[group] >= most[group]:
                    continue
                count_in(held, most, group)
            chosen[row, size] = index
            propensities[row, size] = 1.0
            size += 1
        sizes[row] = size
        if most.size:
            forget(held, groups[row], chosen[row, :size])
