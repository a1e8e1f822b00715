import numpy as np
import pytest

from state.evaluation.baselines.registry import BASELINES, REBUILT, linear, quadratic, same
from state.evaluation.contenders import Contender, Engine
from state.evaluation.metrics import judge, scores, targets_of
from state.evaluation.protocols import frozen, run, without_new_items
from state.retrieval.blend import Query
from tests.state.evaluation.logs import DAY, T, log_of, shop
from tests.state.evaluation.published import diginetica, serenade

MAKERS = {**BASELINES, "engine": Engine}
LOG = log_of(shop(4), T + 8 * DAY)
QUERIES = [Query(("i3", "?", "i4"), ("i20", "i9")), Query(("i7",)), Query((), ("i1",)), Query(())]


@pytest.mark.parametrize("name", MAKERS)
def test_a_contender_lists_different_items_that_it_names(name: str) -> None:
    contender: Contender = MAKERS[name]()
    contender.learn(LOG.deltas(0, LOG.rows))
    ranked = contender.rank(QUERIES, 5)
    assert ranked.dtype == np.int32
    assert ranked.shape[0] == len(QUERIES)
    assert ranked.shape[1] <= 5
    for row in ranked:
        listed = row[row >= 0]
        assert (row[listed.size :] == -1).all()
        assert len(set(listed.tolist())) == listed.size
        assert all(contender.item_ids[number] for number in listed)
    assert contender.rank(QUERIES, 5).tolist() == ranked.tolist()


@pytest.mark.parametrize("name", MAKERS)
def test_a_contender_can_be_asked_before_it_has_learned(name: str) -> None:
    assert MAKERS[name]().rank(QUERIES, 3).shape[0] == len(QUERIES)


@pytest.mark.parametrize("name", sorted(set(MAKERS) - {"popularity", "repeat"}))
def test_a_contender_learns_from_sessions(name: str) -> None:
    hits = {
        each: scores(judge(targets_of(QUESTIONS), run(QUESTIONS, MAKERS[each]())))["mrr@10"].mean()
        for each in (name, "popularity")
    }
    assert hits[name] > 1.5 * hits["popularity"]


QUESTIONS = frozen(without_new_items(LOG))


def test_those_that_are_rebuilt_are_baselines() -> None:
    assert set(BASELINES) >= REBUILT


def test_weights_of_places() -> None:
    places = np.array([1.0, 4.0])
    assert same(places, 4.0).tolist() == [1, 1]
    assert quadratic(places, 4.0).tolist() == [1 / 16, 1]
    assert linear(np.array([1.0, 10.0])).tolist() == [0.9, 0.0]


def on_diginetica(name: str) -> dict[str, float]:
    """HR and MRR at 20 by the single split of session-rec, and hits."""
    questions = frozen(without_new_items(diginetica()))
    assert len(questions.queries) == 60_926
    found = scores(judge(targets_of(questions), run(questions, BASELINES[name]())))
    print(f"{name} on Diginetica: {found['hr@20'].sum():.0f} hits, MRR@20 {found['mrr@20'].mean():.6f}")
    return {"hits": found["hr@20"].sum(), "hr": found["hr@20"].mean(), "mrr": found["mrr@20"].mean()}


@pytest.mark.data
@pytest.mark.timeout(280)
def test_vsknn_has_exactly_the_published_hits_on_diginetica() -> None:
    # Published for k 1500, sample 10000, quadratic, linear, idf 10: HR@20 0.520287, MRR@20 0.184061.
    found = on_diginetica("vsknn")
    assert found["hits"] == 31_699
    assert found["mrr"] == pytest.approx(0.184061, abs=0.0001)


@pytest.mark.data
@pytest.mark.timeout(280)
def test_sknn_is_as_published_on_diginetica() -> None:
    found = on_diginetica("sknn")
    # Which of equally similar sessions are the nearest 50 is left to chance: 0.482 to 0.486.
    assert found["hr"] == pytest.approx(0.485, abs=0.001)
    assert found["mrr"] == pytest.approx(0.174, abs=0.001)


@pytest.mark.data
@pytest.mark.timeout(280)
def test_tuned_vstan_is_the_strongest_baseline_on_diginetica() -> None:
    found = on_diginetica("vstan")
    assert found["hr"] == pytest.approx(0.5342, abs=0.001)
    assert found["mrr"] == pytest.approx(0.1892, abs=0.001)


@pytest.mark.data
@pytest.mark.parametrize(
    ("recent", "neighbours", "last_items", "hr", "mrr"),
    [(500, 50, 2, 0.640, 0.328), (1_502, 288, 4, None, 0.340)],
)
def test_vmis_is_as_published_on_its_own_example(
    recent: int, neighbours: int, last_items: int, hr: float | None, mrr: float
) -> None:
    from state.evaluation.baselines.vmis import Vmis

    questions = frozen(serenade())
    contender = Vmis(recent=recent, neighbours=neighbours, last_items=last_items)
    found = scores(judge(targets_of(questions), run(questions, contender)))
    print(
        f"VMIS {recent}/{neighbours}: HR@20 {found['hr@20'].mean():.4f}, MRR@20 {found['mrr@20'].mean():.4f}"
    )
    assert len(questions.queries) == 931
    assert hr is None or found["hr@20"].mean() == pytest.approx(hr, abs=0.003)
    assert found["mrr@20"].mean() == pytest.approx(mrr, abs=0.003 if hr else 0.002)
