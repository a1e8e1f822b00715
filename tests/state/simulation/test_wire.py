import numpy as np
import pytest

from state.event import EVENT_TYPES, Event, EventItem
from state.simulation.actions import ADD_TO_CART, CLICK, IMPRESSION, PURCHASE, ROW, VIEW, columns
from state.simulation.config import ShopConfig
from state.simulation.shop import Shop
from state.simulation.wire import catalogue_item, event_list, item_names, user_name

IDS = [f"tent-{number}" for number in range(10)]


def events_of(*rows):
    made = np.zeros(len(rows), ROW)
    for row, fields in enumerate(rows):
        base = {
            "time": 1000 + row,
            "shopper": 12,
            "session": 3,
            "number": row + 1,
            "quantity": 1,
            "price": 9.99,
        }
        for name, value in {**base, **fields}.items():
            made[name][row] = value
    return event_list(columns(made), IDS, {41: "events-0-7"}.get, "run")


def test_an_impression_names_its_slate_and_no_items():
    (event,) = events_of({"type": IMPRESSION, "item": -1, "slate": 41})
    assert event == Event(
        event_id="run-12-3-1",
        type="impression",
        user_id="shopper-12",
        time=1000,
        session_id="shopper-12-3",
        slate_id="events-0-7",
    )


@pytest.mark.parametrize("code", [VIEW, CLICK, ADD_TO_CART])
def test_an_event_of_one_item_has_its_price(code):
    (event,) = events_of({"type": code, "item": 4})
    assert event.type == EVENT_TYPES[code]
    assert event.items == (EventItem("tent-4", 1.0, 9.99),)
    assert (event.currency, event.slate_id, event.position, event.value) == ("EUR", None, None, None)


def test_a_click_on_a_slate_names_slate_and_position():
    (event,) = events_of({"type": CLICK, "item": 4, "slate": 41, "position": 2})
    assert (event.slate_id, event.position) == ("events-0-7", 2)


def test_a_slate_that_is_forgotten_is_left_out():
    (event,) = events_of({"type": CLICK, "item": 4, "slate": 40, "position": 2})
    assert event.slate_id is None


def test_a_purchase_of_several_items_is_one_event():
    events = events_of(
        {"type": VIEW, "item": 1},
        {"type": PURCHASE, "item": 1, "quantity": 2, "price": 19.9},
        {"type": PURCHASE, "item": 2, "price": 0.1, "line": 1, "number": 2},
        {"type": PURCHASE, "item": 3, "price": 5.0},
    )
    assert [event.type for event in events] == ["view", "purchase", "purchase"]
    assert events[1].items == (EventItem("tent-1", 2, 19.9), EventItem("tent-2", 1, 0.1))
    assert events[1].value == 39.9
    assert events[1].order_id == f"order-{events[1].event_id}"
    assert events[2].items == (EventItem("tent-3", 1, 5.0),)
    assert events[2].order_id != events[1].order_id


def test_no_rows_are_no_events():
    assert events_of() == []


def test_a_catalogue_item_says_what_the_arrays_say():
    shop = Shop(ShopConfig(shoppers=1, items=150, categories=5, brands=3), seed=1, start=0)
    shop.catalogue.items.available[7] = 0
    item = catalogue_item(shop.catalogue, shop.item_ids[7], 7)
    assert item.item_id == shop.item_ids[7]
    assert item.item_id.startswith(f"{item.category}-")
    assert item.title.split()[:2] == [item.brand, item.category]
    assert item.price == pytest.approx(float(shop.catalogue.items.price[7]), abs=0.006)
    assert item.available is False


def test_item_names_are_unique_and_say_the_category():
    shop = Shop(ShopConfig(shoppers=1, items=1_000, categories=200), seed=1, start=0)
    names = item_names(shop.catalogue)
    assert len(set(names)) == 1_000
    assert names == shop.item_ids


def test_a_user_is_named_after_the_shopper_s_index():
    assert user_name(12) == "shopper-12"
