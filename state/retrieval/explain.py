"""Why an item is a candidate: each source's part of its score, taken apart by who spoke for it.

The shares of an item's neighbours sum to what the kernels contribute:
`tests/state/retrieval/test_explain.py`.
"""

from collections.abc import Iterable

import numpy as np
from msgspec import Struct

from state.models import Models
from state.retrieval.arrays import Ints
from state.retrieval.blend import Query
from state.retrieval.votes import (
    EVERY,
    category_votes,
    content_votes,
    history_votes,
    hour_votes,
    popular_votes,
    rule_votes,
    session_votes,
    two_hop_votes,
)


class LikeSession(Struct, frozen=True):
    """A session like the current one that holds the item."""

    number: int
    """Sequence number in the index; a later session has a higher one."""
    time: int
    """Its latest event, epoch milliseconds."""
    share: float
    """Part of the item's score."""
    common: tuple[str, ...]
    """Items that it has in common with the current session, oldest first."""


class Rule(Struct, frozen=True):
    """An item of the current session which this one follows or precedes."""

    item_id: str
    steps_back: int
    """1 for the item the session is at."""
    share: float


class TwoHop(Struct, frozen=True):
    """An item that has a rule with the current session, and with this one."""

    item_id: str
    share: float


class Popular(Struct, frozen=True):
    """A place among the most popular items: of all, of its category, or of this hour of the day."""

    rank: int
    """1-based."""
    share: float


class Alike(Struct, frozen=True):
    """An item of the current session of which the catalogue says much the same."""

    item_id: str
    steps_back: int
    """1 for the item the session is at."""
    share: float


class OwnItem(Struct, frozen=True):
    """The user turned to the item in a former session."""

    steps_back: int
    """1 for the latest item of former sessions."""
    share: float


class Explanation(Struct, frozen=True, kw_only=True):
    """Who speaks for an item, and with how much of its score. Shares of all sum to the score."""

    item_id: str
    sessions: tuple[LikeSession, ...] = ()
    """Those with the largest shares first, as many as were asked for."""
    session_count: int = 0
    """Sessions that speak for it, the ones left out of `sessions` included."""
    session_share: float = 0.0
    """Share of all of them together."""
    rules: tuple[Rule, ...] = ()
    """The largest share first."""
    popularity: Popular | None = None
    history: OwnItem | None = None
    two_hops: tuple[TwoHop, ...] = ()
    """The largest share first."""
    category: Popular | None = None
    hour: Popular | None = None
    alike: tuple[Alike, ...] = ()
    """The largest share first."""


def explain(
    models: Models, query: Query, item_ids: Iterable[str], *, limit: int = EVERY
) -> tuple[Explanation, ...]:
    """Explain the scores of these items in the answer to `query`, as `retrieve` would give it now.

    Args:
        models: They are only read.
        query: As for `retrieve`; `exclude` and `size` change no score.
        item_ids: What to explain; an item that nobody speaks for gets an explanation without neighbours.
        limit: Most sessions named per item.
    """
    session = models.dense_ids(query.session[::-1])
    history = models.dense_ids(query.history[::-1])
    own = models.session_sequence(query.session_key)
    return _Explainer(models, session, history, own, query.now).explanations(item_ids, limit)


class _Explainer:
    """The votes of all sources for one query."""

    def __init__(self, models: Models, session: Ints, history: Ints, own: int, now: int) -> None:
        self._models = models
        self._session = session
        self._votes = (
            session_votes(models, session, own),
            rule_votes(models, session),
            popular_votes(models),
            history_votes(models, history),
            two_hop_votes(models, session),
            category_votes(models, session),
            hour_votes(models, now),
            content_votes(models, session),
        )
        weights = models.config.source_weights()
        self._factors = tuple(
            [votes.factor(weight, models.n_items) for votes, weight in zip(self._votes, weights, strict=True)]
        )

    def explanations(self, item_ids: Iterable[str], limit: int) -> tuple[Explanation, ...]:
        ids = self._models.items.ids
        return tuple(
            [
                Explanation(item_id=item_id)
                if (dense := ids.get(item_id)) is None
                else self._of(dense, limit)
                for item_id in item_ids
            ]
        )

    def _of(self, item: int, limit: int) -> Explanation:
        names = self._models.item_ids
        sessions, rules, popularity, history, two_hops, category, hour, alike = self._shares(item)
        return Explanation(
            item_id=names[item],
            sessions=tuple([self._like(slot, share) for slot, share in sessions[:limit]]),
            session_count=len(sessions),
            session_share=sum(share for _, share in sessions),
            rules=tuple([Rule(self._name(back), back + 1, share) for back, share in rules]),
            popularity=_popular(popularity),
            history=next((OwnItem(back + 1, share) for back, share in history), None),
            two_hops=tuple([TwoHop(names[through], share) for through, share in two_hops]),
            category=_popular(category),
            hour=_popular(hour),
            alike=tuple([Alike(self._name(back), back + 1, share) for back, share in alike]),
        )

    def _shares(self, item: int) -> list[list[tuple[int, float]]]:
        """For each source, who speaks for the item and with how much, the largest share first."""
        repeat = self._repeat(item)
        return [
            [(voter, repeat * factor * score) for voter, score in votes.of(item)] if factor else []
            for votes, factor in zip(self._votes, self._factors, strict=True)
        ]

    def _name(self, back: int) -> str:
        return self._models.item_ids[int(self._session[back])]

    def _repeat(self, item: int) -> float:
        config = self._models.config
        if self._session.size and item == self._session[0]:
            return config.repeat_current_weight
        return config.repeat_earlier_weight if item in self._session else 1.0

    def _like(self, slot: int, share: float) -> LikeSession:
        index, names = self._models.sessions, self._models.item_ids
        newest = int(index.counters[0]) - 1
        number = newest - ((newest - slot) & (self._models.config.max_sessions - 1))
        row = index.rows[slot, : index.size[slot]]
        common = row[np.isin(row, self._session)].tolist()
        return LikeSession(number, int(index.time[slot]), share, tuple([names[item] for item in common]))


def _popular(shares: list[tuple[int, float]]) -> Popular | None:
    return next((Popular(rank, share) for rank, share in shares), None)
