import random

import pytest

from state.evaluation.baselines.vmis import Vmis
from state.retrieval.blend import Query
from tests.state.evaluation.baselines.reference import Reference
from tests.state.evaluation.baselines.test_neighbours import rows
from tests.state.retrieval.shops import CLICK, T, make_delta


@pytest.mark.parametrize(("recent", "neighbours", "last_items"), [(5, 3, 2), (12, 8, 4), (500, 50, 2)])
def test_lists_are_those_of_the_published_code(recent: int, neighbours: int, last_items: int) -> None:
    learned = rows(recent)
    reference = Reference(learned)
    contender = Vmis(recent=recent, neighbours=neighbours, last_items=last_items)
    contender.learn([make_delta([(item, session, time, CLICK) for session, item, time in learned])])
    draw = random.Random(recent)
    for _ in range(60):
        session = [f"i{int(draw.expovariate(0.12))}" for _ in range(draw.randint(1, 6))]
        session = [item for item in session if item in reference.counts] or ["i0"]
        scores = reference.vmis(session, recent, neighbours, last_items)
        found = [contender.item_ids[n] for n in contender.rank([Query(tuple(session))], 10)[0] if n >= 0]
        best = sorted((value for value in scores.values() if value > 0), reverse=True)[:10]
        assert [scores[item] for item in found] == pytest.approx(best, rel=1e-9)
        assert session[-1] not in found


def test_without_a_known_item_there_is_no_list() -> None:
    contender = Vmis()
    assert contender.rank([Query(("a",))], 2).tolist() == [[-1, -1]]
    contender.learn([make_delta([("a", 1, T, CLICK), ("b", 1, T, CLICK)])])
    assert contender.rank([Query(("?",)), Query(())], 2).tolist() == [[-1, -1]] * 2
