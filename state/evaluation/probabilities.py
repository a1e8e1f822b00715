"""How probable a policy finds slates that another one drew, many at a time.

The built-in policies are all of one form: with probability epsilon a draw by weight among those left, else
the best left,

    P(i | above) = epsilon w_i / sum_{j left} w_j + (1 - epsilon) [i is the best left]

and one kernel answers for them. One that goes by predictions is of that form once its candidates are sorted,
and SquareCB and committees have kernels of their own. Any other policy is asked row by row
(`Policy.distribution`).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.kernel import kernel
from state.policy.base import Policy
from state.policy.committee import CommitteePolicy, score
from state.policy.context import Contexts
from state.policy.epsilon_greedy import EpsilonGreedy
from state.policy.greedy import Greedy
from state.policy.learned import Predicting
from state.policy.learning import NOTHING_KNOWN, Known, LearningPolicy, learns
from state.policy.softmax import Softmax
from state.policy.squarecb import SquareCB
from state.policy.uniform import Uniform
from state.retrieval.arrays import Doubles, Floats, Ints


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


def probabilities(
    policy: Policy, drawn: Drawn, *, contexts: Contexts | None = None, known: Known = NOTHING_KNOWN
) -> Doubles:
    """[n, k] the policy's probability of each item given those above it; 1 beyond the end of a slate.

    Args:
        policy: Is asked.
        drawn: The slates.
        contexts: [n, most, CONTEXT_SIZE] of the candidates, which a policy that learns goes by.
        known: What such a policy believes.

    Raises:
        ValueError: The policy goes by contexts, and there are none.
    """
    n, k = drawn.chosen.shape
    none = np.zeros((n, 1, k), np.float32)
    return _answer(policy, drawn, none, contexts, known)[0]


def expectations(
    policy: Policy,
    drawn: Drawn,
    values: Floats,
    *,
    contexts: Contexts | None = None,
    known: Known = NOTHING_KNOWN,
) -> tuple[Doubles, Doubles]:
    """`probabilities`, and the mean [n, k] of `values` [n, most, k] at each position under the policy.

    The mean is over all candidates left below the items above; beyond the end of a slate it is 0.

    Raises:
        ValueError: The policy goes by contexts, and there are none.
    """
    return _answer(policy, drawn, values, contexts, known)


def _answer(
    policy: Policy, drawn: Drawn, values: Floats, contexts: Contexts | None, known: Known
) -> tuple[Doubles, Doubles]:
    if learns(policy):
        if contexts is None:
            message = f"{policy.name} learns: it goes by contexts, which must be given"
            raise ValueError(message)
        return _answer_by_contexts(policy, drawn, values, contexts, known)
    form = _form_of(policy, drawn)
    if form is not None:
        weights, epsilon = form
        said, means = _nothing_said(drawn)
        _mixture(weights, epsilon, *drawn[1:], values, said, means)
        return said, means
    if isinstance(policy, SquareCB):
        said, means = _nothing_said(drawn)
        _by_gaps(drawn.scores.astype(np.float64), policy.gamma, *drawn[1:], values, said, means)
        return said, means

    def spread(row: int, count: int, taken: list[int]) -> Doubles:
        return policy.distribution(drawn.scores[row, :count], taken)

    return _row_by_row(spread, drawn, values)


def _answer_by_contexts(
    policy: LearningPolicy, drawn: Drawn, values: Floats, contexts: Contexts, known: Known
) -> tuple[Doubles, Doubles]:
    """What a policy that learns says."""
    if isinstance(policy, Predicting):
        return _answer_sorted(policy, drawn, values, contexts, known)
    if isinstance(policy, CommitteePolicy):
        members, chances = policy.committee(known)
        said, means = _nothing_said(drawn)
        _by_committee(contexts, members, chances, policy.epsilon, *drawn[1:], values, said, means)
        return said, means

    def spread(row: int, count: int, taken: list[int]) -> Doubles:
        return policy.distribution_of(contexts[row, :count], drawn.scores[row, :count], taken, known)

    return _row_by_row(spread, drawn, values)


def _answer_sorted(
    policy: Predicting, drawn: Drawn, values: Floats, contexts: Contexts, known: Known
) -> tuple[Doubles, Doubles]:
    """What the policy inside says of the candidates in the order of their predictions."""
    n, most = drawn.scores.shape
    is_there = np.arange(most) < drawn.counts[:, None]
    predicted = np.full((n, most), -np.inf, np.float32)
    predicted[is_there] = policy.predictions(contexts[is_there], drawn.scores[is_there], known)
    order = np.argsort(-predicted, axis=1, kind="stable")
    place_of = np.argsort(order, axis=1).astype(np.int32)
    inside = np.arange(drawn.chosen.shape[1]) < drawn.sizes[:, None]
    ranked = Drawn(
        np.maximum(np.take_along_axis(predicted, order, axis=1), np.float32(0.0)),
        drawn.counts,
        np.take_along_axis(place_of, np.where(inside, drawn.chosen, 0), axis=1),
        drawn.sizes,
    )
    if values.shape[1] == most:
        values = np.take_along_axis(values, order[:, :, None], axis=1)
    return _answer(policy.inner, ranked, values, None, known)


def _row_by_row(
    spread: Callable[[int, int, list[int]], Doubles], drawn: Drawn, values: Floats
) -> tuple[Doubles, Doubles]:
    """By a function of row, count and the indices above."""
    said, means = _nothing_said(drawn)
    for row, (count, size) in enumerate(zip(drawn.counts.tolist(), drawn.sizes.tolist(), strict=True)):
        slate = drawn.chosen[row, :size].tolist()
        for at, index in enumerate(slate):
            chances = spread(row, count, slate[:at])
            said[row, at] = chances[index]
            if values.shape[1] >= count:
                means[row, at] = chances @ values[row, :count, at]
    return said, means


def _nothing_said(drawn: Drawn) -> tuple[Doubles, Doubles]:
    """Probabilities and means [n, k] as they are beyond the end of slates."""
    return np.ones(drawn.chosen.shape), np.zeros(drawn.chosen.shape)


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
    return (equal, 0.0) if isinstance(policy, Greedy) else None


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


@kernel
def _by_gaps(
    scores: Doubles,
    gamma: float,
    counts: Ints,
    chosen: Ints,
    sizes: Ints,
    values: Floats,
    said: Doubles,
    means: Doubles,
) -> None:
    """`_mixture` for `state.policy.squarecb`."""
    asks_means = values.shape[1] == scores.shape[1]
    is_left = np.empty(scores.shape[1], np.bool_)
    for row in range(counts.size):
        n, best = counts[row], 0
        top = scores[row, 0] if n and scores[row, 0] > 0.0 else 1.0
        is_left[:n] = True
        for at in range(sizes[row]):
            while not is_left[best]:
                best += 1
            pick, others, mean = chosen[row, at], 0.0, 0.0
            for i in range(best + 1, n):
                if is_left[i]:
                    chance = 1.0 / (n - at + gamma * ((scores[row, best] - scores[row, i]) / top))
                    others += chance
                    if i == pick:
                        said[row, at] = chance
                    if asks_means:
                        mean += chance * values[row, i, at]
            if pick == best:
                said[row, at] = 1.0 - others
            if asks_means:
                means[row, at] = mean + (1.0 - others) * values[row, best, at]
            is_left[pick] = False


@kernel
def _by_committee(
    contexts: Contexts,
    members: Floats,
    chances: Doubles,
    epsilon: float,
    counts: Ints,
    chosen: Ints,
    sizes: Ints,
    values: Floats,
    said: Doubles,
    means: Doubles,
) -> None:
    """`_mixture` for `state.policy.committee`."""
    most = contexts.shape[1]
    asks_means = values.shape[1] == most
    utilities, is_left = np.empty((most, chances.size), np.float32), np.empty(most, np.bool_)
    best, favourite = np.empty(chances.size, np.float32), np.empty(chances.size, np.int32)
    for row in range(counts.size):
        n = counts[row]
        score(contexts[row], n, members, utilities)
        is_left[:n] = True
        for at in range(sizes[row]):
            pick = chosen[row, at]
            _favourites(utilities[:n], is_left, best, favourite)
            said[row, at] = epsilon / (n - at)
            for j in range(chances.size):
                if favourite[j] == pick:
                    said[row, at] += (1.0 - epsilon) * chances[j]
            if asks_means:
                total = 0.0
                for i in range(n):
                    if is_left[i]:
                        total += values[row, i, at]
                means[row, at] = epsilon * total / (n - at)
                for j in range(chances.size):
                    means[row, at] += (1.0 - epsilon) * chances[j] * values[row, favourite[j], at]
            is_left[pick] = False


@kernel
def _favourites(utilities: Floats, is_left: NDArray[np.bool_], best: Floats, favourite: Ints) -> None:
    """Fill `favourite` [members] with what each likes best of those left, of equals the first."""
    best[:] = -np.inf
    favourite[:] = -1
    for i in range(utilities.shape[0]):
        if is_left[i]:
            for j in range(best.size):
                if utilities[i, j] > best[j] or favourite[j] < 0:
                    best[j] = utilities[i, j]
                    favourite[j] = i
