"""The catalogue in memory."""

from stream.api.item_store import ItemStore
from tests.stream.records import record


def store_of(*items: dict, most: int = 100) -> ItemStore:
    store = ItemStore(most)
    take(store, *items)
    return store


def take(store: ItemStore, *items: dict) -> None:
    store.take([record(item, n, key=str(item["item_id"]).encode()) for n, item in enumerate(items)])


SHOES = {"item_id": "s1", "title": "Trail Shoe", "brand": "Acme", "category": "shoes"}
BOOTS = {"item_id": "s2", "title": "Winter Boot", "category": "shoes"}
TEA = {"item_id": "t1", "title": "Green Tea", "category": "tea"}


def ids(store: ItemStore, query: str = "", category: str = "", start: int = 0, most: int = 10) -> list[str]:
    return [item.item_id for item in store.search(query, category, start=start, most=most).items]


def test_every_word_must_be_there_in_any_case_and_place() -> None:
    store = store_of(SHOES, BOOTS, TEA)
    assert ids(store) == ["s1", "s2", "t1"]
    assert ids(store, "ACME trail") == ["s1"]
    assert ids(store, "trail boot") == []
    assert ids(store, category="shoes", start=1) == ["s2"]
    assert store.search("", "shoes", start=0, most=1).total == 2


def test_what_is_replaced_withdrawn_or_unavailable_is_found_no_more() -> None:
    store = store_of(SHOES, BOOTS, TEA)
    take(store, {**SHOES, "category": "sport"}, {**BOOTS, "available": False})
    store.take([record(None, 9, key=b"t1")])
    assert ids(store) == ["s1"]
    assert store.categories() == ["shoes", "sport"]
    assert [item.item_id for item in store.get(["s2", "t1", "s1"])] == ["s2", "s1"]


def test_broken_records_are_left_out_and_markup_is_text() -> None:
    store = ItemStore(10)
    store.take([record(b"{", 0, key=b"x"), record({"title": "<script>alert(1)</script>"}, 1, key=b"<b>")])
    assert [item.title for item in store.search("<script>", "", start=0, most=5).items] == [
        "<script>alert(1)</script>"
    ]
    assert len(store) == 1


def test_beyond_the_room_new_items_are_left_out_and_known_ones_kept_up_to_date() -> None:
    store = store_of(SHOES, BOOTS, TEA, most=2)
    assert (len(store), store.left_out) == (2, 1)
    take(store, {**BOOTS, "title": "Summer Boot"})
    assert ids(store, "summer") == ["s2"]
