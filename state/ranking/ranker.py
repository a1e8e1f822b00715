"""The learned ranker: candidates of the blend in, in the order of its trees out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from state.kernel import kernel
from state.ranking.features import FEATURE_SET, N_FEATURES, Featured, featurise
from state.ranking.trees import Trees, score_all
from state.retrieval.arrays import Doubles, Floats, Ints
from state.retrieval.blend import Query, Ranked

if TYPE_CHECKING:
    from state.models import Models

LOWEST: Final = 1e-30
"""Least score of a candidate, so that it stays apart from none at all."""


class Ranker:
    """Re-scores and re-orders candidates; the same features give the same order.

    Args:
        trees: Over `features.FEATURES`.
        version: 8 hex digits over the trees, for the slates that it ranked.

    Raises:
        ValueError: The trees look at features that there are not.
    """

    def __init__(self, trees: Trees, version: str) -> None:
        if trees.feature.size and not 0 <= trees.feature.min() <= trees.feature.max() < N_FEATURES:
            message = f"the trees look at features beyond the {N_FEATURES} of feature set {FEATURE_SET}"
            raise ValueError(message)
        self.trees: Final = trees
        self.version: Final = version

    def __call__(self, models: "Models", queries: Sequence[Query], ranked: Ranked) -> Ranked:
        """`rank` what `retrieve_all` found for these queries."""
        return self.rank(ranked, featurise(models, queries, ranked))

    def rank(self, ranked: Ranked, featured: Featured) -> Ranked:
        """The same candidates, by the trees' score; equals stay in the order of the blend.

        A score is e^{s - max s} with s the trees' sum, in [`LOWEST`, 1]: what policies want, which look at
        ratios to the best score. Contributions stay those to the blended score, and no longer sum to the
        score.
        """
        sums = score_all(self.trees, featured.values, featured.counts)
        items, scores = np.empty_like(ranked.items), np.zeros_like(ranked.scores)
        contributions = np.empty_like(ranked.contributions)
        _reorder(sums, ranked.items, ranked.contributions, ranked.counts, items, scores, contributions)
        return Ranked(items, scores, contributions, ranked.counts)


@kernel
def _reorder(
    sums: Doubles,
    old_items: Ints,
    old_contributions: Floats,
    counts: Ints,
    items: Ints,
    scores: Floats,
    contributions: Floats,
) -> None:
    """Fill the rows of the last three by falling sum."""
    order = np.empty(sums.shape[1], np.int32)
    for row in range(counts.size):
        values = sums[row]
        for i in range(counts[row]):
            place = i
            while place > 0 and values[order[place - 1]] < values[i]:
                order[place] = order[place - 1]
                place -= 1
            order[place] = i
        for place in range(counts[row]):
            old = order[place]
            items[row, place] = old_items[row, old]
            scores[row, place] = max(LOWEST, np.exp(values[old] - values[order[0]]))
            contributions[row, place] = old_contributions[row, old]
