"""Why an item is a candidate: each source's part of its score, taken apart by who spoke for it.

The formulas of `sessions`, `rules`, `popularity`, `history` and `blend` once more in numpy, so that the
shares of an item's neighbours sum to what the kernels contribute (`tests/state/retrieval/test_explain.py`).
For a few items and a person who reads: milliseconds, where a slate has microseconds.
"""

from collections.abc import Iterable, Sequence
from math import exp, log, sqrt
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct

from state.models import Models
from state.retrieval.arrays import Ints
from state.retrieval.blend import Query
from state.retrieval.sessions import SEQUENCE_MASK

EVERYONE: Final = 1 << 31
"""A limit on neighbours that is none."""


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


class Popular(Struct, frozen=True):
    """A place among the most popular items."""

    rank: int
    """1-based."""
    relative: float
    """Decayed interactions over those of the most popular item, (0, 1]."""
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


class _Votes(NamedTuple):
    """One source: who proposed which item with which score, before scaling. All [n] but `total`."""

    item: Ints
    voter: Ints
    """What a number means is the source's business."""
    score: "np.ndarray[tuple[int], np.dtype[np.float64]]"

    def factor(self, weight: float, items: int) -> float:
        """`weight` over the largest score of any of the `items`; 0 where nobody votes."""
        if not self.item.size:
            return 0.0
        top = float(np.bincount(self.item, self.score, items).max())
        return weight / top if top > 0.0 else 0.0

    def of(self, item: int) -> list[tuple[int, float]]:
        """Voters for one item and their scores, the largest first."""
        found = np.flatnonzero(self.item == item)
        ranked = found[np.argsort(-self.score[found], kind="stable")]
        return list(zip(self.voter[ranked].tolist(), self.score[ranked].tolist(), strict=True))


def explain(
    models: Models, query: Query, item_ids: Iterable[str], *, limit: int = EVERYONE
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
    return _Explainer(models, session, history, own).explanations(item_ids, limit)


class _Explainer:
    """The votes of all sources for one query."""

    def __init__(self, models: Models, session: Ints, history: Ints, own: int) -> None:
        config, items = models.config, models.n_items
        self._models = models
        self._session = session
        self._sessions = _session_votes(models, session, own)
        self._rules = _rule_votes(models, session)
        self._popular = _popular_votes(models)
        self._history = _history_votes(models, history)
        self._factors = (
            self._sessions.factor(1.0, items),
            self._rules.factor(config.rule_weight, items),
            self._popular.factor(config.popularity_weight, items),
            self._history.factor(config.history_weight, items),
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
        repeat = self._repeat(item)
        by_session, by_rule, by_popularity, by_history = (repeat * factor for factor in self._factors)
        sessions = self._sessions.of(item)
        return Explanation(
            item_id=names[item],
            sessions=tuple([self._like(slot, by_session * score) for slot, score in sessions[:limit]]),
            session_count=len(sessions),
            session_share=by_session * sum(score for _, score in sessions),
            rules=tuple(
                [
                    Rule(names[self._session[back]], back + 1, by_rule * score)
                    for back, score in self._rules.of(item)
                ]
            ),
            popularity=next(
                (Popular(rank, score, by_popularity * score) for rank, score in self._popular.of(item)), None
            ),
            history=next(
                (OwnItem(back + 1, by_history * score) for back, score in self._history.of(item)), None
            ),
        )

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


def _session_votes(models: Models, session: Ints, own: int) -> _Votes:
    """`sessions.add_neighbours`; a voter is a session's slot."""
    index, config = models.sessions, models.config
    current = set(session.tolist())
    log_sessions = log(min(int(index.counters[0]), config.max_sessions) + 1.0)
    items: list[int] = []
    voters: list[int] = []
    scores: list[float] = []
    for slot, vote in _neighbours(models, session, own):
        row = index.rows[slot, : index.size[slot]].tolist()
        match = max((place for place, item in enumerate(row) if item in current), default=0)
        for place, item in enumerate(row):
            idf = max(0.0, log_sessions - float(index.log_sessions_of[item]))
            items.append(item)
            voters.append(slot)
            scores.append(vote * _place(models, place - match) * (1.0 + config.idf_weight * idf))
    return _votes(items, voters, scores)


def _place(models: Models, after: int) -> float:
    """Factor of an item so many places after the neighbour's last match."""
    config = models.config
    if after < 0:
        return config.before_weight * exp(after / config.before_decay_steps)
    return exp(-after / config.after_decay_steps)


def _neighbours(models: Models, session: Ints, own: int) -> list[tuple[int, float]]:
    """Slot and vote of the sessions most like the current one, over the most similar one's."""
    index, config = models.sessions, models.config
    newest = int(index.counters[0]) - 1
    log_sessions = log(min(newest + 1, config.max_sessions) + 1.0)
    # float32 and the kernel's order of summation: who is the last neighbour can hang on a last bit.
    base = np.zeros(index.size.size, np.float32)
    first: dict[int, int] = {}
    for back, item in enumerate(session[: config.query_items].tolist()):
        idf = max(0.0, log_sessions - float(index.log_sessions_of[item]))
        match = float(np.float32(np.exp(-back / config.match_decay_steps)))
        share = np.float32(match * idf**config.idf_exponent)
        if share <= 0.0:
            continue
        start = int(index.offset[item])
        posted = index.postings[start : start + int(index.posted[item])].astype(np.int64)
        age = (newest - posted) & SEQUENCE_MASK
        slots = posted[(age < config.max_sessions) & (newest - age != own)] & (config.max_sessions - 1)
        np.add.at(base, slots, share)
        for slot in slots.tolist():
            first.setdefault(slot, back)
    met = np.array(list(first), np.int64)
    similarity = base[met] * index.weight[met]
    chosen = np.argsort(-similarity, kind="stable")[: config.neighbours]
    top = float(similarity[chosen].max(initial=0.0))
    return [
        (slot, (value / top) ** config.similarity_exponent * exp(-first[slot] / config.vote_decay_steps))
        for slot, value in zip(met[chosen].tolist(), similarity[chosen].tolist(), strict=True)
        if value > 0.0
    ]


def _rule_votes(models: Models, session: Ints) -> _Votes:
    """`rules.add_rules`; a voter is an item's steps back in the session, from 0."""
    rules, config = models.rules, models.config
    items: list[int] = []
    voters: list[int] = []
    scores: list[float] = []
    for back, item in enumerate(session[: config.rule_steps].tolist()):
        total = float(rules.total[item])
        if total > 0.0:
            start, kept = int(rules.offset[item]), int(rules.kept[item])
            factor = exp(-back / config.rule_query_decay_steps) / sqrt(total)
            items += rules.target[start : start + kept].tolist()
            voters += [back] * kept
            scores += (factor * rules.weight[start : start + kept].astype(np.float64)).tolist()
    return _votes(items, voters, scores)


def _popular_votes(models: Models) -> _Votes:
    """`popularity.add_popular`; a voter is the item's rank."""
    popularity = models.popularity
    pool = popularity.pool[: int(popularity.counters[0])]
    score = popularity.score[pool]
    ranked = np.argsort(-score, kind="stable")
    top = float(score.max(initial=0.0)) or 1.0
    return _votes(pool[ranked].tolist(), list(range(1, pool.size + 1)), (score[ranked] / top).tolist())


def _history_votes(models: Models, history: Ints) -> _Votes:
    """`history.add_history`; a voter is the item's steps back, from 0."""
    config = models.config
    items = history[: config.history_items].tolist()
    steps = range(len(items))
    return _votes(items, list(steps), [exp(-back / config.history_decay_steps) for back in steps])


def _votes(items: Sequence[int], voters: Sequence[int], scores: Sequence[float]) -> _Votes:
    return _Votes(np.array(items, np.int32), np.array(voters, np.int32), np.array(scores, np.float64))
