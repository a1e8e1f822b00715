"""Who proposed which item with which score: the sources' formulas once more, in numpy.

For `explain`, and for a person who reads: milliseconds, where a slate has microseconds.
"""

from collections.abc import Sequence
from math import exp, log, sqrt
from typing import Final, NamedTuple

import numpy as np

from state.models import Models
from state.retrieval.arrays import Ints
from state.retrieval.hour import hour_of
from state.retrieval.sessions import SEQUENCE_MASK

EVERY: Final = 1 << 31
"""A limit that is none."""


class Votes(NamedTuple):
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
        scores: dict[int, float] = {}
        for voter, score in zip(self.voter[found].tolist(), self.score[found].tolist(), strict=True):
            scores[voter] = scores.get(voter, 0.0) + score
        return sorted(scores.items(), key=lambda vote: -vote[1])


def session_votes(models: Models, session: Ints, own: int) -> Votes:
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


def rule_votes(models: Models, session: Ints) -> Votes:
    """`rules.add_rules`; a voter is an item's steps back in the session, from 0."""
    rules, config = models.rules, models.config
    items: list[int] = []
    voters: list[int] = []
    scores: list[float] = []
    for back, item in enumerate(session[: config.rule_steps].tolist()):
        total = float(rules.total[item])
        if total > 0.0:
            row = _row(models, item)
            factor = exp(-back / config.rule_query_decay_steps) / sqrt(total)
            items += rules.target[row].tolist()
            voters += [back] * (row.stop - row.start)
            scores += (factor * rules.weight[row].astype(np.float64)).tolist()
    return _votes(items, voters, scores)


def two_hop_votes(models: Models, session: Ints) -> Votes:
    """`two_hop.add_two_hop`; a voter is the item gone through."""
    rules, config = models.rules, models.config
    # float32 and the kernel's order of summation: who is the last one gone through can hang on a last bit.
    score = np.zeros(models.n_items, np.float32)
    for back, item in enumerate(session[: config.rule_steps].tolist()):
        if rules.total[item] > 0.0:
            row = _row(models, item)
            factor = exp(-back / config.rule_query_decay_steps) / sqrt(float(rules.total[item]))
            targets = rules.target[row]
            score[targets] = score[targets] + factor * rules.weight[row].astype(np.float64)
    best = np.argsort(-score, kind="stable")[: config.two_hop_through]
    items: list[int] = []
    voters: list[int] = []
    scores: list[float] = []
    best = best[(score[best] > 0.0) & (rules.total[best] > 0.0)]
    for through in best.tolist():
        row = _row(models, through, config.two_hop_targets)
        factor = float(score[through]) / sqrt(float(rules.total[through]))
        items += rules.target[row].tolist()
        voters += [through] * (row.stop - row.start)
        scores += (factor * rules.weight[row].astype(np.float64)).tolist()
    return _votes(items, voters, scores)


def _row(models: Models, item: int, limit: int = EVERY) -> slice:
    """Where the strongest targets of an item are."""
    start = int(models.rules.offset[item])
    return slice(start, start + min(limit, int(models.rules.kept[item])))


def popular_votes(models: Models) -> Votes:
    """`popularity.add_popular`; a voter is the item's rank."""
    return _votes(*_pool(models, 0))


def category_votes(models: Models, session: Ints) -> Votes:
    """`category.add_category`; a voter is the item's rank in its category."""
    config = models.config
    interest: dict[int, float] = {}
    for back, item in enumerate(session[: config.category_items].tolist()):
        category = int(models.popularity.category[item])
        interest[category] = interest.get(category, 0.0) + exp(-back / config.category_decay_steps)
    items: list[int] = []
    voters: list[int] = []
    scores: list[float] = []
    for category, weight in interest.items():
        if category:
            its, ranks, relative = _pool(models, category)
            items += its
            voters += ranks
            scores += [weight * score for score in relative]
    return _votes(items, voters, scores)


def _pool(models: Models, number: int) -> tuple[list[int], list[int], list[float]]:
    """Items of a pool, their ranks from 1, and their popularity over the largest."""
    popularity = models.popularity
    pool = popularity.pool[number, : int(popularity.counters[number])]
    score = popularity.score[pool]
    ranked = np.argsort(-score, kind="stable")
    top = float(score.max(initial=0.0)) or 1.0
    return pool[ranked].tolist(), list(range(1, pool.size + 1)), (score[ranked] / top).tolist()


def hour_votes(models: Models, now: int) -> Votes:
    """`hour.add_hour`; a voter is the item's rank."""
    hours, hour = models.hours, hour_of(now)
    count = min(models.config.popularity_pool, int(hours.kept[hour])) if now > 0 else 0
    weight = hours.weight[hour, :count].astype(np.float64)
    top = float(weight.max(initial=0.0)) or 1.0
    return _votes(hours.target[hour, :count].tolist(), list(range(1, count + 1)), (weight / top).tolist())


def content_votes(models: Models, session: Ints) -> Votes:
    """`content.add_content`; a voter is an item's steps back in the session, from 0."""
    content, config = models.content, models.config
    items: list[int] = []
    voters: list[int] = []
    scores: list[float] = []
    for back, item in enumerate(session[: config.content_items].tolist()):
        size = int(content.size[item])
        for feature in content.features[item, :size].tolist():
            start, listed = int(content.offset[feature]), int(content.listed[feature])
            alike = content.item[start : start + listed]
            idf = log((int(content.counters[0]) + 1.0) / int(content.items_of[feature]))
            known = 1.0 + models.sessions.sessions_of[alike] / config.content_fade_sessions
            factor = exp(-back / config.content_decay_steps) * idf
            items += alike.tolist()
            voters += [back] * listed
            scores += (factor / np.sqrt(size * content.size[alike]) / known).tolist()
    return _votes(items, voters, scores)


def history_votes(models: Models, history: Ints) -> Votes:
    """`history.add_history`; a voter is the item's steps back, from 0."""
    config = models.config
    items = history[: config.history_items].tolist()
    steps = range(len(items))
    return _votes(items, list(steps), [exp(-back / config.history_decay_steps) for back in steps])


def _votes(items: Sequence[int], voters: Sequence[int], scores: Sequence[float]) -> Votes:
    return Votes(np.array(items, np.int32), np.array(voters, np.int32), np.array(scores, np.float64))
