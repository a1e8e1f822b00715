"""How probable a policy finds slates that another one drew, many at a time.

The built-in policies are all of one form: with probability epsilon a draw by weight among those left, else
the best left,

    P(i | above) = epsilon w_i / sum_{j left} w_j + (1 - epsilon) [i is the best left]

and one kernel answers for them. Any other policy is asked row by row (`Policy.distribution`).
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.kernel import kernel
from state.policy.base import Policy
from state.policy.epsilon_greedy import EpsilonGreedy
from state.policy.softmax import Softmax
from state.policy.uniform import Uniform
from state.retrieval.arrays import Doubles, Floats, Ints

GREEDY: Final = "greedy"
"""Name of the policy that takes the best left with probability 1."""


class Drawn(NamedTuple):
    """Slates and the candidates that they were drawn from."""

    scores: Floats
    """[n, most] candidates' scores in their ranked order."""
    counts: Ints
    """[n] how many candidates there are."""
    chosen: Ints
    """[n, k] index of the candidate at each position; beyond the size undefined."""
    sizes: Ints
    """[n] items of each slate."""

    def taken(self, rows: slice | Ints) -> "Drawn":
        """These rows only."""
        return Drawn(self.scores[rows], self.counts[rows], self.chosen[rows], self.sizes[rows])


def probabilities(policy: Policy, drawn: Drawn) -> Doubles:
    """[n, k] the policy's probability of each item given those above it; 1 beyond the end of a slate."""
    n, k = drawn.chosen.shape
    none = np.zeros((n, 1, k), np.float32)
    return _answer(policy, drawn, none)[0]


def expectations(policy: Policy, drawn: Drawn, values: Floats) -> tuple[Doubles, Doubles]:
    """`probabilities`, and the mean [n, k] of `values` [n, most, k] at each position under the policy.

    The mean is over all candidates left below the items above; beyond the end of a slate it is 0.
    """
    return _answer(policy, drawn, values)


def _answer(policy: Policy, drawn: Drawn, values: Floats) -> tuple[Doubles, Doubles]:
    said = np.ones(drawn.chosen.shape)
    means = np.zeros(drawn.chosen.shape)
    form = _form_of(policy, drawn)
    if form is not None:
        weights, epsilon = form
        _mixture(weights, epsilon, *drawn[1:], values, said, means)
        return said, means
    for row, (count, size) in enumerate(zip(drawn.counts.tolist(), drawn.sizes.tolist(), strict=True)):
        slate = drawn.chosen[row, :size].tolist()
        for at, index in enumerate(slate):
            spread = policy.distribution(drawn.scores[row, :count], slate[:at])
            said[row, at] = spread[index]
            if values.shape[1] >= count:
                means[row, at] = spread @ values[row, :count, at]
    return said, means


def _form_of(policy: Policy, drawn: Drawn) -> tuple[Doubles, float] | None:
    """Weights [n, most] and epsilon of a policy that is of the common form."""
    if isinstance(policy, Softmax):
        weights = drawn.scores.astype(np.float64)
        top = weights.max(axis=1, keepdims=True, initial=0.0)
        ratio = np.divide(weights, top, out=np.ones_like(weights), where=top > 0)
        return np.exp((ratio - 1.0) / policy.temperature), 1.0
    equal = np.ones(drawn.scores.shape)
    if isinstance(policy, Uniform):
        return equal, 1.0
    if isinstance(policy, EpsilonGreedy):
        return equal, policy.epsilon
    return (equal, 0.0) if policy.name == GREEDY else None


@kernel
def _mixture(
    weights: Doubles,
    epsilon: float,
    counts: Ints,
    chosen: Ints,
    sizes: Ints,
    values: Floats,
    said: Doubles,
    means: Doubles,
) -> None:
    """Fill `said` and `means` [n, k]; values with one candidate [n, 1, k] are none at all."""
    asks_means = values.shape[1] == weights.shape[1]
    is_left, left = np.empty(weights.shape[1], np.bool_), np.empty(chosen.shape[1])
    for row in range(counts.size):
        n, slate = counts[row], chosen[row, : sizes[row]]
        _weigh(weights[row, :n], slate, is_left[:n], left)
        best = 0
        for at in range(slate.size):
            while not is_left[best]:
                best += 1
            pick = slate[at]
            greedy = 1.0 - epsilon if pick == best else 0.0
            said[row, at] = epsilon * weights[row, pick] / left[at] + greedy
            if asks_means:
                total = 0.0
                for i in range(n):
                    if is_left[i]:
                        total += weights[row, i] * values[row, i, at]
                means[row, at] = epsilon * total / left[at] + (1.0 - epsilon) * values[row, best, at]
            is_left[pick] = False


@kernel
def _weigh(weights: Doubles, slate: Ints, is_left: NDArray[np.bool_], left: Doubles) -> None:
    """Fill `left` with the weight at each position of the slate, and `is_left` with True.

    From the last position up, so that what is left grows by additions: no cancellation, no ratio above 1.
    """
    is_left[:] = True
    is_left[slate] = False
    rest = 0.0
    for i in range(weights.size):
        if is_left[i]:
            rest += weights[i]
    for at in range(slate.size - 1, -1, -1):
        rest += weights[slate[at]]
        left[at] = rest
    is_left[:] = True
