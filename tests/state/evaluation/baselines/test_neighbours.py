import random

import numpy as np
import pytest

from state.evaluation.baselines.neighbours import Method, Neighbours, exponential, take_best
from state.evaluation.baselines.registry import linear, quadratic, same
from state.retrieval.blend import Query
from tests.state.evaluation.baselines.reference import Reference
from tests.state.retrieval.shops import CLICK, DAY, T, make_delta

METHODS = {
    "sknn": (
        Method(neighbours=12, sample=30, match=same, cosine=True),
        lambda reference, session: reference.sknn(session, 30, 12),
    ),
    "vsknn": (
        Method(neighbours=15, sample=40, match=quadratic, vote=linear, idf_weight=10.0),
        lambda reference, session: reference.vsknn(session, 40, 15, 10.0),
    ),
    "stan": (
        Method(
            neighbours=15, sample=40, match=exponential(1.02), cosine=True, decay_days=8, place_decay=2.05
        ),
        lambda reference, session: reference.vstan(session, 40, 15, 1.02, 8, 2.05),
    ),
    "vstan": (
        Method(
            neighbours=15,
            sample=40,
            match=exponential(2.45),
            cosine=True,
            vote=lambda steps: np.exp(-(steps - 1) / 4.9),
            decay_days=8,
            place_decay=4.9,
            idf_weight=10.0,
        ),
        lambda reference, session: reference.vstan(session, 40, 15, 2.45, 8, 4.9, ipw=4.9, idf_weight=10.0),
    ),
}


def rows(seed: int) -> list[tuple[int, str, int]]:
    """Sessions with repeats; no two end at the same time."""
    draw = random.Random(seed)
    found = []
    for session in range(1, 80):
        begin = T + draw.randrange(20 * DAY)
        found += [
            (session, f"i{int(draw.expovariate(0.12))}", begin + step) for step in range(draw.randint(1, 7))
        ]
    return sorted(found, key=lambda row: row[2])


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("seed", range(4))
def test_lists_are_those_of_the_published_formulas(name: str, seed: int) -> None:
    method, expected_scores = METHODS[name]
    learned = rows(seed)
    reference = Reference(learned)
    contender = Neighbours(method)
    contender.learn([make_delta([(item, session, time, CLICK) for session, item, time in learned])])
    draw = random.Random(seed)
    for _ in range(40):
        session = [f"i{int(draw.expovariate(0.12))}" for _ in range(draw.randint(1, 6))]
        session = [item for item in session if item in reference.counts] or ["i0"]
        scores = expected_scores(reference, session)
        ranked = contender.rank([Query(tuple(session))], 10)[0]
        found = [contender.item_ids[number] for number in ranked if number >= 0]
        best = sorted((value for value in scores.values() if value > 0), reverse=True)[:10]
        # Equal scores may stand in either order, so scores are compared and not names.
        assert [scores[item] for item in found] == pytest.approx(best, rel=1e-9)
        assert len(set(found)) == len(found)


def test_many_queries_find_what_each_finds_alone() -> None:
    contender = Neighbours(METHODS["vstan"][0])
    contender.learn([make_delta([(item, session, time, CLICK) for session, item, time in rows(1)])])
    queries = [Query((f"i{n}", f"i{n % 5}")) for n in range(12)]
    together = contender.rank(queries, 7)
    assert [row.tolist() for row in together] == [contender.rank([query], 7)[0].tolist() for query in queries]


def test_without_a_known_item_there_is_no_list() -> None:
    contender = Neighbours(METHODS["sknn"][0])
    assert contender.rank([Query(("?",))], 3).tolist() == [[-1, -1, -1]]
    contender.learn([make_delta([("a", 1, T, CLICK)])])
    assert contender.rank([Query(("?",)), Query(()), Query(("a",))], 2).tolist() == [[-1, -1]] * 2 + [[0, -1]]


def test_what_is_learned_later_counts() -> None:
    contender = Neighbours(METHODS["sknn"][0])
    for session, other in ((1, "b"), (2, "c")):
        contender.learn([make_delta([("a", session, T, CLICK), (other, session, T + 1, CLICK)])])
        assert other in [contender.item_ids[n] for n in contender.rank([Query(("a",))], 3)[0] if n >= 0]


def test_the_best_are_taken_by_score_and_equals_by_rank() -> None:
    score = np.array([1.0, 3.0, 3.0, -1.0, 0.5, 2.0])
    best = np.full(4, -1, np.int32)
    take_best(np.array([5, 4, 3, 2, 1, 0], np.int32), score, np.arange(6, dtype=np.int32)[::-1].copy(), best)
    assert best.tolist() == [2, 1, 5, 0]
    assert not score.any()
