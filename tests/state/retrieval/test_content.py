import random

import numpy as np
import pytest

from state.catalogue import CatalogueItem
from state.models import Models
from state.retrieval.blend import Query, retrieve
from state.retrieval.content import content_weights, new_content
from state.retrieval.features import features_of
from tests.state.retrieval.reference import Reference, scaled
from tests.state.retrieval.shops import (
    CLICK,
    T,
    close,
    make_catalogue,
    make_delta,
    make_interactions,
    show_everything,
    source_scores,
    stock,
)

SOURCE = "content"


def entry(item_id: str, title: str) -> CatalogueItem:
    return CatalogueItem(item_id=item_id, title=title)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("changes", [{}, {"content_items": 5, "content_features": 3}])
def test_scores_are_those_of_the_formula(seed: int, changes: dict) -> None:
    interactions = make_interactions(seed)
    config = show_everything(**changes)
    models, reference = Models(config), Reference(config)
    reference.learn(interactions)
    reference.catalogue = {item.item_id: item for item in make_catalogue(40)}
    models.learn([make_delta(interactions)])
    stock(models, make_catalogue(40))
    for session in (("i0",), ("i3", "i1"), ("i7", "i2", "i5", "i1")):
        assert close(source_scores(models, SOURCE, session), scaled(reference.content(session[::-1])))


def test_a_new_item_is_retrieved_before_its_first_click() -> None:
    models = stock(Models(), make_catalogue())
    models.learn([make_delta(make_interactions(1))])
    new = CatalogueItem(item_id="new", title="red thing of oak", category="c2", brand="b2", price=20.0)
    models.upsert_item("new", new)
    found = retrieve(models, Query(("i14",), now=T, size=20))
    assert "new" in [models.item_ids[item] for item in found.items]
    assert found.scores[[models.item_ids[item] for item in found.items].index("new")] > 0


def test_what_many_sessions_hold_fades() -> None:
    models = stock(
        Models(show_everything(content_fade_sessions=2.0)), [entry(n, "same words") for n in "abc"]
    )
    assert source_scores(models, SOURCE, ("a",)) == {"a": 1.0, "b": 1.0, "c": 1.0}
    models.learn([make_delta([("b", n, T, CLICK) for n in (1, 2)])])
    assert source_scores(models, SOURCE, ("a",)) == {"a": 1.0, "b": pytest.approx(0.5), "c": 1.0}


def test_a_rare_word_counts_more_than_a_common_one() -> None:
    shop = [entry("a", "tin whistle"), entry("b", "whistle"), entry("c", "tin"), entry("d", "tin")]
    found = source_scores(stock(Models(show_everything()), shop), SOURCE, ("a",))
    assert found["a"] > found["b"] > found["c"] == found["d"]


def test_no_more_than_the_newest_items_of_a_feature_are_found() -> None:
    shop = [entry(f"i{n}", "same") for n in range(30)]
    models = stock(Models(show_everything(content_listed=4)), shop)
    assert set(source_scores(models, SOURCE, ("i0",))) == {"i26", "i27", "i28", "i29"}
    models.upsert_item("i27", entry("i27", "same"))
    assert set(source_scores(models, SOURCE, ("i0",))) == {"i26", "i27", "i28", "i29"}


def test_an_item_that_changed_or_left_is_no_longer_alike() -> None:
    models = stock(Models(show_everything()), [entry(n, "same words") for n in "abcd"])
    models.upsert_item("b", entry("b", "others"))
    models.withdraw_item("c")
    assert set(source_scores(models, SOURCE, ("a",))) == {"a", "d"}
    assert source_scores(models, SOURCE, ("c",)) == {}
    assert models.content.counters[0] == 3


def test_lists_are_those_of_the_catalogue_however_it_came_about() -> None:
    draw, models = random.Random(2), Models(show_everything(content_listed=50))
    for step in range(500):
        name = f"i{draw.randrange(30)}"
        if draw.random() < 0.7:
            words = " ".join(draw.sample(["red", "blue", "tin", "oak", "wool"], 2))
            models.upsert_item(name, entry(name, words))
        else:
            models.withdraw_item(name)
        if step % 50 == 0 and models.catalogue:
            fresh = stock(Models(models.config), models.catalogue.values())
            for session in models.catalogue:
                assert close(
                    source_scores(models, SOURCE, (session,)), source_scores(fresh, SOURCE, (session,))
                )
    used = models.content.listed.sum()
    assert used == sum(len(features_of(item, 16)) for item in models.catalogue.values())
    # Blocks given back are used again: each of a handful of features passed through each size once.
    assert models.content.heap[0] <= 5 * (8 + 16 + 32 + 50)


def test_new_arrays_have_no_room_and_tables_fall_from_one() -> None:
    config = show_everything(content_items=3)
    assert new_content(config).features.shape == (0, config.content_features)
    weights = content_weights(config)
    for table in (weights.steps, weights.length[1:]):
        assert table[0] == 1.0
        assert (np.diff(table) < 0).all()
