import gc

from state.models import Models
from state.retrieval.fold import fold
from tests.state.retrieval.shops import CLICK, T, make_delta, source_scores


def test_a_box_keeps_its_arrays_alive_and_shares_them() -> None:
    models = Models()
    models.learn([make_delta([("a", 1, T, CLICK), ("b", 1, T, CLICK)])])
    box = models.box
    before = models.popularity.score[:2].copy()
    items = models.dense_ids(["a", "b"])
    longs = items.astype("int64")
    gc.collect()
    assert fold(box, T, items, longs * 0 - 1, longs * 0 + T, longs * 0 + CLICK, 0) == 2
    assert (models.popularity.score[:2] > before).all()


def test_a_grown_array_is_seen_by_the_next_call() -> None:
    models = Models()
    models.learn([make_delta([("a", 1, T, CLICK), ("b", 1, T, CLICK)])])
    first = models.box
    models.learn([make_delta([(f"x{i}", 2 + i, T, CLICK) for i in range(5000)])])
    assert models.box is not first
    assert "b" in source_scores(models, "sequence_rules", ("a",))
