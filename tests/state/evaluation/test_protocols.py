from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from state.evaluation.contenders import Engine
from state.evaluation.protocols import (
    QUERIES,
    Questions,
    daily,
    frozen,
    in_test,
    only_items,
    prequential,
    run,
    without_new_items,
)
from state.recommend import RecommendRules
from state.retrieval.arrays import Ints
from state.retrieval.blend import Query
from state.slate import Delta
from tests.state.evaluation.logs import DAY, HOUR, MINUTE, RULES, T, log_of, shop, split, turn

RECOMMEND = RecommendRules()
TEST = T + 2 * DAY


def answers(questions: Questions) -> list[tuple[tuple[str, ...], list[str], int]]:
    """Each query's session, the items that answer it and the rows learned before."""
    log = questions.log
    return [
        (
            query.session,
            [log.names[log.item[row]] for row in questions.by_session[start:end]],
            int(learned),
        )
        for query, start, end, learned in zip(
            questions.queries, questions.start, questions.next_end, questions.learned, strict=True
        )
    ]


def two_days_of_training() -> list:
    return [
        turn("u1", "a", T),
        turn("u1", "b", T + 1),
        turn("u2", "b", T + DAY),
        turn("u2", "c", T + DAY + 1),
    ]


def test_a_test_session_is_revealed_event_by_event() -> None:
    test = [turn("u3", "a", TEST), turn("u3", "b c", TEST + 1), turn("u3", "a", TEST + 2)]
    questions = frozen(log_of([*two_days_of_training(), *test], TEST))
    assert answers(questions) == [(("a",), ["b", "c"], 4), (("a", "b", "c"), ["a"], 4)]
    rest = questions.by_session[questions.start[0] : questions.rest_end[0]]
    assert [questions.log.names[questions.log.item[row]] for row in rest] == ["b", "c", "a"]


def test_a_session_that_reaches_into_the_test_period_is_not_trained_on() -> None:
    late = [turn("u3", "a", TEST - MINUTE), turn("u3", "b", TEST + MINUTE)]
    log = log_of([*two_days_of_training(), *late], TEST)
    assert in_test(log).tolist() == [False] * 4 + [True] * 2
    assert answers(frozen(log)) == [(("a",), ["b"], 4)]


def test_items_that_no_training_session_has_can_be_left_out() -> None:
    test = [turn("u3", "a", TEST), turn("u3", "new", TEST + 1), turn("u3", "b", TEST + 2)]
    log = log_of([*two_days_of_training(), *test], TEST)
    assert [answer for _, answer, _ in answers(frozen(log))] == [["new"], ["b"]]
    assert answers(frozen(without_new_items(log))) == [(("a",), ["b"], 4)]


def test_a_daily_model_has_learned_until_midnight() -> None:
    test = [
        turn("u3", "a", TEST + HOUR),
        turn("u3", "b", TEST + HOUR + 1),
        turn("u4", "c", TEST + DAY),
        turn("u4", "b", TEST + DAY + 1),
    ]
    log = log_of([*two_days_of_training(), *test], TEST)
    assert daily(log).learned.tolist() == [4, 6]
    assert daily(log, late_ms=DAY).learned.tolist() == [2, 4]
    assert frozen(log).learned.tolist() == [4, 4]
    assert frozen(log, late_ms=2 * DAY - 1).learned.tolist() == [1, 1]


def test_former_sessions_are_history() -> None:
    test = [turn("u1", "c", TEST), turn("u1", "a", TEST + 1), turn("u1", "a", TEST + HOUR)]
    test.append(turn("u1", "b", TEST + HOUR + 1))
    queries = frozen(log_of([*two_days_of_training(), *test], TEST)).queries
    assert [(query.session, query.history) for query in queries] == [
        (("c",), ("a", "b")),
        (("a",), ("a", "b", "c", "a")),
    ]


def test_a_prequential_query_knows_all_that_happened_before_its_event() -> None:
    test = [turn("u3", "a", TEST), turn("u3", "b", TEST + 1), turn("u1", "c", TEST + 2)]
    questions = prequential(split([*two_days_of_training(), *test], TEST), RULES, RECOMMEND)
    assert answers(questions) == [(("a",), ["b"], 5), ((), ["c"], 6)]
    assert [query.history for query in questions.queries] == [(), ("a", "b")]
    assert [query.now for query in questions.queries] == [TEST + 1, TEST + 2]


def test_a_batch_is_answered_before_it_is_learned() -> None:
    events = shop(3)
    alone = prequential(split(events, TEST), RULES, RECOMMEND)
    batched = prequential(split(events, TEST), RULES, RECOMMEND, batch=7)
    assert batched.queries == alone.queries
    assert (alone.learned - batched.learned).max() <= 6
    begin = sum(event.time < TEST for event in events)
    assert set((batched.learned - begin) % 7) == {0}


def test_bought_items_are_excluded_as_in_a_worker() -> None:
    test = [turn("u3", "a", TEST, type="purchase"), turn("u3", "b", TEST + 1)]
    (query,) = prequential(split(test, TEST), RULES, RECOMMEND).queries
    assert query.exclude == {"a"}


def test_only_items_leaves_training_alone_and_empties_no_event() -> None:
    events = [*split([turn("u", "x", T), turn("u", "x a", TEST), turn("u", "x", TEST + 1)], TEST)]
    left = [[item.item_id for item in event.items] for event, _ in only_items(events, frozenset("a"))]
    assert left == [["x"], ["a"]]


def test_without_a_test_period_nothing_is_asked() -> None:
    log = log_of(two_days_of_training(), TEST)
    for questions in (frozen(log), daily(log), prequential(split(shop(1), T * 2), RULES, RECOMMEND)):
        assert len(questions.queries) == 0
        assert run(questions, Engine()).shape == (0, 20)


class Witness:
    """Notes what it was taught and asked; lists every item it has seen, newest first."""

    def __init__(self) -> None:
        self.item_ids: list[str] = []
        self.calls: list[tuple[int, int]] = []

    def learn(self, deltas: Iterable[Delta]) -> None:
        for delta in deltas:
            self.item_ids.extend(name for name in delta.items if name not in self.item_ids)

    def rank(self, queries: Sequence[Query], size: int) -> Ints:
        self.calls.append((len(self.item_ids), len(queries)))
        own = np.arange(len(self.item_ids))[::-1][:size]
        return np.tile(own.astype(np.int32), (len(queries), 1))


def test_a_contender_is_asked_with_exactly_what_it_may_know() -> None:
    test = [turn("u3", "a", TEST), turn("u3", "new", TEST + 1), turn("u3", "c", TEST + 2)]
    questions = prequential(split([*two_days_of_training(), *test], TEST), RULES, RECOMMEND)
    witness = Witness()
    told: list[int] = []
    lists = run(questions, witness, size=3, on_progress=told.append)
    assert witness.calls == [(3, 1), (4, 1)]
    assert told == [1, 2]
    names = questions.log.names
    assert [[names[number] for number in row] for row in lists] == [["c", "b", "a"], ["new", "c", "b"]]


def test_short_lists_end_in_minus_one() -> None:
    test = [turn("u3", "a", TEST), turn("u3", "b", TEST + 1)]
    questions = frozen(log_of([*two_days_of_training(), *test], TEST))
    assert run(questions, Witness(), size=5).tolist() == [[2, 1, 0, -1, -1]]


def test_many_queries_of_one_moment_are_asked_in_parts() -> None:
    log = log_of(shop(1, sessions=QUERIES // 2), T + DAY)
    witness = Witness()
    questions = frozen(log)
    run(questions, witness)
    assert [count for _, count in witness.calls] == [QUERIES, len(questions.queries) - QUERIES]


@pytest.mark.parametrize("protocol", [frozen, daily])
def test_no_protocol_learns_from_what_comes_after_the_query(protocol) -> None:
    questions = protocol(log_of(shop(2), T + 5 * DAY))
    times = questions.log.time
    assert len(questions.queries) > 100
    for query, learned in zip(questions.queries, questions.learned, strict=True):
        assert times[:learned].max() < query.now
