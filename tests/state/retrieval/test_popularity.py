import random

import numpy as np
import pytest

from state.catalogue import CatalogueItem
from state.models import Models
from state.retrieval.popularity import new_popularity
from tests.state.retrieval.reference import Reference, scaled
from tests.state.retrieval.shops import (
    CLICK,
    DAY,
    PURCHASE,
    T,
    close,
    make_delta,
    make_interactions,
    show_everything,
    source_scores,
)

SOURCE = "popularity"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("pool", [4, 128])
def test_the_pool_holds_the_most_popular_items(seed: int, pool: int) -> None:
    interactions = make_interactions(seed)
    config = show_everything(popularity_pool=pool)
    models, reference = Models(config), Reference(config)
    models.learn([make_delta(interactions)])
    reference.learn(interactions)
    assert close(source_scores(models, SOURCE), scaled(reference.popular()))


def test_a_purchase_counts_more_than_a_click() -> None:
    models = Models(show_everything())
    models.learn([make_delta([("clicked", 1, T, CLICK), ("bought", 2, T, PURCHASE)])])
    assert source_scores(models, SOURCE) == {"bought": 1.0, "clicked": pytest.approx(1 / 6)}


def test_a_type_of_a_later_schema_counts_nothing() -> None:
    models = Models(show_everything())
    models.learn([make_delta([("a", 1, T, 99), ("b", 1, T, CLICK)])])
    assert source_scores(models, SOURCE) == {"b": 1.0}


def test_the_pool_stays_exact_while_items_come_and_go() -> None:
    draw = random.Random(5)
    models = Models(show_everything(popularity_pool=8))
    names = [f"i{i}" for i in range(40)]
    models.upsert_item("other", CatalogueItem(item_id="other"))
    for step in range(400):
        name = draw.choice(names)
        if draw.random() < 0.5:
            models.learn([make_delta([(name, step + 1, T + step * DAY // 50, CLICK)])])
        else:
            available = draw.random() < 0.4
            models.upsert_item(name, CatalogueItem(item_id=name, available=available))
        pool = models.popularity
        pooled = pool.pool[0, : pool.counters[0]]
        score = pool.score[: models.n_items]
        allowed = pool.recommendable[: models.n_items] != 0
        ranked = np.sort(score[allowed])[::-1][: pooled.size]
        assert allowed[pooled].all()
        assert np.array_equal(np.sort(score[pooled])[::-1], ranked)
        assert pooled.size >= min(4, (score[allowed] > 0).sum())


def test_a_pool_of_withdrawn_items_is_filled_again() -> None:
    models = Models(show_everything(popularity_pool=4))
    for i in range(10):
        models.upsert_item(f"i{i}", CatalogueItem(item_id=f"i{i}"))
    models.learn([make_delta([(f"i{i}", 1 + i, T, CLICK) for i in range(10) for _ in range(10 - i)])])
    for i in range(3):
        models.withdraw_item(f"i{i}")
    assert set(source_scores(models, SOURCE)) == {"i3", "i4", "i5", "i6"}


def test_items_nobody_has_turned_to_are_known() -> None:
    models = Models(show_everything())
    for name in "abc":
        models.upsert_item(name, CatalogueItem(item_id=name, available=name != "b"))
    models.learn([make_delta([("c", 1, T, CLICK)])])
    assert [models.item_ids[i] for i in models.untried()] == ["a"]
    assert new_popularity(show_everything()).counters[0] == 0
