import pytest

from state.catalogue import CatalogueItem
from state.retrieval.features import BUCKETS, features_of

FULL = CatalogueItem(
    item_id="a",
    title="Red Tent, for two!",
    category="tents",
    brand="Alp",
    price=99.0,
    attributes={"colour": "Red", "tags": ["light", 2], "text": "long " * 40, "nested": {"no": 1}},
)


def common(first: CatalogueItem, second: CatalogueItem) -> int:
    return len(set(features_of(first, 64)) & set(features_of(second, 64)))


def test_features_are_different_ascending_numbers() -> None:
    found = features_of(FULL, 64)
    # Category, brand, price, colour, two tags and four words.
    assert len(found) == 10
    assert list(found) == sorted(set(found))
    assert all(0 <= feature < BUCKETS for feature in found)


def test_features_are_the_same_in_every_process() -> None:
    assert features_of(CatalogueItem(item_id="a", category="tents"), 64) == (15_392,)


@pytest.mark.parametrize(
    ("change", "shared"),
    [
        ({"category": "tents"}, 1),
        ({"brand": "Alp"}, 1),
        ({"category": "tents", "price": 95.0}, 2),
        ({"category": "tents", "price": 20.0}, 1),
        ({"category": "stoves", "price": 95.0}, 0),
        ({"attributes": {"colour": "red"}}, 1),
        ({"attributes": {"size": "red"}}, 0),
        ({"attributes": {"tags": ["light"]}}, 1),
        ({"title": "RED tent"}, 2),
        ({"title": "a redder tent"}, 1),
        ({}, 0),
    ],
)
def test_like_items_have_features_in_common(change: dict, shared: int) -> None:
    assert common(FULL, CatalogueItem(item_id="b", **change)) == shared


def test_the_first_named_features_stay_where_there_are_too_many() -> None:
    assert set(features_of(FULL, 1)) == set(features_of(CatalogueItem(item_id="b", category="tents"), 64))


def test_an_item_without_a_price_or_with_price_0_has_no_band() -> None:
    assert features_of(CatalogueItem(item_id="a", price=0.0), 64) == ()
    assert features_of(CatalogueItem(item_id="a"), 64) == ()
