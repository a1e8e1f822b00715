import msgspec
import pytest

from state.catalogue import CatalogueItem


def test_an_item_is_available_unless_the_shop_says_otherwise() -> None:
    assert CatalogueItem(item_id="a").available


def test_an_item_survives_encoding_with_everything_the_shop_sent() -> None:
    item = CatalogueItem(item_id="a", title="Cup", price=3.5, available=False, attributes={"size": [1, 2]})
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(item), type=CatalogueItem) == item


def test_an_item_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        CatalogueItem(item_id="a").price = 1.0  # type: ignore[misc]
