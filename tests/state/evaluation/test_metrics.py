import math

import numpy as np
import pytest

from state.evaluation.metrics import CUTS, METRICS, REST, Targets, judge, scores, spread, targets_of
from state.evaluation.protocols import frozen, prequential
from state.recommend import RecommendRules
from tests.state.evaluation.logs import DAY, RULES, T, log_of, split, turn

TEST = T + DAY


def targets(*wanted: tuple[list[int], list[int]]) -> Targets:
    """Of queries that ask for (the next event's items, further items of the session)."""
    item = [number for following, rest in wanted for number in following + rest]
    following = [
        flag for next_items, rest in wanted for flag in [True] * len(next_items) + [False] * len(rest)
    ]
    ends = np.cumsum([len(next_items) + len(rest) for next_items, rest in wanted])
    size = len(item)
    return Targets(
        ends,
        np.array(item, np.int32),
        np.array(following),
        np.zeros(size, np.bool_),
        np.zeros(size, np.int32),
    )


def lists(*rows: list[int]) -> np.ndarray:
    return np.array([row + [-1] * (20 - len(row)) for row in rows], np.int32)


def test_metrics_of_one_wanted_item_are_those_of_its_place() -> None:
    found = scores(judge(targets(([7], [])), lists([1, 2, 3, 4, 5, 7])))
    assert found["hr@5"] == found["mrr@5"] == found["map@5"] == found["ndcg@5"] == found["recall@5"] == 0
    assert found["hr@10"] == found["recall@20"] == 1
    assert found["mrr@10"] == found["map@20"] == pytest.approx(1 / 6)
    assert found["ndcg@10"] == pytest.approx(1 / math.log2(7))


def test_hr_and_mrr_ask_for_the_next_event_and_the_others_for_the_rest_of_the_session() -> None:
    found = scores(judge(targets(([7], [8, 9])), lists([8, 1, 7])))
    assert found["hr@5"] == 1
    assert found["mrr@5"] == pytest.approx(1 / 3)
    assert found["recall@5"] == pytest.approx(2 / 3)
    assert found["map@5"] == pytest.approx((1 + 2 / 3) / 3)
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert found["ndcg@5"] == pytest.approx((1 + 1 / 2) / ideal)


def test_more_wanted_items_than_places_can_be_perfect() -> None:
    found = scores(judge(targets(([0], list(range(1, 40)))), lists(list(range(20)))))
    assert found["ndcg@10"] == found["map@10"] == 1
    assert found["recall@20"] == 0.5


def test_each_list_is_judged_for_itself() -> None:
    wanted = targets(([1], []), ([2], []), ([1], [2]))
    found = scores(judge(wanted, lists([2, 1], [1, 3], [3, 2])))
    assert found["hr@20"].tolist() == [1, 0, 0]
    assert found["recall@20"].tolist() == [1, 0, 0.5]


def test_only_kept_targets_count() -> None:
    wanted = targets(([1, 2], []), ([3], [1]))
    judged = judge(wanted, lists([1], [1]), np.array([False, True, False, True]))
    assert judged.counted.tolist() == [True, False]
    assert judged.wanted.tolist() == [1, 1]
    assert scores(judged)["hr@20"].tolist() == [0, 0]


def test_an_empty_list_scores_nothing() -> None:
    found = scores(judge(targets(([1], [])), lists([])))
    assert set(found) == {f"{name}@{cut}" for name in METRICS for cut in CUTS}
    assert all(values.tolist() == [0.0] for values in found.values())


def test_lists_may_hold_items_that_the_log_does_not() -> None:
    assert scores(judge(targets(([1], [])), lists([99, 1])))["mrr@20"].tolist() == [0.5]


def test_targets_are_the_different_items_of_the_rest_of_the_session() -> None:
    training = [turn("u0", "a", T), turn("u0", "b", T + 1), turn("u1", "b", T + 2), turn("u1", "c", T + 3)]
    test = [turn("u3", items, TEST + i) for i, items in enumerate(["a", "b", "c b", "a"])]
    questions = frozen(log_of([*training, *test], TEST))
    found = targets_of(questions)
    names = [questions.log.names[number] for number in found.item]
    assert found.ends.tolist() == [3, 6, 7]
    assert names == ["b", "c", "a", "c", "b", "a", "a"]
    assert found.following.tolist() == [True, False, False, True, True, False, True]
    assert found.seen.tolist() == [False, False, True, False, True, True, True]
    assert found.learned.tolist() == [2, 1, 1, 1, 2, 1, 1]


def test_learned_counts_grow_as_a_stream_is_learned() -> None:
    events = [turn(f"u{n}", items, T + n) for n, items in enumerate("abc")]
    events += [turn("u", "a", TEST), turn("u", "b", TEST + 1), turn("u", "b", TEST + 2)]
    questions = prequential(split(events, TEST), RULES, RecommendRules())
    assert targets_of(questions).learned.tolist() == [1, 2]


def test_a_very_long_session_is_asked_for_in_part() -> None:
    events = [turn("u0", f"i{n}", T + n) for n in range(300)]
    events += [turn("u1", f"i{n}", TEST + n) for n in range(300)]
    found = targets_of(frozen(log_of(events, TEST)))
    assert found.ends[0] == REST
    assert np.diff(found.ends).max() == REST


def test_spread_counts_different_items_and_weighs_them_by_popularity() -> None:
    found = spread(lists([0, 1], [0, 99]), np.array([10, 5, 5, 0]))
    assert found["coverage@5"] == pytest.approx(2 / 3)
    assert found["popularity@5"] == pytest.approx((10 + 5 + 10) / 3 / 10)


def test_spread_of_nothing_is_nothing() -> None:
    assert set(spread(lists([]), np.zeros(0, np.int64)).values()) == {0.0}
