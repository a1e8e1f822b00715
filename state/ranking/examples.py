"""What a ranker learns from: lists of candidates with their features, and what each turned out to be worth.

Two ways to them. From queries with their answers: what `Models` find for the beginning of a session, and what
came next. From the decision log: the items of a slate, and the rewards that answered it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.ranking.features import FEATURE_SET, FEATURES, N_FEATURES, featurise
from state.retrieval.arrays import Doubles, Floats, Ints
from state.retrieval.blend import Query, Ranked
from state.slate import Reward, Slate

if TYPE_CHECKING:
    from state.models import Models

Bools = NDArray[np.bool_]

MOST_LABEL: Final = 31
"""Labels are whole numbers up to this; rewards are rounded to them."""
_BLEND: Final = FEATURES.index("blend")


class Examples(NamedTuple):
    """Lists of candidates, in the order of time. Every list has a label above 0."""

    features: Floats
    """[rows, N_FEATURES]"""
    labels: Ints
    """[rows] what the candidate was worth, in [0, `MOST_LABEL`]."""
    positions: Ints
    """[rows] where it was shown, from 1; 0 where nothing was shown."""
    sizes: Ints
    """[lists] rows of each."""

    def split(self, share: float) -> tuple["Examples", "Examples"]:
        """The first `share` of the lists, and the rest."""
        lists = int(share * self.sizes.size)
        rows = int(self.sizes[:lists].sum())
        first = Examples(self.features[:rows], self.labels[:rows], self.positions[:rows], self.sizes[:lists])
        rest = Examples(self.features[rows:], self.labels[rows:], self.positions[rows:], self.sizes[lists:])
        return first, rest

    @classmethod
    def joined(cls, parts: Sequence["Examples"]) -> "Examples":
        """All lists of these, one after the other."""
        if not parts:
            nothing = np.zeros(0, np.int32)
            return cls(np.zeros((0, N_FEATURES), np.float32), nothing, nothing, nothing)
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class Quality(NamedTuple):
    """How well an order puts what was worth something on top; means over lists."""

    ndcg: float
    """At 10, a label being its gain."""
    mrr: float
    """Reciprocal place of the first candidate worth anything."""


def answered_examples(
    models: "Models", queries: Sequence[Query], ranked: Ranked, answers: Sequence[Collection[str]]
) -> Examples:
    """A list for each query: what was found for it, and the items that came next.

    Queries whose candidates hold none of these are left out: no order of them is better than another.

    Args:
        models: What found the candidates; they must not know what came next.
        queries: In the order of time.
        ranked: What `retrieve_all` found for them.
        answers: Item ids that came next, for each query.
    """
    featured = featurise(models, queries, ranked)
    is_there: Bools = np.arange(ranked.items.shape[1])[None, :] < ranked.counts[:, None]
    labels = np.zeros(is_there.shape, np.int32)
    for row, answer in enumerate(answers):
        labels[row] = np.isin(ranked.items[row], models.dense_ids(answer))
    is_there &= np.any(labels * is_there, axis=1, keepdims=True)
    sizes = is_there.sum(axis=1)
    return Examples(
        featured.values.transpose(0, 2, 1)[:, : is_there.shape[1]][is_there],
        labels[is_there],
        np.zeros(int(sizes.sum()), np.int32),
        sizes[sizes > 0].astype(np.int32),
    )


def logged_examples(slates: Iterable[Slate], rewards: Iterable[Reward]) -> Examples:
    """A list for each slate that earned something and says its features: its items, and their rewards.

    Slates without a reward teach no order. What an item earned for where it stood is left to the training,
    which is told the position.

    Args:
        slates: In the order of time; a slate that comes again counts once.
        rewards: That answer them; several for one item add up, and what is taken back counts as nothing.
    """
    earned: dict[tuple[str, str], float] = defaultdict(float)
    for reward in rewards:
        earned[reward.slate_id, reward.item_id] += reward.reward
    parts = []
    seen: set[str] = set()
    for slate in slates:
        if slate.feature_set != FEATURE_SET or slate.slate_id in seen:
            continue
        seen.add(slate.slate_id)
        worth = [earned.get((slate.slate_id, item.item_id), 0.0) for item in slate.items]
        labels = np.clip(np.rint(worth), 0, MOST_LABEL).astype(np.int32)
        known = [item.features for item in slate.items if item.features]
        if labels.any() and len(known) == labels.size:
            features = np.array(known, np.float32)
            positions = np.array([item.position for item in slate.items], np.int32)
            parts.append(Examples(features, labels, positions, np.array([labels.size], np.int32)))
    return Examples.joined(parts)


def quality(examples: Examples, scores: Doubles | Floats) -> Quality:
    """How well these scores [rows] order the lists; equals stay as they are."""
    ndcg = reciprocal = 0.0
    start = 0
    discounts = 1.0 / np.log2(np.arange(10) + 2.0)
    for size in examples.sizes.tolist():
        labels = examples.labels[start : start + size]
        ranked = labels[np.argsort(-scores[start : start + size], kind="stable")]
        best = np.sort(labels)[::-1]
        top = min(10, size)
        ndcg += float(ranked[:top] @ discounts[:top]) / float(best[:top] @ discounts[:top])
        reciprocal += 1.0 / (1 + int(np.argmax(ranked > 0)))
        start += size
    lists = max(1, examples.sizes.size)
    return Quality(ndcg / lists, reciprocal / lists)


def blended(examples: Examples) -> Floats:
    """[rows] scores of the blend, to compare with."""
    return examples.features[:, _BLEND]
