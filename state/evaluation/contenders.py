"""What is compared: anything that learns from deltas and answers queries.

To add a configuration by name, write a class with the three members of `Contender` and register a function
that makes one in `state/evaluation/baselines/registry.py`, or give `Engine` another `ModelConfig`, fewer
sources or a step after retrieval.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, Protocol, TypeAlias

import numpy as np
from msgspec.structs import replace

from state.catalogue import CatalogueItem
from state.models import Models
from state.retrieval.arrays import Ints
from state.retrieval.blend import SOURCES, Query, Ranked, retrieve_all
from state.retrieval.config import SOURCE_WEIGHTS, ModelConfig
from state.slate import Delta

LIST_SIZE: Final = 20
"""Items of a list that is judged."""
CANDIDATES: Final = 60
"""Candidates of a worker's slate, of which a list is the best: ties are cut as they are there."""

Rerank: TypeAlias = Callable[[Models, Sequence[Query], Ranked], Ranked]
"""A step between retrieval and list, such as a learned ranker; keeps the shapes."""


class Contender(Protocol):
    """A recommender under evaluation."""

    @property
    def item_ids(self) -> Sequence[str]:
        """Item id by the contender's own number; only ever appended to."""
        ...

    def learn(self, deltas: Iterable[Delta]) -> None:
        """Fold what happened, in order. May be nothing."""
        ...

    def rank(self, queries: Sequence[Query], size: int) -> Ints:
        """The best items for each query.

        Returns:
            [len(queries), at most size] own numbers, best first, -1 where there are fewer.
        """
        ...


class Engine:
    """The engine itself: `Models` and retrieval as in a worker.

    Args:
        config: Parameters of the models.
        sources: Names of the candidate sources to use; the others weigh 0, these 1 where the configuration
            has them off, and items that none of these scores are not in a list. All where not given.
        catalogue: Items that the shop has from the beginning.
        rerank: A step after retrieval.

    Raises:
        ValueError: There is no such source.
    """

    def __init__(
        self,
        config: ModelConfig | None = None,
        *,
        sources: Collection[str] | None = None,
        catalogue: Mapping[str, CatalogueItem] | None = None,
        rerank: Rerank | None = None,
    ) -> None:
        if unknown := sorted(set(sources or ()) - set(SOURCES)):
            message = f"there is no source {', '.join(unknown)}; known are {', '.join(SOURCES)}"
            raise ValueError(message)
        self.models: Final = Models(_with_sources(config or ModelConfig(), sources))
        self._rerank = rerank
        self._least = -1.0 if sources is None else 0.0
        for item_id, item in (catalogue or {}).items():
            self.models.upsert_item(item_id, item)

    @property
    def item_ids(self) -> Sequence[str]:
        """Item id by dense id."""
        return self.models.item_ids

    def learn(self, deltas: Iterable[Delta]) -> None:
        """Fold deltas, as a replica does."""
        self.models.learn(deltas)

    def rank(self, queries: Sequence[Query], size: int) -> Ints:
        """The first of a worker's candidates for each query."""
        found = retrieve_all(self.models, queries, max(size, CANDIDATES))
        if self._rerank is not None:
            found = self._rerank(self.models, queries, found)
        width = min(size, found.items.shape[1])
        listed = (np.arange(width) < found.counts[:, None]) & (found.scores[:, :width] > self._least)
        return np.where(listed, found.items[:, :width], -1).astype(np.int32)


def _with_sources(config: ModelConfig, sources: Collection[str] | None) -> ModelConfig:
    """The configuration with these sources alone."""
    if sources is None:
        return config
    weights = {field: getattr(config, field) or 1.0 for field in SOURCE_WEIGHTS.values()}
    return replace(
        config,
        **{field: weights[field] if name in sources else 0.0 for name, field in SOURCE_WEIGHTS.items()},
    )
