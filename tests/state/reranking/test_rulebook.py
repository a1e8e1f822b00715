import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.catalogue import CatalogueItem
from state.models import Models
from state.policy.softmax import Softmax
from state.reranking.rulebook import POOL, Rulebook
from state.reranking.rules import Rules
from state.retrieval.blend import SOURCES, Query, Ranked, retrieve_all
from tests.state.retrieval.shops import make_delta, make_interactions

SHELVES = ("shoes", "shoes/trail", "tents", "", "lamps")


@pytest.fixture
def shop():
    models = Models()
    models.learn([make_delta(make_interactions(5))])
    for number, item_id in enumerate(list(models.item_ids)):
        category = SHELVES[number % len(SHELVES)] or None
        models.upsert_item(item_id, CatalogueItem(item_id=item_id, category=category))
    return models


def found(models, size=40):
    return retrieve_all(models, [Query(("i1",)), Query(("i2", "i3"))], size)


def reranked(models, size=20, slots=5, **rules):
    return Rulebook(Rules(**rules), models).rerank(found(models), slots=slots, size=size)


def names(models, result, row=0):
    return [models.item_ids[item] for item in result.ranked.of(row).items]


def category(models, item_id):
    return models.catalogue[item_id].category or ""


def test_without_rules_candidates_stay_the_very_same(shop):
    given_ = found(shop)
    book = Rulebook(Rules(), shop)
    result = book.rerank(given_, slots=5, size=20)
    assert result.ranked is given_
    assert (result.limits, result.version, result.factors.size) == (None, "", 0)
    assert book.pool(60) == 60


def test_with_rules_more_candidates_are_looked_at_than_are_kept(shop):
    book = Rulebook(Rules(diversity=0.1), shop)
    assert book.pool(60) == POOL * 60
    assert book.rerank(found(shop), slots=5, size=7).ranked.scores.shape == (2, 7)


def test_excluded_items_and_categories_are_gone_and_counted(shop):
    before = names(shop, reranked(shop, size=40, diversity=0.0, boosts={"nothing": 2.0}))
    result = reranked(shop, size=40, exclude=frozenset({before[0]}), exclude_categories=frozenset({"shoes"}))
    after = names(shop, result)
    assert before[0] not in after
    assert {category(shop, item) for item in after} == {"tents", "", "lamps"}
    gone = [item for item in before if item == before[0] or category(shop, item).startswith("shoes")]
    assert result.excluded[0] == len(gone)
    assert sorted(after + gone) == sorted(before)


def test_a_boost_lifts_an_item_and_a_category(shop):
    plain = names(shop, reranked(shop, boosts={"nothing": 2.0}))
    last = plain[-1]
    assert names(shop, reranked(shop, boosts={last: 100.0}))[0] == last
    lifted = names(shop, reranked(shop, category_boosts={"lamps": 100.0}))
    lamps = [item for item in lifted if category(shop, item) == "lamps"]
    assert lifted[: len(lamps)] == lamps
    assert len(lamps) >= 2


def test_the_nearest_rule_above_a_category_counts(shop):
    result = reranked(shop, size=40, category_boosts={"shoes": 2.0, "shoes/trail": 4.0})
    for item, factors in zip(names(shop, result), result.factors[0].tolist(), strict=False):
        assert factors[1] == {"shoes": 2.0, "shoes/trail": 4.0}.get(category(shop, item), 1.0)


def test_new_items_and_categories_are_looked_up_once_they_come(shop):
    book = Rulebook(Rules(exclude=frozenset({"new"}), exclude_categories=frozenset({"fresh"})), shop)
    book.rerank(found(shop), slots=5, size=20)
    for item_id, shelf in (("new", "tents"), ("other", "fresh"), ("third", "tents")):
        shop.upsert_item(item_id, CatalogueItem(item_id=item_id, category=shelf))
        shop.learn([make_delta([(item_id, 900, 1, 2), ("i1", 900, 2, 2)])])
    after = names(shop, book.rerank(found(shop, 200), slots=5, size=200))
    assert "third" in after
    assert not {"new", "other"} & set(after)


def test_an_item_that_moves_follows_the_rules_of_where_it_is(shop):
    book = Rulebook(Rules(exclude_categories=frozenset({"tents"})), shop)
    first = names(shop, book.rerank(found(shop), slots=5, size=40))[0]
    shop.upsert_item(first, CatalogueItem(item_id=first, category="tents"))
    assert first not in names(shop, book.rerank(found(shop), slots=5, size=40))


def test_a_limit_on_a_category_counts_what_lies_below_it_together(shop):
    result = reranked(shop, size=40, category_limits={"shoes": 2})
    groups = dict(zip(names(shop, result), result.limits.groups[0].tolist(), strict=False))
    shoes = {group for item, group in groups.items() if category(shop, item).startswith("shoes")}
    others = {group for item, group in groups.items() if not category(shop, item).startswith("shoes")}
    assert shoes == {0}
    assert others == {-1}
    assert result.limits.most.tolist() == [2]


def test_a_limit_on_any_category_counts_each_by_itself(shop):
    result = reranked(shop, size=40, category_limit=1, category_limits={"tents": 3})
    groups = {
        category(shop, item): group
        for item, group in zip(names(shop, result), result.limits.groups[0].tolist(), strict=False)
    }
    assert groups[""] == -1
    assert len({groups[each] for each in SHELVES if each}) == 4
    assert result.limits.most[groups["tents"]] == 3
    assert result.limits.most[groups["shoes"]] == 1


def test_a_slate_says_the_version_and_what_was_left_out(shop):
    policy = Softmax()
    result = reranked(shop, size=20, category_limit=1, exclude=frozenset({"i4"}))
    choices = policy.choose_all(
        result.ranked.scores, result.ranked.counts, 5, np.array([1, 2]), limits=result.limits
    )
    said = result.said(choices)
    rules = Rules(category_limit=1, exclude=frozenset({"i4"}))
    assert {each.version for each in said} == {rules.version}
    for row, each in enumerate(said):
        groups = result.limits.groups[row, : result.ranked.counts[row]]
        chosen = choices.indices[row, : choices.sizes[row]]
        filled = {int(group) for group in groups[chosen] if group >= 0}
        outside = sum(int(group) in filled for group in groups) - len(filled)
        assert each.capped == outside + result.passed_over[row]
        assert each.excluded == result.excluded[row]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 5), min_size=0, max_size=80),
    st.integers(1, 10),
    st.integers(1, 4),
    st.dictionaries(st.sampled_from(["c1", "c2", "c3"]), st.integers(1, 6), max_size=3),
    st.integers(0, 2**32),
)
def test_a_list_that_is_full_fills_a_slate_whatever_is_drawn(shelves, slots, per_slot, named, seed):
    """What `size * limit // slots` is for."""
    models, size = Models(), slots * per_slot
    for item, shelf in enumerate(shelves):
        models.upsert_item(f"i{item}", CatalogueItem(item_id=f"i{item}", category=f"c{shelf}"))
    count = len(shelves)
    ranked = Ranked(
        np.arange(count, dtype=np.int32).reshape(1, -1),
        np.linspace(2, 1, count, dtype=np.float32).reshape(1, -1),
        np.zeros((1, count, len(SOURCES)), np.float32),
        np.array([count], np.int32),
    )
    result = Rulebook(Rules(category_limit=2, category_limits=named), models).rerank(
        ranked, slots=slots, size=size
    )
    drawn = Softmax(temperature=9.0).choose_all(
        result.ranked.scores, result.ranked.counts, slots, np.array([seed]), limits=result.limits
    )
    if result.ranked.counts[0] == size:
        assert drawn.sizes[0] == slots
    else:
        # Everything that is left is over a limit of the list, so nothing could take its place.
        assert result.ranked.counts[0] + result.passed_over[0] == count
