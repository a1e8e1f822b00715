"""What a learning policy sees of a candidate: a few numbers from 0 to 1, in a byte each.

It is what the blend said of the candidate, so it costs nothing to find out; and since it is bytes from the
beginning, what a policy chose by, what the log says of it and what is learned from are the same.
"""

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from state.kernel import kernel
from state.retrieval.arrays import Floats, Ints
from state.retrieval.weights import SOURCES

if TYPE_CHECKING:
    from state.retrieval.blend import Ranked

CONTEXT: Final = ("bias", "blend", "rank", *(f"source_{name}" for name in SOURCES))
"""Names of the numbers, in their order:

- bias: 1
- blend: score over the best candidate's
- rank: 1 / place among the candidates
- source_*: the source's part of the blended score, over the largest blended score
"""
CONTEXT_SIZE: Final = len(CONTEXT)
FULL: Final = 255
"""What 1 is as a byte."""
LEAST_WHOLE: Final = np.float32(1e-30)
"""Scores of which the best is below it count as 0."""
CONTEXT_SET: Final = blake2b("\n".join(CONTEXT).encode(), digest_size=4).hexdigest()
"""8 hex digits over the names."""

Contexts: TypeAlias = NDArray[np.uint8]
"""[..., CONTEXT_SIZE]; that of a candidate is never all 0, for its bias is 1."""

_BLEND, _RANK, _FIRST_SOURCE = 1, 2, 3
_SOURCES: Final = len(SOURCES)


def contexts_of(ranked: "Ranked") -> Contexts:
    """Contexts [n, size, CONTEXT_SIZE] of the candidates of many queries; 0 beyond a row's candidates.

    `blend` is of the scores as they are ranked by, so a ranker and business rules are in it. The sources'
    parts are of the blend alone: where neither is in force, the largest blended score is the best
    candidate's.
    """
    return _contexts(ranked.scores, ranked.contributions, ranked.counts)


def contexts_of_scores(scores: NDArray[np.floating], counts: Ints) -> Contexts:
    """Contexts of candidates of which only the scores [n, size] are known: the sources say nothing."""
    plain = np.ascontiguousarray(scores, np.float32)
    return _contexts(plain, np.zeros((*plain.shape, 1), np.float32), counts)


@kernel
def _contexts(scores: Floats, contributions: Floats, counts: Ints) -> Contexts:
    """See `contexts_of`; contributions [n, size, sources] may have columns of other sources at the end."""
    contexts = np.zeros((*scores.shape, CONTEXT_SIZE), np.uint8)
    sources = min(_SOURCES, contributions.shape[2])
    for row in range(counts.size):
        best = largest = np.float32(0.0)
        for place in range(counts[row]):
            best = max(best, scores[row, place])
            blended = np.float32(0.0)
            for source in range(contributions.shape[2]):
                blended += contributions[row, place, source]
            largest = max(largest, blended)
        by_score, by_share = _factor(best), _factor(largest)
        for place in range(counts[row]):
            contexts[row, place, 0] = FULL
            contexts[row, place, _BLEND] = _byte(by_score * scores[row, place])
            contexts[row, place, _RANK] = _byte(np.float32(FULL) / np.float32(place + 1))
            for source in range(sources):
                contexts[row, place, _FIRST_SOURCE + source] = _byte(
                    by_share * contributions[row, place, source]
                )
    return contexts


@kernel
def _factor(whole: np.float32) -> np.float32:
    """What turns a part of this into a byte; 0 where there is nothing to divide by."""
    return np.float32(FULL) / whole if whole > LEAST_WHOLE else np.float32(0.0)


@kernel
def _byte(value: np.float32) -> np.uint8:
    """The byte nearest to a number that is not negative."""
    return np.uint8(min(np.float32(FULL), value) + np.float32(0.5))


@kernel
def chosen_contexts(contexts: Contexts, indices: Ints, sizes: Ints) -> Contexts:
    """Contexts [items, CONTEXT_SIZE] of the items of slates, one slate after the other.

    Args:
        contexts: [n, size, CONTEXT_SIZE] of the candidates.
        indices: [n, slots] as in `state.policy.base.Choices`, like the next.
        sizes: [n]
    """
    found = np.empty((sizes.sum(), CONTEXT_SIZE), np.uint8)
    at = 0
    for row in range(sizes.size):
        for place in range(sizes[row]):
            found[at] = contexts[row, indices[row, place]]
            at += 1
    return found
