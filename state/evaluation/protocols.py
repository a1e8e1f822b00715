"""What is asked of a recommender, when, and what it has learned by then.

Three protocols, one kind of result: queries in order, each with the rows of the log that have been learned
when it is asked.

- `frozen` learns the training sessions, then answers the test sessions without learning from them: that of
  session-rec (Ludewig et al., 2021) and of most published figures.
- `daily` learns besides, at each midnight (UTC), what happened until then.
- `prequential` recommends, scores, then learns, for each event: what a stream can do (Gama et al., 2013;
  Vinagre et al., 2014).

In the first two the sessions of the test period are revealed event by event; the next event's items are the
answer, so a session of n events gives n - 1 queries. `prequential` asks what a worker would answer to a
search at the event's own time: with the user's profile, also before the first event of a session.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from state.evaluation.contenders import LIST_SIZE, Contender
from state.evaluation.log import Bools, Log, LogBuilder
from state.event import POSITIVE_TYPES, Event
from state.profile import MAX_ITEMS, Profile
from state.recommend import RecommendRules, query_of
from state.retrieval.arrays import DAY_MS, Ints, Longs
from state.retrieval.blend import Query
from state.session import SessionRules, fold_event

QUERIES = 1_024
"""Queries ranked by one call at most."""


class Questions(NamedTuple):
    """Queries in the order they are asked, and what followed each."""

    log: Log
    """Rows in the order they are learned."""
    queries: Sequence[Query]
    learned: Longs
    """[n] rows of the log that have been learned when the query is asked; never decreasing."""
    user: Ints
    """[n] number of the user who asked."""
    by_session: Longs
    """[rows] row numbers, session after session."""
    start: Longs
    """[n] place in `by_session` of the event that answers the query."""
    next_end: Longs
    """[n] end of that event."""
    rest_end: Longs
    """[n] end of its session."""


def in_test(log: Log) -> Bools:
    """[rows] whether a row's session has an event in the test period."""
    tested = np.isin(log.session, np.unique(log.session[log.measured]))
    found: Bools = (tested & (log.session != 0)) | log.measured
    return found


def without_new_items(log: Log) -> Log:
    """The log without rows of test sessions about items that no training session has."""
    tested = in_test(log)
    known = np.zeros(len(log.names), np.bool_)
    known[log.item[~tested]] = True
    return log.taken(~tested | known[log.item])


def only_items(events: Iterable[tuple[Event, bool]], names: frozenset[str]) -> Iterator[tuple[Event, bool]]:
    """The events, those of the test period without other items than `names`."""
    for event, measured in events:
        if not measured or not event.items:
            yield event, measured
        elif left := tuple([item for item in event.items if item.item_id in names]):
            yield replace(event, items=left), measured


def frozen(log: Log, *, late_ms: int = 0) -> Questions:
    """Train, then answer the test sessions with what was learned.

    Args:
        log: Of all events.
        late_ms: Leave out training events less than this before the first measured event.
    """
    ordered, train = _arranged(log)
    begin = _begin(ordered)
    learned = int(np.searchsorted(ordered.time[:train], begin - late_ms)) if late_ms else train
    return _session_questions(ordered, train, lambda times: np.full(times.size, learned, np.int64))


def daily(log: Log, *, late_ms: int = 0) -> Questions:
    """Train, then learn at each midnight what happened until `late_ms` before it."""
    ordered, train = _arranged(log)
    begin = _begin(ordered)

    def learned(times: Longs) -> Longs:
        until = times - times % DAY_MS - late_ms
        before = np.searchsorted(ordered.time[:train], until)
        after = train + np.searchsorted(ordered.time[train:], until)
        return np.where(until >= begin, after, before).astype(np.int64)

    return _session_questions(ordered, train, learned)


def prequential(
    events: Iterable[tuple[Event, bool]],
    sessions: SessionRules,
    recommend: RecommendRules,
    *,
    batch: int = 1,
) -> Questions:
    """Recommend, score, then learn, for each event of the test period.

    Args:
        events: Each with whether it is in the test period, in the order of the log.
        sessions: What ends a session.
        recommend: What is asked for, as of a worker.
        batch: Events that are answered before any of them is learned, as by a worker's cycle.
    """
    builder = LogBuilder(sessions)
    queries: list[Query] = []
    asked: list[int] = []
    learned: list[int] = []
    count = first = 0
    for event, measured in events:
        row = builder.rows
        query = None
        if measured and event.items and event.type in POSITIVE_TYPES:
            query = _before(builder.profile(event.key), event, sessions, recommend)
            if count % batch == 0:
                first = row
            count += 1
        builder.add(event, measured=measured)
        if query is not None and builder.rows > row and (query.session or query.history):
            queries.append(query)
            asked.append(row)
            learned.append(first)
    return _with_answers(builder.log(), queries, np.array(asked, np.int64), np.array(learned, np.int64))


def run(
    questions: Questions,
    contender: Contender,
    *,
    size: int = LIST_SIZE,
    on_progress: Callable[[int], None] | None = None,
) -> Ints:
    """Let a contender learn and answer; returns its lists.

    Args:
        questions: Of a protocol.
        contender: Has learned nothing yet.
        size: Items of a list.
        on_progress: Called with the queries answered so far.

    Returns:
        [n, size] item numbers of the log, best first, -1 beyond the end of a list. Numbers beyond the log's
        are items that it does not have.
    """
    log, queries = questions.log, questions.queries
    lists = np.full((len(queries), size), -1, np.int32)
    numbers = {name: number for number, name in enumerate(log.names)}
    translation = np.zeros(0, np.int32)
    done = 0
    for first, last in _batches(questions.learned):
        until = int(questions.learned[first])
        contender.learn(log.deltas(done, until))
        done = until
        ranked = contender.rank(queries[first:last], size)
        names = contender.item_ids
        if len(names) > translation.size:
            new = [numbers.setdefault(name, len(numbers)) for name in names[translation.size :]]
            translation = np.concatenate([translation, np.array(new, np.int32)])
        if translation.size:
            lists[first:last, : ranked.shape[1]] = np.where(ranked < 0, -1, translation[ranked])
        if on_progress is not None:
            on_progress(last)
    return lists


def _batches(learned: Longs) -> Iterator[tuple[int, int]]:
    """Runs of queries that are asked with the same rows learned, in parts of `QUERIES`."""
    changes = np.flatnonzero(np.diff(learned)) + 1
    for start, end in pairwise([0, *changes.tolist(), learned.size]):
        for first in range(start, end, QUERIES):
            yield first, min(end, first + QUERIES)


def _before(profile: Profile, event: Event, sessions: SessionRules, recommend: RecommendRules) -> Query:
    """What a worker would be asked for by a search of this user right before the event."""
    search = replace(event, type="search", event_id=f"{event.event_id}?", items=())
    return query_of(fold_event(profile, search, sessions).profile, event.time, recommend)


def _begin(log: Log) -> int:
    return int(log.time[log.measured].min()) if log.measured.any() else 0


def _arranged(log: Log) -> tuple[Log, int]:
    """Training rows, then those of test sessions, each by time; and how many the former are."""
    tested = in_test(log)
    train = np.flatnonzero(~tested)
    test = np.flatnonzero(tested & (log.session != 0))
    parts = [rows[np.argsort(log.time[rows], kind="stable")] for rows in (train, test)]
    return log.taken(np.concatenate(parts)), train.size


def _session_questions(log: Log, train: int, learned: Callable[[Longs], Longs]) -> Questions:
    """A query for each event of a test session but its first."""
    former = _former_items(log)
    revealed: dict[int, list[str]] = {}
    histories: dict[int, tuple[str, ...]] = {}
    queries: list[Query] = []
    asked: list[int] = []
    starts = train + np.flatnonzero(np.diff(log.event[train:], prepend=-1))
    keys, times = log.session[starts].tolist(), log.time[starts].tolist()
    for (start, end), key, time in zip(pairwise([*starts.tolist(), log.rows]), keys, times, strict=True):
        items = [log.names[number] for number in log.item[start:end].tolist()]
        session = revealed.get(key)
        if session is None:
            histories[key] = former(start)
            revealed[key] = items
            continue
        queries.append(Query(tuple(session), histories[key], (), time, LIST_SIZE, key))
        asked.append(start)
        session += items
    rows = np.array(asked, np.int64)
    return _with_answers(log, queries, rows, learned(log.time[rows]))


def _former_items(log: Log) -> Callable[[int], tuple[str, ...]]:
    """The latest items of a row's user before that row, oldest first, as many as a profile keeps."""
    by_user = np.lexsort((log.time, log.user))
    place = np.empty(log.rows, np.int64)
    place[by_user] = np.arange(log.rows)
    begins = np.searchsorted(log.user[by_user], np.arange(int(log.user.max(initial=0)) + 1))

    def former(row: int) -> tuple[str, ...]:
        end = place[row]
        rows = by_user[max(begins[log.user[row]], end - MAX_ITEMS) : end]
        return tuple([log.names[number] for number in log.item[rows].tolist()])

    return former


def _with_answers(log: Log, queries: Sequence[Query], rows: Longs, learned: Longs) -> Questions:
    """Add what followed: `rows` [n] are the first rows of the events that answer the queries."""
    by_session = np.argsort(log.session, kind="stable")
    place = np.empty(log.rows, np.int64)
    place[by_session] = np.arange(log.rows)
    start = place[rows]
    ends = np.searchsorted(log.session[by_session], log.session[rows], side="right")
    sizes = np.bincount(log.event, minlength=1)
    return Questions(
        log, queries, learned, log.user[rows], by_session, start, start + sizes[log.event[rows]], ends
    )
