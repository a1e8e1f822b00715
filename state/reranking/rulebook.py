"""Rules over the items of one worker's models: tables by item and category, and the step that applies them.

The step is a deterministic function of candidates and rules. It runs before the policy, which then draws from
what it left, so that propensities are exact whatever the rules are; only limits reach into the draw, where
each position is drawn among the candidates that they leave (`state.policy.limits`).
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from msgspec import UNSET, UnsetType

from state.models import Models
from state.policy.base import Choices
from state.policy.limits import Limits
from state.reranking.rerank import NO_FACTORS, count_capped, rerank_all
from state.reranking.rules import FACTORS, Rules, nearest
from state.retrieval.arrays import Floats, Ints, resized
from state.retrieval.blend import Ranked
from state.slate import SlateRules

POOL: Final = 4
"""Candidates looked at for each one that is kept: room for exclusions, limits and boosts from below."""
UNLIMITED: Final = -1
_NOBODY: Final = (np.zeros(0, np.int32), np.zeros(0, np.int32))


class Reranked(NamedTuple):
    """Candidates after the rules, a row for each query."""

    ranked: Ranked
    """Scores are those after the rules; contributions still sum to the scores before them."""
    factors: Floats
    """[n, size, len(FACTORS)] what made the one of the other; `NO_FACTORS` where there are no rules."""
    limits: Limits | None
    """None where nothing is limited."""
    version: str
    """Of the rules; empty where there are none."""
    excluded: Ints
    """[n] candidates that are on an exclusion list."""
    passed_over: Ints
    """[n] candidates that did not fit the list because of their category's limit."""

    def said(self, choices: Choices) -> Sequence[SlateRules | UnsetType]:
        """What the slates [n] say of the rules, once they are drawn."""
        if not self.version:
            return [UNSET] * len(choices.sizes)
        capped = self.passed_over
        if self.limits is not None:
            counts = self.ranked.counts
            capped = capped + count_capped(counts, *self.limits, choices.indices, choices.sizes)
        counted = zip(self.excluded.tolist(), capped.tolist(), strict=True)
        return [SlateRules(self.version, excluded, capped) for excluded, capped in counted]


class Rulebook:
    """Rules, ready for the kernel. It follows the models: new items and categories are looked up once.

    Args:
        rules: What is laid down.
        models: Whose items and categories; only read.
    """

    def __init__(self, rules: Rules, models: Models) -> None:
        self.rules: Final = rules
        self.version: Final = rules.version if rules != Rules() else ""
        """Empty where there are no rules."""
        self._models = models
        self._items = 0
        self._categories = 0
        self._by_item: Floats = np.ones(0, np.float32)
        self._by_category: Floats = np.ones(0, np.float32)
        self._group_of: Ints = np.zeros(0, np.int32)
        self._groups: dict[str, int] = {}
        self._most: list[int] = []

    def pool(self, size: int) -> int:
        """Candidates to look at, where `size` are wanted."""
        return POOL * size if self.version else size

    def rerank(self, ranked: Ranked, *, slots: int, size: int) -> Reranked:
        """Apply the rules to candidates, and keep the best `size` of each query for slates of `slots`.

        Of a limited category at most `limit * size // slots` are kept. So a full list fills a slate, whatever
        the policy draws from it (docs/decisions/reranking.md).
        """
        if not self.version:
            return Reranked(ranked, NO_FACTORS, None, "", *_NOBODY)
        self._follow()
        rows, most = ranked.scores.shape
        size = min(size, most)
        kept = Ranked(
            np.empty((rows, size), np.int32),
            np.zeros((rows, size), np.float32),
            np.empty((rows, size, ranked.contributions.shape[2]), np.float32),
            np.empty(rows, np.int32),
        )
        factors = np.ones((rows, size, len(FACTORS)), np.float32)
        groups = np.full((rows, size), UNLIMITED, np.int32)
        excluded, passed_over = np.empty(rows, np.int32), np.empty(rows, np.int32)
        limits = np.array(self._most, np.int32)
        rerank_all(
            *ranked,
            self._models.categories.codes(self._models.n_items),
            self._by_item,
            self._by_category,
            self._group_of,
            np.maximum(limits, limits * size // max(1, slots)).astype(np.int32),
            1.0 - self.rules.diversity,
            *kept,
            factors,
            groups,
            excluded,
            passed_over,
        )
        limited = Limits(groups, limits) if self.rules.is_limiting else None
        return Reranked(kept, factors, limited, self.version, excluded, passed_over)

    def _follow(self) -> None:
        """Look up what came to the models since the last time."""
        names = self._models.categories.names
        if len(names) > self._categories:
            new = names[self._categories :]
            self._by_category = np.append(self._by_category, [self._boost_of(name) for name in new]).astype(
                np.float32
            )
            self._group_of = np.append(self._group_of, [self._group(name) for name in new]).astype(np.int32)
            self._categories = len(names)
        strings = self._models.item_ids
        if len(strings) > self._items:
            if len(strings) > self._by_item.size:
                grown = resized(self._by_item, max(1024, 2 * len(strings)))
                grown[self._items :] = 1.0
                self._by_item = grown
            boosts, excluded = self.rules.boosts, self.rules.exclude
            if boosts or excluded:
                for item, name in enumerate(strings[self._items :], self._items):
                    self._by_item[item] = 0.0 if name in excluded else boosts.get(name, 1.0)
            self._items = len(strings)

    def _boost_of(self, category: str) -> float:
        """Factor on a category's scores; 0 for one that is excluded."""
        if nearest(category, self.rules.exclude_categories) is not None:
            return 0.0
        found = nearest(category, self.rules.category_boosts)
        return 1.0 if found is None else self.rules.category_boosts[found]

    def _group(self, category: str) -> int:
        """Group of a category's items, a new one where it is the first of a limit."""
        if category == "":
            return UNLIMITED
        named = nearest(category, self.rules.category_limits)
        most = self.rules.category_limit if named is None else self.rules.category_limits[named]
        if most is None:
            return UNLIMITED
        group = self._groups.setdefault(named or category, len(self._groups))
        if group == len(self._most):
            self._most.append(most)
        return group
