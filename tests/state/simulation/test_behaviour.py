import numpy as np
import pytest

from state.simulation.actions import ADD_TO_CART, CLICK, IMPRESSION, PURCHASE, VIEW, columns
from state.simulation.behaviour import act
from state.simulation.config import ShopConfig
from state.simulation.entrance import hand_over, is_waiting, start_session
from state.simulation.sessions import (
    BROWSING,
    CARTING,
    CLICKING,
    FREE,
    LEAVING,
    PAYING,
    SHOWN,
    WAITING,
)
from state.simulation.shop import Shop

START = 1_763_831_000_000
CONFIG = ShopConfig(shoppers=40, items=120, categories=6, looks_share=1.0, patience_ms=500, rate_memory=4)
WAITS_OR_CARTS = (WAITING, CARTING)


class Stage:
    """One session, moved on act by act."""

    def __init__(self, config=CONFIG, shopper=3, focus=-1, seed=1):
        self.shop = Shop(config, seed=seed, start=START)
        self.world = self.shop._world
        start_session(self.world, shopper, START, focus)
        self.slot = int(self.world.shoppers.rows.slot[shopper])
        self.session = self.world.sessions.rows[self.slot]

    @property
    def due(self):
        return int(self.world.sessions.due[self.slot])

    def act(self):
        """Act once; returns the rows it wrote."""
        self.world.clock.rows = 0
        act(self.world, self.slot)
        return columns(np.asarray(self.world.out)[: self.world.clock.rows[0]])

    def be(self, state, **fields):
        self.session.state = state
        for name, value in fields.items():
            self.session[name] = value


@pytest.fixture
def stage():
    return Stage()


def test_who_enters_views_an_item_of_the_goal_s_category_or_a_related_one():
    for seed in range(20):
        stage = Stage(seed=seed, focus=2)
        rows = stage.act()
        category = stage.world.catalogue.items.category[rows.item[0]]
        assert rows.type.tolist() == [VIEW]
        assert category in {2, *stage.world.catalogue.categories.related[2].tolist()}
        assert stage.session.category == category
        assert stage.session.state in WAITS_OR_CARTS


def test_a_shopper_waits_for_a_slate_no_longer_than_patience(stage):
    stage.be(BROWSING, leave=0.0)
    stage.act()
    stage.be(WAITING)
    stage.world.sessions.due[stage.slot] = START + 500
    assert is_waiting(stage.world, 3, START + 499)
    assert not is_waiting(stage.world, 3, START + 500)
    assert not is_waiting(stage.world, 4, START)
    assert stage.act().type.size == 0
    assert stage.session.state == BROWSING
    assert stage.world.clock[0].missed == 1


def test_who_looks_at_no_slates_does_not_wait():
    stage = Stage(ShopConfig(shoppers=40, items=120, categories=6, looks_share=0.0, cart_bias=-50.0))
    stage.act()
    assert stage.session.state == BROWSING


def test_a_shown_slate_is_an_impression_and_then_a_click_that_names_it():
    config = ShopConfig(shoppers=40, items=120, categories=6, bias=50.0, looks_share=1.0)
    stage = Stage(config)
    stage.session.slate[:3] = [-1, 7, 8]
    stage.session.slate_size = 3
    hand_over(stage.world, stage.slot, START + 100, 41)
    assert stage.session.state == SHOWN
    assert stage.due == START + 101
    seen = stage.act()
    assert (seen.type.tolist(), seen.item.tolist(), seen.slate.tolist()) == ([IMPRESSION], [-1], [41])
    assert stage.session.state in {CLICKING, BROWSING}
    stage.be(CLICKING, next_item=8, position=3, origin=41)
    clicked = stage.act()
    assert clicked.type.tolist() == [CLICK]
    assert (clicked.item[0], clicked.position[0], clicked.slate[0]) == (8, 3, 41)
    assert stage.session.current == 8


def test_a_click_s_cart_names_the_slate_and_a_view_s_does_not(stage):
    stage.be(CARTING, current=8, position=3, origin=41, buys=0)
    rows = stage.act()
    assert (rows.type[0], rows.item[0], rows.position[0], rows.slate[0]) == (ADD_TO_CART, 8, 3, 41)
    stage.be(BROWSING, leave=0.0)
    assert stage.act().type.tolist() == [VIEW]
    assert (stage.session.position, stage.session.origin) == (0, 0)


def test_intent_drifts_towards_what_is_looked_at():
    stage = Stage(ShopConfig(shoppers=40, items=120, categories=6, drift_noise=0.0))
    item = int(np.flatnonzero(stage.world.catalogue.items.category != stage.session.category)[0])
    vector = stage.world.catalogue.items.vector[item].copy()
    before = float(stage.session.intent @ vector)
    stage.be(CLICKING, next_item=item)
    stage.act()
    assert float(stage.session.intent @ vector) > before + 0.05
    assert np.linalg.norm(stage.session.intent) == pytest.approx(1.0, abs=1e-5)


def test_who_leaves_with_a_cart_and_buys_pays_first(stage):
    stage.be(BROWSING, leave=1.0, buys=1, carted=2)
    stage.session.cart[:2] = [7, 8]
    stage.act()
    assert stage.session.state == LEAVING
    stock = stage.world.catalogue.items.stock[[7, 8]].copy()
    rows = stage.act()
    assert rows.type.tolist() == [PURCHASE] * 2
    assert rows.line.tolist() == [0, 1]
    assert rows.number[0] == rows.number[1]
    assert (stock - stage.world.catalogue.items.stock[[7, 8]]).tolist() == rows.quantity.tolist()
    assert stage.session.state == FREE
    assert stage.world.shoppers.rows.slot[3] == 0
    assert stage.world.clock[0].present == 0


def test_who_leaves_with_a_cart_and_does_not_buy_just_leaves(stage):
    stage.be(BROWSING, leave=1.0, buys=0, carted=1)
    assert stage.act().type.size == 0
    assert stage.session.state == FREE


def test_a_session_ends_after_its_longest_length(stage):
    stage.be(BROWSING, leave=0.0, steps=CONFIG.longest_session)
    stage.act()
    assert stage.session.state == FREE


def test_a_purchase_of_one_item_names_the_slate_it_came_from(stage):
    stage.be(PAYING, carted=1)
    stage.session.cart[0], stage.session.cart_position[0], stage.session.cart_slate[0] = 7, 2, 41
    rows = stage.act()
    assert (rows.position[0], rows.slate[0]) == (2, 41)
    assert stage.session.carted == 0


def test_what_has_sold_out_in_the_meantime_is_not_bought(stage):
    stage.world.catalogue.items.stock[7] = 0
    stage.be(PAYING, carted=1)
    stage.session.cart[0] = 7
    assert stage.act().type.size == 0
    assert stage.session.state in {FREE, BROWSING}


def test_a_session_in_an_empty_shop_ends(stage):
    stage.world.catalogue.items.available[:] = 0
    assert stage.act().type.size == 0
    assert stage.session.state == FREE


def test_every_act_is_later_than_the_one_before(stage):
    times = []
    while stage.session.state != FREE:
        times.append(stage.due)
        stage.act()
    assert times == sorted(set(times))


@pytest.mark.parametrize("seed", range(3))
def test_items_are_bought_as_often_as_the_closed_form_says(seed):
    config = ShopConfig(
        shoppers=40, items=120, categories=6, looks_share=0.0, cart_bias=-0.5, stock_mean=10**6
    )
    stage = Stage(config, seed=seed)
    item, n = 9, 3_000
    stage.act()
    before = stage.session.copy()
    expected = stage.shop.purchase_probability(3, item)
    checkout = stage.world.shoppers.rows.checkout[3]
    draws = np.random.default_rng(seed)
    bought = 0
    for number in range(n):
        stage.world.sessions.rows[stage.slot] = before
        stage.session.stream[0] = before.stream[0] + np.uint64(number * 7919)
        stage.be(CLICKING, next_item=item, leave=1.0, buys=draws.random() < checkout, carted=0)
        bought += _buys(stage, item)
    assert 0.02 < expected < 0.9
    assert abs(bought / n - expected) < 4 * (expected * (1 - expected) / n) ** 0.5


def _buys(stage, item):
    """Whether the rest of the session, until it would end, buys the item."""
    while True:
        rows = stage.act()
        if PURCHASE in rows.type:
            found = item in rows.item[rows.type == PURCHASE]
            _open_again(stage)
            return found
        if stage.session.state == FREE:
            _open_again(stage)
            return False


def _open_again(stage):
    """Undo the end of the session, where it has ended."""
    if stage.session.state == FREE:
        start_session(stage.world, 3, START, -1)
        assert int(stage.world.shoppers.rows.slot[3]) == stage.slot
