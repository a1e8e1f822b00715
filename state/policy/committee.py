"""Drawing by a committee: a member is drawn, and what it likes best of what is left is taken.

A member's utility of a candidate is linear in the candidate's context. With m candidates left, c_j the chance
of member j, and epsilon a floor that gives every candidate support,

    P(i | above) = epsilon / m + (1 - epsilon) * sum of c_j over the members whose best of those left is i

which is exact: it is what is done, whatever the members are drawn from. Of equal utilities the candidate that
is ranked first is the best.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from state.kernel import kernel
from state.policy.base import Choices, Ints, Longs, Scores
from state.policy.context import Contexts
from state.policy.epsilon_greedy import MIN_EPSILON
from state.policy.learning import Known, Learning, expected_by
from state.policy.limits import Limits, count_in, forget, over, without
from state.retrieval.arrays import Doubles, Floats
from state.seeds import advance, uniform

MOST_COMMITTEES: Final = 1024
"""Committees kept; beliefs have fewer scenarios."""


class Committee(NamedTuple):
    """Members and how probable each is."""

    members: Floats
    """[CONTEXT_SIZE, members] float32: utility of a context for a member is its column @ bytes."""
    chances: Doubles
    """[members] at least 0, sum 1."""


class CommitteePolicy(Learning, ABC):
    """A learning policy whose beliefs are turned into a committee once a version.

    Args:
        epsilon: In [1e-6, 1]: how often a position is drawn uniformly from what is left.

    Raises:
        ValueError: Epsilon is out of range.
    """

    def __init__(self, *, epsilon: float) -> None:
        if not MIN_EPSILON <= epsilon <= 1.0:
            message = (
                f"epsilon must be in [{MIN_EPSILON}, 1], so that every item has support; got {epsilon!r}"
            )
            raise ValueError(message)
        self.epsilon = float(epsilon)
        self._sitting: dict[str, tuple[Known, Committee]] = {}

    @abstractmethod
    def appoint(self, known: Known) -> Committee:
        """The committee of these beliefs, the same in every worker."""

    def committee(self, known: Known) -> Committee:
        """The committee that sits while these beliefs hold."""
        found = self._sitting.get(known.scenario)
        if found is None or found[0].version != known.version or found[0].belief is not known.belief:
            if found is None and len(self._sitting) >= MOST_COMMITTEES:
                self._sitting.clear()
            found = self._sitting[known.scenario] = known, self.appoint(known)
        return found[1]

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
        del scores  # the contexts say more
        members, chances = self.committee(known)
        drawn = Choices.empty(counts, slots)
        limited = over(limits, len(counts))
        _draw_all(
            contexts,
            counts,
            members,
            np.cumsum(chances),
            self.epsilon,
            seeds,
            *limited,
            drawn.indices,
            drawn.propensities,
            drawn.sizes,
        )
        return drawn

    def distribution_of(
        self, contexts: Contexts, scores: Scores, taken: Sequence[int], known: Known
    ) -> Doubles:
        """Probabilities; see `state.policy.learning.LearningPolicy.distribution_of`."""
        result = np.zeros(len(scores))
        left = np.setdiff1d(np.arange(len(scores)), taken)
        if left.size:
            result[left] = self.epsilon / left.size
            members, chances = self.committee(known)
            utilities = np.zeros((left.size, len(chances)), np.float32)
            for number, column in zip(members, contexts[left].T.astype(np.float32), strict=True):
                utilities += column[:, np.newaxis] * number
            np.add.at(result, left[utilities.argmax(axis=0)], (1.0 - self.epsilon) * chances)
        return result

    def expected(self, contexts: Contexts, known: Known) -> Floats:
        """Expected reward by the belief; see `state.policy.learning.LearningPolicy.expected`."""
        return expected_by(known.belief, contexts)


@kernel
def _draw_all(
    contexts: Contexts,
    counts: Ints,
    members: Floats,
    up_to: Doubles,
    epsilon: float,
    seeds: Longs,
    groups: Ints,
    most: Ints,
    chosen: Ints,
    propensities: Floats,
    sizes: Ints,
) -> None:
    """Fill the rows of the last three, a `Choices`; `up_to` [members] cumulates chances."""
    held = np.zeros(most.size, np.int32)
    utilities = np.empty((contexts.shape[1], up_to.size), np.float32)
    best, favourite = np.empty(up_to.size, np.float32), np.empty(up_to.size, np.int32)
    for row in range(counts.size):
        score(contexts[row], counts[row], members, utilities)
        size = _draw(
            utilities,
            counts[row],
            up_to,
            epsilon,
            seeds[row],
            groups[row],
            most,
            held,
            best,
            favourite,
            chosen[row],
            propensities[row],
        )
        sizes[row] = size
        if most.size:
            forget(held, groups[row], chosen[row, :size])


@kernel
def score(contexts: Contexts, count: int, members: Floats, utilities: Floats) -> None:
    """Utilities [count, members] of the candidates, summed in the order of the context's numbers."""
    for i in range(count):
        utilities[i] = 0.0
        for d in range(members.shape[0]):
            x = np.float32(contexts[i, d])
            if x > 0.0:
                for j in range(members.shape[1]):
                    utilities[i, j] += x * members[d, j]


@kernel
def _draw(
    utilities: Floats,
    n: int,
    up_to: Doubles,
    epsilon: float,
    seed: int,
    groups: Ints,
    most: Ints,
    held: Ints,
    best: Floats,
    favourite: Ints,
    chosen: Ints,
    propensities: Floats,
) -> int:
    """Slate and propensities [slots] of n candidates; returns the size. `held` counts what is drawn."""
    left = np.arange(n)  # candidates that are eligible, still in their ranked order
    m = n
    state = np.uint64(seed)
    j = 0
    while j < chosen.size and m > 0:
        _vote(utilities, left, m, best, favourite)
        state = advance(state)
        explores = uniform(state) < epsilon
        state = advance(state)
        drawn = uniform(state)
        index = left[int(drawn * m)] if explores else np.int64(favourite[_member(up_to, drawn)])
        chosen[j] = index
        propensities[j] = epsilon / m + (1.0 - epsilon) * _share(favourite, up_to, int(index))
        j += 1
        at = 0
        while left[at] != index:
            at += 1
        m -= 1
        for i in range(at, m):
            left[i] = left[i + 1]
        if most.size and count_in(held, most, groups[index]):
            m = without(left, 0, m, groups, groups[index])
    return j


@kernel
def _vote(utilities: Floats, left: Longs, m: int, best: Floats, favourite: Ints) -> None:
    """Write to `favourite` [members] what each likes best of `left[:m]`; `best` is work space.

    All members at once, a candidate at a time: the inner loop is one of the processor's vectors.
    """
    first = left[0]
    for j in range(best.size):
        best[j] = utilities[first, j]
        favourite[j] = first
    for i in range(1, m):
        candidate = np.int32(left[i])
        for j in range(best.size):
            value = utilities[candidate, j]
            better = value > best[j]
            best[j] = value if better else best[j]
            favourite[j] = candidate if better else favourite[j]


@kernel
def _member(up_to: Doubles, drawn: float) -> int:
    """The member whose part of [0, 1) contains the number."""
    member = 0
    while member < up_to.size - 1 and drawn >= up_to[member]:
        member += 1
    return member


@kernel
def _share(favourite: Ints, up_to: Doubles, index: int) -> float:
    """Chances of the members whose favourite this is."""
    share = before = 0.0
    for member in range(up_to.size):
        if favourite[member] == index:
            share += up_to[member] - before
        before = up_to[member]
    return share
