"""Epsilon-greedy policy over slates: the best candidate left, or now and then any."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from state.kernel import kernel
from state.policy.base import Choices, Ints, Longs, Scores, version_of
from state.policy.limits import Limits, count_in, forget, without
from state.seeds import advance, uniform

MIN_EPSILON: Final = 1e-6
"""Below it, nobody waits for the exploration that a log needs."""


class EpsilonGreedy:
    """At each position the best candidate left, or, with probability epsilon, any of those left.

    With m candidates left, the best among them,

        P(i | above) = epsilon / m + (1 - epsilon) [i is the best left]

    The best is the first in the ranking: of equal scores, the one that is listed first.

    Args:
        epsilon: In [1e-6, 1], per position.

    Raises:
        ValueError: Epsilon is out of range.

    Examples:
        >>> import numpy as np
        >>> from state.policy.base import choose
        >>> policy = EpsilonGreedy(epsilon=0.2)
        >>> scores = np.array([3.0, 2.0, 1.0, 0.0])
        >>> policy.distribution(scores, taken=[0]).round(4).tolist()
        [0.0, 0.8667, 0.0667, 0.0667]
        >>> choice = choose(policy, scores, slots=2, seed=7)
        >>> choice.indices.tolist(), [round(p, 4) for p in choice.propensities.tolist()]
        ([0, 3], [0.85, 0.0667])

    References:
        Sutton, Barto (2018), Reinforcement Learning: An Introduction, 2nd edition, section 2.2.
    """

    name: Final = "epsilon_greedy"

    def __init__(self, *, epsilon: float = 0.05) -> None:
        if not MIN_EPSILON <= epsilon <= 1.0:
            message = (
                f"epsilon must be in [{MIN_EPSILON}, 1]: a log without exploration can judge no other policy;"
                f" got {epsilon!r}"
            )
            raise ValueError(message)
        self.epsilon: Final = float(epsilon)
        self.version: Final = version_of(self.name, 1, epsilon=epsilon)

    def choose_all(
        self, scores: Scores, counts: Ints, slots: int, seeds: Longs, *, limits: Limits | None = None
    ) -> Choices:
        """Draw slates; see `state.policy.base.Policy.choose_all`."""
        del scores  # their order is all that counts
        drawn = Choices.empty(counts, slots)
        if limits is None:
            _draw_all(counts, self.epsilon, seeds, drawn.indices, drawn.propensities)
        else:
            _draw_all_limited(
                counts, self.epsilon, seeds, *limits, drawn.indices, drawn.propensities, drawn.sizes
            )
        return drawn

    def distribution(self, scores: Scores, taken: Sequence[int]) -> npt.NDArray[np.float64]:
        """Probabilities for the next position; see `state.policy.base.Policy.distribution`."""
        result = np.zeros(len(scores))
        left = np.setdiff1d(np.arange(len(scores)), taken)
        if left.size:
            result[left] = self.epsilon / left.size
            result[left[0]] += 1.0 - self.epsilon
        return result


@kernel
def _draw_all(
    counts: Ints, epsilon: float, seeds: Longs, chosen: Ints, propensities: npt.NDArray[np.float32]
) -> None:
    """Fill a row of `chosen` and `propensities` [rows, slots] for each of `counts` and `seeds` [rows]."""
    for row in range(counts.size):
        _draw(counts[row], epsilon, seeds[row], chosen[row], propensities[row])


@kernel
def _draw(n: int, epsilon: float, seed: int, chosen: Ints, propensities: npt.NDArray[np.float32]) -> None:
    """Slate and propensities [slots] over n ranked candidates."""
    k = min(chosen.size, n)
    left = np.arange(n)  # candidates not yet taken, still in their ranked order
    state = np.uint64(seed)
    for j in range(k):
        m = n - j
        pick = 0
        state = advance(state)
        if uniform(state) < epsilon:
            state = advance(state)
            pick = int(uniform(state) * m)
        chosen[j] = left[pick]
        propensities[j] = epsilon / m + (1.0 - epsilon if pick == 0 else 0.0)
        for i in range(pick, m - 1):
            left[i] = left[i + 1]


@kernel
def _draw_all_limited(
    counts: Ints,
    epsilon: float,
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
        size = _draw_limited(
            counts[row], epsilon, seeds[row], groups[row], most, held, chosen[row], propensities[row]
        )
        sizes[row] = size
        forget(held, groups[row], chosen[row, :size])


@kernel
def _draw_limited(
    n: int,
    epsilon: float,
    seed: int,
    groups: Ints,
    most: Ints,
    held: Ints,
    chosen: Ints,
    propensities: npt.NDArray[np.float32],
) -> int:
    """`_draw` among the candidates whose groups are open; returns the size. `held` counts what is drawn."""
    left = np.arange(n)  # candidates that are eligible, still in their ranked order
    m = n
    state = np.uint64(seed)
    j = 0
    while j < chosen.size and m > 0:
        pick = 0
        state = advance(state)
        if uniform(state) < epsilon:
            state = advance(state)
            pick = int(uniform(state) * m)
        index = left[pick]
        chosen[j] = index
        propensities[j] = epsilon / m + (1.0 - epsilon if pick == 0 else 0.0)
        j += 1
        m -= 1
        for i in range(pick, m):
            left[i] = left[i + 1]
        if count_in(held, most, groups[index]):
            m = without(left, 0, m, groups, groups[index])
    return j
