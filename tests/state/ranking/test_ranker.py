import numpy as np
import pytest

from state.models import Models
from state.policy.base import choose
from state.policy.softmax import Softmax
from state.ranking.features import N_FEATURES, featurise
from state.ranking.ranker import Ranker
from state.ranking.trees import score_all, trees_of
from state.retrieval.blend import Query, retrieve_all
from tests.state.ranking.made import made_infos, made_ranker
from tests.state.retrieval.shops import make_delta, make_interactions

QUERIES = [Query(("i1", "i2", "i1"), ("i5",)), Query(()), Query(("i3",)), Query(("unknown",))]


def found_models():
    models = Models()
    models.learn([make_delta(make_interactions(5))])
    return models


@pytest.fixture(scope="module")
def found():
    models = found_models()
    ranked = retrieve_all(models, QUERIES, 20)
    return ranked, featurise(models, QUERIES, ranked)


def test_the_same_candidates_come_out_by_falling_score_of_the_trees(found):
    ranked, featured = found
    ranker = made_ranker()
    result = ranker.rank(ranked, featured)
    sums = score_all(ranker.trees, featured.values, featured.counts)
    for row, count in enumerate(ranked.counts):
        order = np.argsort(-sums[row, :count], kind="stable")
        assert result.items[row, :count].tolist() == ranked.items[row, order].tolist()
        assert (result.contributions[row, :count] == ranked.contributions[row, order]).all()
    assert (result.counts == ranked.counts).all()
    assert ranker(found_models(), QUERIES, ranked).items.tolist() == result.items.tolist()
    assert (result.items[0] != ranked.items[0]).any()


def test_scores_are_what_policies_want(found):
    ranked, featured = found
    result = made_ranker().rank(ranked, featured)
    for row, count in enumerate(result.counts):
        scores = result.scores[row, :count]
        assert np.isfinite(scores).all()
        assert scores[0] == 1.0
        assert (scores > 0).all()
        assert (np.diff(scores) <= 0).all()
        assert (result.scores[row, count:] == 0).all()
        choice = choose(Softmax(), scores, 5, seed=1)
        assert (choice.propensities > 0).all()


def test_a_score_far_below_the_best_stays_above_zero(found):
    ranked, featured = found
    infos = [{"tree_structure": made_infos(1, trees=1)[0]["tree_structure"] | {"leaf_value": 0.0}}]
    far = {"split_index": 0, "split_feature": 0, "threshold": 1.0, "decision_type": "<="}
    far |= {"missing_type": "None", "left_child": {"leaf_value": 1e4}, "right_child": {"leaf_value": -1e4}}
    infos = [{"tree_structure": far}]
    result = Ranker(trees_of(infos), "far").rank(ranked, featured)
    assert result.scores[0, 0] == 1.0
    assert 0.0 < result.scores[0, 1] < 1e-29


def test_a_ranker_that_has_learned_nothing_leaves_the_order_of_the_blend(found):
    ranked, featured = found
    result = Ranker(trees_of([]), "none").rank(ranked, featured)
    for row, count in enumerate(ranked.counts):
        assert result.items[row, :count].tolist() == ranked.items[row, :count].tolist()


def test_trees_over_features_that_there_are_not_are_refused():
    with pytest.raises(ValueError, match=f"beyond the {N_FEATURES}"):
        Ranker(trees_of(made_infos(1, trees=30, features=N_FEATURES + 9)), "bad")
