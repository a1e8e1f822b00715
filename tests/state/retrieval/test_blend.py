from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.catalogue import CatalogueItem
from state.evaluation.contenders import Engine
from state.evaluation.metrics import judge, targets_of
from state.evaluation.metrics import scores as scores_of
from state.evaluation.protocols import frozen, run, without_new_items
from state.models import Models
from state.retrieval.blend import SOURCES, Candidates, Query, retrieve, retrieve_all
from state.retrieval.config import SOURCE_WEIGHTS, ModelConfig
from tests.state.evaluation.published import diginetica
from tests.state.retrieval.reference import Reference, scaled
from tests.state.retrieval.shops import (
    CLICK,
    DAY,
    T,
    make_catalogue,
    make_delta,
    make_interactions,
    show_everything,
    source_scores,
    stock,
)


def learned(interactions: list, config: ModelConfig | None = None) -> Models:
    models = Models(config)
    models.learn([make_delta(interactions)])
    return models


def names(models: Models, found: Candidates) -> list[str]:
    return [models.item_ids[item] for item in found.items]


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_the_weighted_sum_of_the_scaled_sources(seed: int) -> None:
    interactions = make_interactions(seed)
    config = ModelConfig(
        history_weight=0.2,
        popularity_weight=0.1,
        category_weight=0.15,
        hour_weight=0.25,
        content_weight=0.3,
        two_hop_through=100,
        two_hop_targets=100,
        repeat_current_weight=0.7,
    )
    models, reference = learned(interactions, config), Reference(config)
    reference.learn(interactions)
    for item in make_catalogue():
        models.upsert_item(item.item_id, item)
        reference.catalogue[item.item_id] = item
    session, history = ["i2", "i5", "i0"], ["i9", "i4"]
    parts = [
        (1.0, scaled(reference.neighbours(session))),
        (config.rule_weight, scaled(reference.sequence(session))),
        (config.popularity_weight, scaled(reference.popular())),
        (config.history_weight, scaled(reference.history(history))),
        (config.two_hop_weight, scaled(reference.two_hop(session))),
        (config.category_weight, scaled(reference.category(session))),
        (config.hour_weight, scaled(reference.hour(T))),
        (config.content_weight, scaled(reference.content(session))),
    ]
    repeat = {"i2": config.repeat_current_weight, "i5": 1.2, "i0": 1.2}
    expected: dict[str, float] = defaultdict(float)
    for weight, scores in parts:
        for item, score in scores.items():
            expected[item] += repeat.get(item, 1.0) * weight * score
    found = retrieve(models, Query(tuple(session[::-1]), tuple(history[::-1]), now=T, size=10))
    best = sorted(expected, key=lambda item: -expected[item])[:10]
    assert names(models, found) == best
    assert found.scores.tolist() == pytest.approx([expected[item] for item in best], rel=1e-4)
    assert np.allclose(found.contributions.sum(axis=1), found.scores, rtol=1e-5)


def stocked(seed: int) -> Models:
    """A shop where every source has evidence."""
    return stock(learned(make_interactions(seed), show_everything()), make_catalogue())


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_gives_finite_scores_that_are_not_negative(source: str) -> None:
    found = source_scores(stocked(1), source, ("i0", "i1"), ("i2",))
    assert found
    assert all(np.isfinite(score) and score > 0 for score in found.values())


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_makes_nothing_of_nothing(source: str) -> None:
    assert source_scores(Models(show_everything()), source, ("i0",), ("i1",)) == {}


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_ignores_unknown_items(source: str) -> None:
    models = stocked(1)
    with_unknown = source_scores(models, source, ("?", "i0", "!", "i1"), ("-", "i2"))
    assert with_unknown == source_scores(models, source, ("i0", "i1"), ("i2",))


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_answers_the_same_twice(source: str) -> None:
    models = stocked(1)
    session = tuple(f"i{i % 25}" for i in range(50))
    first = source_scores(models, source, session, ("i3",))
    source_scores(models, source, ("i7",), ("i1", "i2"))
    assert source_scores(models, source, session, ("i3",)) == first


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_of_weight_0_changes_nothing_of_the_others(source: str) -> None:
    without = stock(
        learned(make_interactions(1), show_everything(**{SOURCE_WEIGHTS[source]: 0.0})), make_catalogue()
    )
    assert source_scores(without, source, ("i0", "i1"), ("i2",)) == {}
    for other in set(SOURCES) - {source}:
        found = source_scores(without, other, ("i0", "i1"), ("i2",))
        assert found == pytest.approx(source_scores(stocked(1), other, ("i0", "i1"), ("i2",)))


def test_a_query_leaves_the_work_space_clean() -> None:
    models = learned(make_interactions(1))
    retrieve(models, Query(("i1", "i0", "i30"), ("i4",), exclude=("i2", "i1"), size=5))
    scratch = models._scratch
    assert not scratch.scores.any()
    assert not scratch.flags.any()
    assert not scratch.sessions.similarity.any()


NAMES = st.lists(st.sampled_from([f"i{n}" for n in range(25)] + ["?", "!"]), max_size=40).map(tuple)
QUERIES = st.lists(
    st.builds(
        Query,
        NAMES,
        NAMES,
        NAMES,
        now=st.integers(0, DAY),
        size=st.just(12),
        session_key=st.integers(0, 60),
    ),
    max_size=6,
)
SHOPS = [learned(make_interactions(seed)) for seed in range(3)] + [stocked(4)]
SHOPS[2].upsert_item("new", CatalogueItem(item_id="new"))
SHOPS[2].upsert_item("i1", CatalogueItem(item_id="i1"))


@settings(deadline=None)
@given(st.sampled_from(SHOPS), QUERIES)
def test_many_queries_find_what_each_finds_alone(models: Models, queries: list[Query]) -> None:
    together = retrieve_all(models, queries, 12)
    for row, query in enumerate(queries):
        for found, alone in zip(together.of(row), retrieve(models, query), strict=True):
            assert found.tobytes() == alone.tobytes()


def test_the_current_item_is_dropped_and_earlier_ones_stay() -> None:
    models = learned([(item, s, T, CLICK) for s in (1, 2) for item in "abc"])
    found = names(models, retrieve(models, Query(("a", "b"))))
    assert "b" not in found
    assert {"a", "c"} <= set(found)


def test_excluded_items_do_not_come_back_from_any_source() -> None:
    models = learned(make_interactions(1), show_everything())
    exclude = frozenset({"i0", "i2", "unknown"})
    found = retrieve(models, Query(("i1",), ("i2",), exclude, size=100))
    assert len(found.items) == models.n_items - 2
    assert exclude.isdisjoint(names(models, found))


def test_only_available_items_of_the_catalogue_are_candidates() -> None:
    models = learned(make_interactions(1))
    for name in ("i3", "i4", "i5"):
        models.upsert_item(name, CatalogueItem(item_id=name, available=name != "i4"))
    assert set(names(models, retrieve(models, Query(("i0",))))) == {"i3", "i5"}


def test_a_new_shop_without_clicks_shows_its_catalogue() -> None:
    models = Models()
    for i in range(100):
        models.upsert_item(f"i{i}", CatalogueItem(item_id=f"i{i}"))
    found = retrieve(models, Query(("i3", "unknown"), exclude=("i4",)))
    assert len(found.items) == 60
    assert len(set(found.items.tolist())) == 60
    assert {"i3", "i4"}.isdisjoint(names(models, found))
    assert not found.scores.any()


def test_untried_items_come_after_those_that_a_source_knows() -> None:
    models = Models()
    for name in "abc":
        models.upsert_item(name, CatalogueItem(item_id=name))
    models.learn([make_delta([("c", 1, T, CLICK)])])
    assert names(models, retrieve(models, Query(()))) == ["c", "a", "b"]


def test_no_more_candidates_than_asked_for() -> None:
    models = learned(make_interactions(1))
    assert [len(retrieve(models, Query(("i0",), size=n)).items) for n in (0, 1, 7)] == [0, 1, 7]


def test_equal_scores_stand_in_the_order_of_their_ids() -> None:
    models = learned([(f"i{i}", i + 1, T, CLICK) for i in range(20)])
    found = retrieve(models, Query(()))
    assert found.items.tolist() == list(range(20))


def test_scores_fall_and_shares_name_the_sources_that_gave_them() -> None:
    models = learned(make_interactions(1))
    found = retrieve(models, Query(("i1", "i0"), ("i20",)))
    assert (np.diff(found.scores) <= 0).all()
    history = found.contributions[:, SOURCES.index("history")]
    assert [models.item_ids[i] for i in found.items[history > 0]] == ["i20"]


@pytest.mark.data
@pytest.mark.timeout(180)
def test_quality_on_diginetica_is_that_of_the_best_published_methods() -> None:
    # Single split, frozen, repeats allowed, as published: session-rec's protocol.
    questions = frozen(without_new_items(diginetica()))
    lists = run(questions, Engine(ModelConfig(repeat_current_weight=0.8, repeat_earlier_weight=2.1)))
    found = scores_of(judge(targets_of(questions), lists))
    hit_rate, reciprocal = found["hr@20"].mean(), found["mrr@20"].mean()
    print(f"Diginetica, {len(lists)} predictions: HR@20 {hit_rate:.4f}, MRR@20 {reciprocal:.4f}")
    assert len(lists) == 60_926
    assert hit_rate >= 0.5444
    assert reciprocal >= 0.1939
