import numpy as np

from state.evaluation.baselines.index import IndexBuilder, build
from tests.state.retrieval.shops import CLICK, T, make_delta


def test_sessions_stand_by_the_time_of_their_last_event() -> None:
    item = np.array([0, 1, 2, 0], np.int32)
    index = build(item, np.array([7, 3, 3, 7]), np.array([1, 2, 3, 9]), 3)
    assert index.times.tolist() == [3, 9]
    assert index.session_ends.tolist() == [0, 2, 3]
    assert index.items.tolist() == [1, 2, 0]
    assert index.places.tolist() == [1, 2, 2]
    assert index.item_ends.tolist() == [0, 1, 2, 3]
    assert index.sessions.tolist() == [1, 0, 0]
    assert index.counts.tolist() == [2, 1, 1]


def test_an_item_of_several_sessions_names_the_oldest_first() -> None:
    index = build(np.zeros(3, np.int32), np.array([5, 6, 4]), np.array([30, 10, 20]), 1)
    assert index.times.tolist() == [10, 20, 30]
    assert index.sessions.tolist() == [0, 1, 2]


def test_the_builder_leaves_out_what_belongs_to_no_session() -> None:
    builder = IndexBuilder()
    builder.learn([make_delta([("a", 1, T, CLICK), ("b", 0, T, CLICK)])])
    assert builder.index.counts.tolist() == [1, 0]
    assert builder.numbers(["b", "?", "a"]) == [1, 0]


def test_the_builder_starts_anew_after_learning() -> None:
    builder = IndexBuilder()
    assert builder.index.times.size == 0
    builder.learn([make_delta([("a", 1, T, CLICK)])])
    builder.learn([make_delta([("b", 2, T, CLICK), ("a", 1, T + 1, CLICK)])])
    assert builder.index.times.tolist() == [T, T + 1]
    assert builder.index is builder.index


def test_equals_stand_by_id_and_numbers_by_size() -> None:
    builder = IndexBuilder()
    builder.learn([make_delta([(name, 1, T, CLICK) for name in ("10", "9", "b", "100")])])
    assert builder.ranks.tolist() == [2, 0, 1, 3]
