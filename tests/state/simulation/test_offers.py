import numpy as np
import pytest

from state.simulation.config import ShopConfig
from state.simulation.offers import offer, serve_popular
from state.simulation.sessions import SHOWN, WAITING
from state.simulation.shop import Shop

START = 1_763_831_000_000
CONFIG = ShopConfig(
    shoppers=500,
    items=300,
    categories=6,
    events_per_second=200.0,
    looks_share=1.0,
    patience_ms=60_000,
    slots=5,
)


@pytest.fixture
def shop():
    shop = Shop(CONFIG, seed=2, start=START)
    shop.advance(START + 20_000)
    return shop


def waiting(shop):
    rows = shop._world.sessions.rows
    return np.flatnonzero(rows.state == WAITING)


def offered(shop, shoppers, slates):
    m = len(shoppers)
    seen, expected, best = np.zeros(m, np.int32), np.zeros(m), np.zeros(m)
    count = offer(shop._world, shoppers, slates, shop.now, seen, expected, best)
    return seen[:count].tolist(), expected[:count], best[:count]


def test_only_who_waits_sees_a_slate_and_only_one(shop):
    slot = waiting(shop)[0]
    there = int(shop._world.sessions.rows.shopper[slot])
    away = int(np.flatnonzero(shop.shoppers.rows.slot == 0)[0])
    slates = np.array([[1, 2], [3, 4], [5, 6]], np.int32)
    probability = shop.click_probability(there, slates[1])
    seen, expected, _ = offered(shop, np.array([away, there, there], np.int32), slates)
    assert seen == [1]
    assert expected.tolist() == [probability]
    row = shop._world.sessions.rows[slot]
    assert row.state == SHOWN
    assert row.slate[: row.slate_size].tolist() == [3, 4]


def test_no_shown_slate_is_expected_to_do_better_than_the_best(shop):
    slots = waiting(shop)
    shoppers = shop._world.sessions.rows.shopper[slots].astype(np.int32)
    ideal = [shop.click_probability(int(s), shop.best_slate(int(s), 5)) for s in shoppers]
    slates = np.random.default_rng(1).integers(0, 300, (slots.size, 5)).astype(np.int32)
    seen, expected, best = offered(shop, shoppers, slates)
    assert seen == list(range(slots.size))
    assert (expected <= best).all()
    assert best.tolist() == ideal


def test_a_longer_slate_is_cut_to_what_is_looked_at(shop):
    slot = waiting(shop)[0]
    shopper = shop._world.sessions.rows.shopper[[slot]].astype(np.int32)
    offered(shop, shopper, np.arange(9, dtype=np.int32)[None, :])
    assert shop._world.sessions.rows.slate_size[slot] == 5


def test_served_slates_are_popular_available_and_new_to_the_session(shop):
    slots = waiting(shop)
    assert serve_popular(shop._world, shop.now) == slots.size
    catalogue = shop.catalogue
    for slot in slots:
        row = shop._world.sessions.rows[slot]
        slate = row.slate[: row.slate_size].tolist()
        mine = catalogue.categories[row.category]
        ranked = [
            item
            for item in catalogue.order[mine.first : mine.end].tolist()
            if catalogue.items.available[item] and item not in row.seen[: row.seen_count]
        ]
        assert slate == ranked[:5]
    assert serve_popular(shop._world, shop.now) == 0
