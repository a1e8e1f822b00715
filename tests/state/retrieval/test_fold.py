import numpy as np

from state.models import Models
from state.retrieval.fold import fold
from tests.state.retrieval.shops import CLICK, DAY, T, make_delta


def fold_one(models: Models, time: int, start: int = 0) -> int:
    items = models.dense_ids(["a"])
    one = np.ones(1, np.int64)
    return fold(models.box, T, items, -one, time * one, CLICK * one, start)


def test_the_fold_stops_before_a_time_that_needs_a_rescale() -> None:
    models = Models()
    models.learn([make_delta([("a", 1, T, CLICK)])])
    assert fold_one(models, T + 200 * DAY) == 1
    assert fold_one(models, T + 2000 * DAY) == 0


def test_the_fold_stops_before_an_arena_is_full() -> None:
    models = Models()
    models.learn([make_delta([("a", 1, T, CLICK)])])
    models.sessions.heap[0] = models.sessions.postings.size
    assert fold_one(models, T) == 0


def test_nothing_is_left_to_fold_after_the_last() -> None:
    models = Models()
    models.learn([make_delta([("a", 1, T, CLICK)])])
    score = models.popularity.score[0]
    assert fold_one(models, T, start=1) == 1
    assert models.popularity.score[0] == score
