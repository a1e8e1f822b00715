"""What a candidate source from outside is: a shop's own way to find items (docs/plugins.md)."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import isfinite
from typing import NamedTuple

from state.catalogue import CatalogueItem
from state.errors import InvalidProposals
from state.retrieval.blend import Query
from state.slate import Delta


class Proposals(NamedTuple):
    """What a source says to one query."""

    item_ids: Sequence[str]
    """[n] distinct, in any order. The engine leaves out what is unknown, sold out or must not come back."""
    scores: Sequence[float]
    """[n] finite and at least 0, on any scale: they are divided by the largest."""


class CandidateSource(ABC):
    """A way to find items. Inherit it, and override what it needs.

    Its answers depend on the query and on what it was taught, and on nothing else: no clock, no random number
    that the query does not seed. It is called in the worker's event loop, once for all queries of a
    micro-batch: it must not wait, and every microsecond per query is one that each slate takes longer.
    """

    @abstractmethod
    def score(self, queries: Sequence[Query]) -> Sequence[Proposals]:
        """Propose items for each query, in order; more than `Query.size` are of no use."""

    def learn(self, deltas: Sequence[Delta]) -> None:
        """Fold what shoppers did. Every worker gets all of it, each partition in its order."""
        del deltas

    def upsert_item(self, item: CatalogueItem) -> None:
        """Take note of a new or changed item of the catalogue."""
        del item

    def withdraw_item(self, item_id: str) -> None:
        """Take note that an item left the catalogue."""
        del item_id

    def snapshot(self) -> bytes:
        """Everything learned, for `restore`; it is kept with the models' snapshot."""
        return b""

    def restore(self, state: bytes) -> None:
        """Go on where `snapshot` was taken. Called before anything is learned."""
        del state


def checked(answer: Sequence[Proposals], queries: Sequence[Query]) -> Sequence[Proposals]:
    """The answer, if it is as `CandidateSource.score` promises.

    Raises:
        InvalidProposals: It is not.
    """
    if len(answer) != len(queries):
        message = f"{len(answer)} answers to {len(queries)} queries"
        raise InvalidProposals(message)
    for item_ids, scores in answer:
        if len(item_ids) != len(scores):
            message = f"{len(item_ids)} items with {len(scores)} scores"
            raise InvalidProposals(message)
        if len(set(item_ids)) < len(item_ids):
            message = f"an item twice among {list(item_ids)!r}"
            raise InvalidProposals(message[:200])
        _check_values(item_ids, scores)
    return answer


def _check_values(item_ids: Sequence[str], scores: Sequence[float]) -> None:
    """Raise what is wrong with an item or a score of one answer; the usual case is looked at as a whole."""
    if set(map(type, item_ids)) <= {str} and min(scores, default=0.0) >= 0.0 and isfinite(sum(scores)):
        return
    for item_id, score in zip(item_ids, scores, strict=True):
        if not isinstance(item_id, str):
            message = f"{item_id!r} is not an item id"
            raise InvalidProposals(message[:200])
        if not (isfinite(score) and score >= 0.0):
            message = f"score {score!r} of {item_id!r} is not a number from 0 up"
            raise InvalidProposals(message[:200])
