"""What a learning policy is: one that goes by contexts and by what is believed of their value."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol, TypeGuard

import numpy as np

from state.kernel import kernel
from state.policy.base import Choices, Ints, Longs, Policy, Scores
from state.policy.context import CONTEXT_SIZE, Contexts, contexts_of_scores
from state.policy.limits import Limits
from state.posterior.beliefs import PRIOR, Belief, Beliefs
from state.retrieval.arrays import Doubles, Floats


class Known(NamedTuple):
    """What is believed where a slate is asked for."""

    version: int
    """Of the beliefs: equal versions of one worker are equal beliefs."""
    scenario: str
    """Whose belief it is: empty for that of all scenarios together."""
    belief: Belief


def known_of(beliefs: Beliefs, scenario: str) -> Known:
    """What is believed of a scenario, or of all together where it has no belief of its own."""
    name = scenario if scenario in beliefs.by_scenario else ""
    return Known(beliefs.version, name, beliefs.by_scenario[name])


NOTHING_KNOWN: Final = known_of(PRIOR, "")


class LearningPolicy(Policy, Protocol):
    """A policy that goes by contexts and beliefs; the slates of equal ones are drawn alike.

    `version` is over the parameters alone: what it chooses changes with the beliefs. As a plain `Policy` it
    goes by the scores, before anything is known.
    """

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
        """Draw a slate for each row, as `Policy.choose_all` does.

        Args:
            contexts: [rows, most, CONTEXT_SIZE] of the candidates.
            scores: as in `Policy.choose_all`, like the next three.
            counts: see `scores`.
            slots: see `scores`.
            seeds: see `scores`.
            known: What is believed where these slates are asked for.
            limits: as in `Policy.choose_all`.
        """
        ...

    def distribution_of(
        self, contexts: Contexts, scores: Scores, taken: Sequence[int], known: Known
    ) -> Doubles:
        """`Policy.distribution` of candidates with these contexts [n, CONTEXT_SIZE]."""
        ...

    def expected(self, contexts: Contexts, known: Known) -> Floats:
        """The reward [n] that an exposure of each context [n, CONTEXT_SIZE] is expected to earn."""
        ...


def learns(policy: Policy) -> TypeGuard[LearningPolicy]:
    """Whether a policy wants contexts and beliefs."""
    return hasattr(policy, "choose_contexts")


class Learning(ABC):
    """A learning policy's `choose_all` and `distribution`, to inherit."""

    @abstractmethod
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
        """See `LearningPolicy.choose_contexts`."""

    @abstractmethod
    def distribution_of(
        self, contexts: Contexts, scores: Scores, taken: Sequence[int], known: Known
    ) -> Doubles:
        """See `LearningPolicy.distribution_of`."""

    def choose_all(
        self, scores: Scores, counts: Ints, slots: int, seeds: Longs, *, limits: Limits | None = None
    ) -> Choices:
        """Draw slates before anything is known; see `state.policy.base.Policy.choose_all`."""
        contexts = contexts_of_scores(scores, counts)
        return self.choose_contexts(contexts, scores, counts, slots, seeds, NOTHING_KNOWN, limits=limits)

    def distribution(self, scores: Scores, taken: Sequence[int]) -> Doubles:
        """Probabilities before anything is known; see `state.policy.base.Policy.distribution`."""
        contexts = contexts_of_scores(np.reshape(scores, (1, -1)), np.array([len(scores)], np.int32))
        return self.distribution_of(contexts[0], scores, taken, NOTHING_KNOWN)


def expected_by(belief: Belief, contexts: Contexts) -> Floats:
    """Expected reward mean @ x [n] of each context [n, CONTEXT_SIZE], wherever it stands the same."""
    # A copy, for a kernel takes an array that may not be written for another type, and compiles again.
    return _predicted(contexts.reshape(-1, CONTEXT_SIZE), np.array(belief.mean, np.float32))


@kernel
def _predicted(contexts: Contexts, mean: Floats) -> Floats:
    values = np.empty(contexts.shape[0], np.float32)
    for i in range(contexts.shape[0]):
        value = np.float32(0.0)
        for d in range(contexts.shape[1]):
            value += mean[d] * np.float32(contexts[i, d])
        values[i] = value / np.float32(255.0)
    return values
