"""What the ranker sees of a candidate: one featuriser for serving, for the decision log and for training.

Every feature is finite and not negative, and a plain quantity rather than its logarithm: trees do not care,
and it is short in the log. What the blend counts relative to its best candidate stays so here.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from state.kernel import kernel, kernel_part
from state.ranking.trees import LANES
from state.retrieval.arrays import Floats, Ints, Longs
from state.retrieval.blend import Query, Ranked
from state.retrieval.box import Box
from state.retrieval.popularity import Popularity
from state.retrieval.rules import Rules
from state.retrieval.weights import SOURCES

if TYPE_CHECKING:
    from state.models import Models

_OWN: Final = (
    "rank",
    "blend",
    "rule_last",
    "rule_before",
    "seen",
    "seen_back",
    "history_back",
    "sessions",
    "popularity",
    "trend",
    "session_items",
    "session_length",
    "last_sessions",
    "last_seen",
)
FEATURES: Final = (*_OWN, *(f"source_{name}" for name in SOURCES))
"""Names of the features, in their order:

- rank: place in the blend, 1 for the best
- blend: blended score over the best candidate's
- rule_last, rule_before: share that leads here of the rules of the session's latest interaction, and of
  the one before it
- seen, seen_back: how often the session turned to the item, and how many steps ago the last time; 0 for never
- history_back: steps back in former sessions; 0 for never
- sessions: sessions in the index that hold the item
- popularity: decayed popularity over that of the most popular item
- trend: popularity per session that holds the item
- session_items, session_length: different items of the current session, and all of its interactions
- last_sessions, last_seen: `sessions` and `seen` of the item the session is at
- source_*: each source's part of the blended score, over the best candidate's score
"""
(
    _RANK,
    _BLEND,
    _RULE_LAST,
    _RULE_BEFORE,
    _SEEN,
    _SEEN_BACK,
    _HISTORY_BACK,
    _SESSIONS,
    _POPULARITY,
    _TREND,
    _SESSION_ITEMS,
    _SESSION_LENGTH,
    _LAST_SESSIONS,
    _LAST_SEEN,
) = range(len(_OWN))
_FIRST_SOURCE: Final = len(_OWN)
_SOURCE_COUNT: Final = len(SOURCES)
N_FEATURES: Final = len(FEATURES)
FEATURE_SET: Final = blake2b("\n".join(FEATURES).encode(), digest_size=4).hexdigest()
"""8 hex digits over the names: logged features, and trees over them, of another set mean something else."""


class Featured(NamedTuple):
    """Features of the candidates of many queries."""

    items: Ints
    """[n, size] dense ids, as in `Ranked`."""
    values: Floats
    """[n, N_FEATURES, lanes] a row of candidates for each feature: what a tree compares lies side by side.
    Beyond a query's count undefined; whole `trees.LANES` for all candidates."""
    counts: Ints
    """[n] candidates of each query."""

    def of(self, row: int) -> Floats:
        """[count, N_FEATURES] features of one query's candidates."""
        return self.values[row, :, : self.counts[row]].T


def featurise(models: "Models", queries: Sequence[Query], ranked: Ranked) -> Featured:
    """Features of what `retrieve_all` found for these queries, the models being the same; one kernel call."""
    rows, size = ranked.items.shape
    values = np.empty((rows, N_FEATURES, -(-size // LANES) * LANES), np.float32)
    entries, ends = _columns(models, queries)
    _featurise(
        models.box, entries, ends, ranked.items, ranked.scores, ranked.contributions, ranked.counts, values
    )
    return Featured(ranked.items, values, ranked.counts)


def _columns(models: "Models", queries: Sequence[Query]) -> tuple[Ints, Longs]:
    """Dense ids of histories and sessions, -1 for an unknown item, and the end of each query's two [n, 2]."""
    names: list[str] = []
    ends: list[int] = []
    for query in queries:
        names += query.history
        ends.append(len(names))
        names += query.session
        ends.append(len(names))
    id_of = models.items.ids.get
    return (
        np.array([id_of(name, -1) for name in names], np.int32),
        np.array(ends, np.int64).reshape(-1, 2),
    )


@kernel
def _featurise(
    box: Box,
    entries: Ints,
    ends: Longs,
    items: Ints,
    scores: Floats,
    contributions: Floats,
    counts: Ints,
    values: Floats,
) -> None:
    """Fill `values` for each query; `entries` and `ends` are those of `_columns`."""
    # Once for all queries: numba counts the references of every array of a part each time it is taken out.
    rules, popularity, sessions_of = box.rules, box.popularity, box.sessions.sessions_of
    place_of = box.scratch.ranked
    most = _most_popular(popularity)
    start = 0
    for row in range(counts.size):
        former, end = ends[row]
        session = entries[former:end]
        found, table = items[row, : counts[row]], values[row, :, : counts[row]]
        # Not cleared between queries: `_place` sees whether a place is this query's.
        for i in range(found.size):
            place_of[found[i]] = i
        _judge(popularity, sessions_of, most, found, table)
        _scale(scores[row], contributions[row], table)
        _recall(entries[start:former], found, place_of, table[_HISTORY_BACK])
        _turn(session, found, place_of, table)
        _follow(rules, session, found, place_of, table)
        table[_LAST_SESSIONS, :] = sessions_of[session[-1]] if session.size and session[-1] >= 0 else 0
        start = end


@kernel_part
def _place(item: int, found: Ints, place_of: Ints) -> int:
    """Place of an item among the candidates, -1 where it is none."""
    if item < 0:
        return -1
    place = place_of[item]
    return int(place) if 0 <= place < found.size and found[place] == item else -1


@kernel_part
def _most_popular(popularity: Popularity) -> float:
    """Score of the most popular recommendable item."""
    most = 0.0
    for i in range(popularity.counters[0]):
        most = max(most, popularity.score[popularity.pool[0, i]])
    return most


@kernel_part
def _judge(popularity: Popularity, sessions_of: Ints, most: float, found: Ints, table: Floats) -> None:
    """What is known of an item, whoever asks."""
    for i in range(found.size):
        item = found[i]
        share = popularity.score[item] / most if most > 0.0 else 0.0
        table[_SESSIONS, i] = sessions_of[item]
        table[_POPULARITY, i] = share
        table[_TREND, i] = share / max(1, sessions_of[item])


@kernel_part
def _scale(scores: Floats, contributions: Floats, table: Floats) -> None:
    """What the blend said, relative to its best candidate."""
    count = table.shape[1]
    scale = np.float32(1.0) / scores[0] if count and scores[0] > 0.0 else np.float32(0.0)
    for i in range(count):
        table[_RANK, i] = i + 1
        table[_BLEND, i] = scores[i] * scale
        for source in range(_SOURCE_COUNT):
            table[_FIRST_SOURCE + source, i] = contributions[i, source] * scale


@kernel_part
def _recall(history: Ints, found: Ints, place_of: Ints, backs: Floats) -> None:
    """How far back in former sessions each candidate was."""
    backs[:] = 0.0
    for at in range(history.size):
        place = _place(history[at], found, place_of)
        if place >= 0:
            backs[place] = history.size - at


@kernel_part
def _turn(session: Ints, found: Ints, place_of: Ints, table: Floats) -> None:
    """How the session turned to each candidate, and how long and varied it is."""
    seen, backs = table[_SEEN], table[_SEEN_BACK]
    seen[:] = 0.0
    backs[:] = 0.0
    different = last_seen = 0
    for at in range(session.size):
        place = _place(session[at], found, place_of)
        if place >= 0:
            seen[place] += 1.0
            backs[place] = session.size - at
        is_new = True
        for earlier in range(at):
            is_new = is_new and session[earlier] != session[at]
        different += is_new
        last_seen += session[at] == session[-1]
    table[_SESSION_ITEMS, :] = different
    table[_SESSION_LENGTH, :] = session.size
    table[_LAST_SEEN, :] = last_seen


@kernel_part
def _follow(rules: Rules, session: Ints, found: Ints, place_of: Ints, table: Floats) -> None:
    """Which share of the rules of the session's two latest items leads to each candidate."""
    for back in range(2):
        shares = table[_RULE_LAST + back]
        shares[:] = 0.0
        item = session[session.size - 1 - back] if back < session.size else -1
        if item < 0 or rules.total[item] <= 0.0:
            continue
        start = rules.offset[item]
        for entry in range(start, start + rules.kept[item]):
            place = _place(rules.target[entry], found, place_of)
            if place >= 0:
                shares[place] = rules.weight[entry] / rules.total[item]
