import random

import numpy as np
import pytest

from state.catalogue import CatalogueItem
from state.models import Models
from state.retrieval import popularity as popular
from state.retrieval.category import category_weights
from tests.state.retrieval.reference import Reference, scaled
from tests.state.retrieval.shops import (
    CLICK,
    DAY,
    T,
    close,
    make_catalogue,
    make_delta,
    make_interactions,
    show_everything,
    source_scores,
    stock,
)

SOURCE = "category"


def entry(item_id: str, category: str | None, **changes: bool) -> CatalogueItem:
    return CatalogueItem(item_id=item_id, category=category, **changes)


def clicked(models: Models, counts: dict[str, int]) -> Models:
    models.learn([make_delta([(item, 0, T, CLICK) for item, count in counts.items() for _ in range(count)])])
    return models


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("pool", [3, 128])
def test_scores_are_those_of_the_formula(seed: int, pool: int) -> None:
    interactions = make_interactions(seed)
    config = show_everything(popularity_pool=pool)
    models, reference = Models(config), Reference(config)
    reference.learn(interactions)
    reference.catalogue = {item.item_id: item for item in make_catalogue()}
    models.learn([make_delta(interactions)])
    stock(models, make_catalogue())
    for session in (("i0",), ("i3", "i1"), ("i7", "i2", "i5", "i1", "i4")):
        assert close(source_scores(models, SOURCE, session), scaled(reference.category(session[::-1])))


def test_the_category_looked_at_comes_first() -> None:
    shop = [entry(name, name[0]) for name in ("a1", "a2", "b1", "b2")]
    models = clicked(stock(Models(show_everything()), shop), {"a1": 2, "a2": 4, "b1": 100, "b2": 50})
    found = source_scores(models, SOURCE, ("b1", "a1"))
    assert found["a2"] == 1.0
    assert found["a1"] == pytest.approx(0.5)
    assert found["b1"] == pytest.approx(np.exp(-1))


def test_without_a_category_there_is_nothing_to_say() -> None:
    models = clicked(stock(Models(show_everything()), [entry("a", None), entry("b", "b")]), {"a": 1, "b": 1})
    assert source_scores(models, SOURCE, ("a",)) == {}


def test_an_item_moves_to_its_new_category() -> None:
    models = clicked(
        stock(Models(show_everything()), [entry(name, "old") for name in "abc"]), dict.fromkeys("abc", 1)
    )
    models.upsert_item("a", entry("a", "new"))
    assert set(source_scores(models, SOURCE, ("b",))) == {"b", "c"}
    assert set(source_scores(models, SOURCE, ("a",))) == {"a"}


def test_pools_stay_exact_while_items_come_go_and_move() -> None:
    draw = random.Random(6)
    models = Models(show_everything(popularity_pool=6))
    models.upsert_item("other", entry("other", None))
    for step in range(600):
        name, turn = f"i{draw.randrange(40)}", draw.random()
        if turn < 0.5:
            models.learn([make_delta([(name, step + 1, T + step * DAY // 50, CLICK)])])
        elif turn < 0.9:
            category = draw.choice(["a", "b", None])
            models.upsert_item(name, entry(name, category, available=draw.random() < 0.6))
        else:
            models.withdraw_item(name)
        pools = models.popularity
        for number in range(pools.counters.size):
            score, allowed = pools.score[: models.n_items], pools.recommendable[: models.n_items] != 0
            if number:
                allowed = allowed & (pools.category[: models.n_items] == number)
            pooled = pools.pool[number, : pools.counters[number]]
            assert allowed[pooled].all()
            assert np.array_equal(np.sort(score[pooled])[::-1], np.sort(score[allowed])[::-1][: pooled.size])
            assert pooled.size >= min(3, (score[allowed] > 0).sum())


def test_beyond_the_most_categories_an_item_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(popular, "MAX_CATEGORIES", 1)
    models = stock(Models(show_everything()), [entry("a", "first"), entry("b", "second")])
    assert models.popularity.category[:2].tolist() == [1, 0]


def test_the_table_falls_from_one() -> None:
    steps = category_weights(show_everything(category_items=3)).steps
    assert steps[0] == 1.0
    assert (np.diff(steps) < 0).all()
