"""A policy over scores that goes by what candidates are expected to earn, in place of the blend's scores."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Final

import numpy as np

from state.kernel import kernel
from state.policy.base import Choices, Ints, Longs, Policy, Scores, version_of
from state.policy.context import Contexts
from state.policy.learning import Known, Learning, expected_by
from state.policy.limits import Limits
from state.retrieval.arrays import Doubles, Floats


class Predicting(Learning):
    """Sorts candidates by a prediction, and lets a policy over scores draw from that order.

    The policy gets the predictions as its scores, those below 0 as 0. It draws with exact propensities from
    whatever it is given, so they are exact here.

    Args:
        inner: Draws the slates; a policy that does not learn itself.
    """

    def __init__(self, inner: Policy) -> None:
        self.inner: Final = inner

    @abstractmethod
    def expected(self, contexts: Contexts, known: Known) -> Floats:
        """See `state.policy.learning.LearningPolicy.expected`."""

    def predictions(self, contexts: Contexts, scores: Scores, known: Known) -> Floats:
        """What candidates [n] with these contexts [n, CONTEXT_SIZE] and scores [n] are sorted by."""
        del scores
        return self.expected(contexts, known)

    def choose_contexts(
        self,
        contexts: Contexts,
        scores: Scores,
        counts: Ints,
        slots: int,
        seeds: Longs,
        known: Known,
        *,
        limits: Limits | None = None,
    ) -> Choices:
        """Draw slates; see `state.policy.learning.LearningPolicy.choose_contexts`."""
        shape = scores.shape
        is_there = np.arange(shape[1]) < counts[:, np.newaxis]
        values = np.zeros(shape, np.float32)
        values[is_there] = self.predictions(contexts[is_there], scores[is_there], known)
        order = _sorted(values, counts)
        its_limits = limits and limits._replace(groups=np.take_along_axis(limits.groups, order, axis=1))
        drawn = self.inner.choose_all(values, counts, slots, seeds, limits=its_limits)
        _rename(order, drawn.indices, drawn.sizes)
        return drawn

    def distribution_of(
        self, contexts: Contexts, scores: Scores, taken: Sequence[int], known: Known
    ) -> Doubles:
        """Probabilities; see `state.policy.learning.LearningPolicy.distribution_of`."""
        values = self.predictions(contexts, scores, known)
        order = np.argsort(-values, kind="stable")
        place_of = np.argsort(order)
        result = np.zeros(len(values))
        ranked = np.maximum(values[order], 0.0)
        result[order] = self.inner.distribution(ranked, place_of[list(taken)].tolist())
        return result


class Learned(Predicting):
    """Goes by the expected reward of the belief: its mean @ x.

    Args:
        inner: epsilon_greedy, softmax or squarecb; the slate names it, with a version of its own.

    Examples:
        >>> from state.policy.squarecb import SquareCB
        >>> Learned(SquareCB()).name, Learned(SquareCB()).version == SquareCB().version
        ('squarecb', False)
    """

    def __init__(self, inner: Policy) -> None:
        super().__init__(inner)
        self.name: Final = inner.name
        self.version: Final = version_of(f"learned {inner.version}", 1)

    def expected(self, contexts: Contexts, known: Known) -> Floats:
        """The belief's mean @ x; see `state.policy.learning.LearningPolicy.expected`."""
        return expected_by(known.belief, contexts)


@kernel
def _sorted(values: Floats, counts: Ints) -> Ints:
    """The order [rows, most] of each row's candidates by falling value, equals as they are.

    `values` [rows, most] are put into that order, those below 0 as 0.
    """
    order = np.empty(values.shape, np.int32)
    for row in range(counts.size):
        for i in range(values.shape[1]):
            order[row, i] = i
        for i in range(1, counts[row]):
            value = values[row, i]
            place = i
            while place > 0 and values[row, place - 1] < value:
                values[row, place] = values[row, place - 1]
                order[row, place] = order[row, place - 1]
                place -= 1
            values[row, place] = value
            order[row, place] = i
        for i in range(counts[row]):
            values[row, i] = max(values[row, i], np.float32(0.0))
    return order


@kernel
def _rename(order: Ints, indices: Ints, sizes: Ints) -> None:
    """Turn places in the order into indices of candidates."""
    for row in range(sizes.size):
        for place in range(sizes[row]):
            indices[row, place] = order[row, indices[row, place]]
