import numpy as np

from state.evaluation.baselines.popularity import Popular
from state.retrieval.blend import Query
from tests.state.retrieval.shops import CLICK, T, make_delta


def test_items_stand_by_count_and_equals_by_who_came_first() -> None:
    contender = Popular()
    contender.learn([make_delta([(item, 1, T, CLICK) for item in "abcbdc"])])
    ranked = contender.rank([Query(()), Query(("a",))], 3)
    assert [[contender.item_ids[n] for n in row] for row in ranked] == [["b", "c", "a"]] * 2


def test_it_holds_any_number_of_items() -> None:
    contender = Popular()
    for start in (0, 3_000):
        contender.learn([make_delta([(f"i{n}", 1, T, CLICK) for n in range(start, start + 3_000)])])
    contender.learn([make_delta([("i5999", 1, T, CLICK)])])
    assert contender.item_ids[contender.rank([Query(())], 20)[0, 0]] == "i5999"
    assert len(np.unique(contender.rank([Query(())], 6_000))) == 6_000


def test_before_anything_there_is_no_list() -> None:
    assert Popular().rank([Query(())], 20).shape == (1, 0)
