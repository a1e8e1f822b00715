import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.catalogue import CatalogueItem
from state.models import Models
from state.retrieval.blend import SOURCES, Query, retrieve_all
from state.retrieval.config import ModelConfig
from state.retrieval.plugged import Plugged, PluggedSources
from state.retrieval.source import CandidateSource, Proposals
from tests.state.retrieval.shops import make_delta, make_interactions

CONFIG = ModelConfig(repeat_current_weight=0.5, repeat_earlier_weight=1.25)
QUERY = Query(("i1", "i2"), (), ("i3",))


class Says(CandidateSource):
    """Answers what it was told to."""

    def __init__(self, *answers):
        self.answers = [Proposals(tuple(answer), tuple(answer.values())) for answer in answers]

    def score(self, queries):
        return self.answers[: len(queries)]


@pytest.fixture(scope="module")
def shop():
    models = Models(CONFIG)
    models.learn([make_delta(make_interactions(5))])
    return models


def blended(models, queries, *sources, size=20):
    plugged = [Plugged(f"s{n}", weight, source) for n, (weight, source) in enumerate(sources)]
    return PluggedSources(plugged, models).blend(queries, retrieve_all(models, queries, size), size)


def scores_of(models, found, row=0):
    items, scores, _ = found.of(row)
    return {models.item_ids[item]: float(score) for item, score in zip(items, scores, strict=True)}


def test_without_sources_candidates_stay_the_very_same(shop):
    found = retrieve_all(shop, [QUERY], 20)
    assert PluggedSources([], shop).blend([QUERY], found, 20) is found


def test_a_share_is_the_weight_times_the_score_over_the_largest(shop):
    plain = scores_of(shop, retrieve_all(shop, [QUERY], 20))
    known = next(item for item in plain if item not in {"i1", "i2", "i3"})
    found = blended(shop, [QUERY], (0.5, Says({known: 2.0, "i19": 8.0})))
    new = scores_of(shop, found)
    assert new[known] == pytest.approx(plain[known] + 0.5 * 2 / 8)
    assert new["i19"] == pytest.approx(plain.get("i19", 0.0) + 0.5)


def test_the_source_has_a_column_of_its_own_and_a_row_still_sums_to_the_score(shop):
    first, second = Says({"i5": 1.0, "i6": 0.5}), Says({"i6": 1.0, "i19": 1.0})
    found = blended(shop, [QUERY], (0.5, first), (0.25, second))
    items, scores, contributions = found.of(0)
    assert contributions.shape[1] == len(SOURCES) + 2
    np.testing.assert_allclose(contributions.sum(axis=1), scores, rtol=1e-5)
    names = [shop.item_ids[item] for item in items]
    assert contributions[names.index("i6"), -2:].tolist() == [0.25, 0.25]
    assert contributions[names.index("i19"), -2:].tolist() == [0.0, 0.25]


def test_what_must_not_come_back_does_not(shop):
    found = scores_of(shop, blended(shop, [QUERY], (9.0, Says({"i3": 1.0, "never seen": 9.0, "i5": 1.0}))))
    assert not {"i3", "never seen"} & set(found)
    assert found["i5"] > 8.9


def test_items_of_the_session_are_weighed_as_everywhere(shop):
    found = blended(shop, [QUERY], (1.0, Says({"i2": 1.0, "i1": 1.0, "i5": 1.0})), size=40)
    items, _, contributions = found.of(0)
    shares = {shop.item_ids[item]: float(row[-1]) for item, row in zip(items, contributions, strict=True)}
    assert (shares["i2"], shares["i1"], shares["i5"]) == (0.5, 1.25, 1.0)


def test_what_is_sold_out_is_not_proposed():
    models = Models(CONFIG)
    for item_id, available in (("a", True), ("b", False)):
        models.upsert_item(item_id, CatalogueItem(item_id=item_id, available=available))
    assert set(scores_of(models, blended(models, [Query(())], (1.0, Says({"a": 1, "b": 1}))))) == {"a"}


def test_scores_that_are_all_zero_add_nothing(shop):
    plain = scores_of(shop, retrieve_all(shop, [QUERY], 20))
    assert scores_of(shop, blended(shop, [QUERY], (1.0, Says({"i5": 0.0, "i19": 0.0})))) == plain


ANSWERS = st.lists(
    st.dictionaries(
        st.sampled_from([f"i{n}" for n in range(24)] + ["unknown"]), st.floats(0, 9, width=16), max_size=8
    ),
    min_size=3,
    max_size=3,
)


@settings(max_examples=100, deadline=None)
@given(ANSWERS, ANSWERS, st.integers(1, 30))
def test_many_together_are_as_each_alone_and_in_order(shop, first, second, size):
    queries = [QUERY, Query(()), Query(("i7",), ("i8", "i9"), frozenset({"i10", "i7"}))]
    together = blended(shop, queries, (0.5, Says(*first)), (2.0, Says(*second)), size=size)
    assert together.scores.shape[1] <= size
    for row, query in enumerate(queries):
        alone = blended(shop, [query], (0.5, Says(first[row])), (2.0, Says(second[row])), size=size).of(0)
        its = together.of(row)
        for one, other in zip(its, alone, strict=True):
            assert one.tolist() == other.tolist()
        assert (np.diff(its.scores) <= 0).all()
        assert len(set(its.items.tolist())) == len(its.items)
    assert (together.scores[np.arange(together.scores.shape[1]) >= together.counts[:, None]] == 0).all()
