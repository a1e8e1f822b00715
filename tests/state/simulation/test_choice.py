import itertools

import numpy as np
import pytest

from state.simulation import choice
from state.simulation.behaviour import act
from state.simulation.choice import (
    best_items,
    click_chance,
    cosine,
    overprice,
    sigmoid,
)
from state.simulation.config import ShopConfig
from state.simulation.entrance import settle_in
from state.simulation.sessions import CARTING, CLICKING, remember
from state.simulation.shop import Shop

START = 1_763_831_000_000
CONFIG = ShopConfig(
    shoppers=50,
    items=120,
    categories=6,
    events_per_second=50.0,
    bias=-2.5,
    intent_weight=3.0,
    looks_share=0.0,
)
DRAWS = 20_000


@pytest.fixture
def world():
    """A shop in which slot 0 is that of shopper 3, who has just looked at two items."""
    world = Shop(CONFIG, seed=4, start=START)._world
    world.catalogue.items.available[:] = 1
    settle_in(world, 0, 3)
    remember(world.sessions.rows[0], 10)
    remember(world.sessions.rows[0], 11)
    return world


def records(world):
    session = world.sessions.rows[0]
    return world.rules[0], session, world.shoppers.rows[session.shopper], world.catalogue.items


def appeal(world, item):
    rules, session, person, items = records(world)
    return choice.appeal(rules, session, person, items[item])


def attraction(world, item):
    return choice.attraction(*records(world), item)


def cart_chance(world, item):
    return choice.cart_chance(*records(world), item)


def near(frequency, probability, n):
    """Within four standard deviations of a binomial share, and half a draw."""
    return abs(frequency - probability) < 4 * (probability * (1 - probability) / n) ** 0.5 + 0.5 / n


def test_attraction_is_the_formula_of_the_docstring(world):
    session, item = world.sessions.rows[0], world.catalogue.items[20]
    person = world.shoppers.rows[3]
    logit = (
        CONFIG.bias
        + CONFIG.taste_weight * float(session.taste @ item.vector)
        + CONFIG.intent_weight * float(session.intent @ item.vector)
        + CONFIG.quality_weight * item.quality
        - CONFIG.price_weight * person.sensitivity * max(0.0, item.expense - person.budget)
    )
    assert appeal(world, 20) == pytest.approx(1 / (1 + np.exp(-logit)), rel=1e-4)
    assert attraction(world, 20) == appeal(world, 20)


def test_what_is_seen_appeals_less_and_what_is_looked_at_or_gone_not_at_all(world):
    assert attraction(world, 10) == pytest.approx(CONFIG.seen_factor * appeal(world, 10))
    assert attraction(world, 11) == 0.0
    world.catalogue.items.available[12] = 0
    assert attraction(world, 12) == 0.0
    assert cart_chance(world, 12) == 0.0


def test_a_higher_price_never_appeals_more(world):
    world.shoppers.rows.budget[3] = 0.0
    values = []
    for expense in (-1.0, 0.0, 0.5, 1.0, 2.0):
        world.catalogue.items.expense[20] = expense
        values.append(
            (
                attraction(world, 20),
                cart_chance(world, 20),
                -overprice(world.shoppers.rows[3], world.catalogue.items[20]),
            )
        )
    assert values[0] == values[1]
    assert all(before > after for before, after in itertools.pairwise(values[1:]))


def test_a_slate_is_clicked_where_not_every_place_is_passed_over(world):
    slate = np.array([20, -1, 21, 22], np.int32)
    theta = [(place + 1) ** -CONFIG.examination_exponent for place in range(4)]
    passed = [1 - theta[place] * attraction(world, slate[place]) for place in (0, 2, 3)]
    assert click_chance(world, 0, slate) == pytest.approx(1 - np.prod(passed))
    assert click_chance(world, 0, slate[:0]) == 0.0


def test_places_beyond_the_longest_slate_are_not_looked_at(world):
    slate = np.arange(20, 40, dtype=np.int32)
    assert click_chance(world, 0, slate) == click_chance(world, 0, slate[: CONFIG.slots])


@pytest.mark.parametrize("seed", range(4))
def test_clicks_happen_as_often_as_the_closed_form_says_at_each_place(world, seed):
    rng = np.random.default_rng(seed)
    slate = rng.choice(120, 6, replace=False).astype(np.int32)
    rules, session, person, items = records(world)
    session.slate[:6] = slate
    session.slate_size = 6
    session.stream[0] = seed
    places = np.array(
        [choice.clicked_place(rules, world.examined, session, person, items) for _ in range(DRAWS)]
    )
    assert near((places >= 0).mean(), click_chance(world, 0, slate), DRAWS)
    left = 1.0
    for place in range(6):
        chance = world.examined[place] * attraction(world, slate[place])
        assert near((places == place).mean(), left * chance, DRAWS)
        left *= 1 - chance


@pytest.mark.parametrize("seed", range(5))
def test_no_slate_is_clicked_more_than_the_best_one(world, seed):
    rng = np.random.default_rng(seed)
    some = rng.choice(120, 7, replace=False)
    world.catalogue.items.available[:] = np.isin(np.arange(120), some)
    best = np.zeros(3, np.int32)
    assert best_items(world, 0, best, np.zeros(3)) == 3
    chances = [click_chance(world, 0, np.array(slate, np.int32)) for slate in itertools.permutations(some, 3)]
    assert click_chance(world, 0, best) == pytest.approx(max(chances), abs=1e-12)


def test_the_best_items_are_fewer_where_fewer_are_to_be_had(world):
    world.catalogue.items.available[:] = 0
    world.catalogue.items.available[[10, 11, 12]] = 1
    best = np.zeros(5, np.int32)
    assert best_items(world, 0, best, np.zeros(5)) == 2
    assert set(best[:2].tolist()) == {10, 12}
    assert best_items(world, 0, best[:0], np.zeros(0)) == 0
    assert not world.catalogue.marks.any()


def test_carts_are_filled_as_often_as_the_closed_form_says():
    shop = Shop(CONFIG, seed=6, start=START)
    shop.advance(START + 5_000)
    world, n = shop._world, 4_000
    slot = int(world.sessions.heap[0])
    session = world.sessions.rows[slot]
    before = session.copy()
    person = world.shoppers.rows[session.shopper]
    expected = choice.cart_chance(world.rules[0], session, person, world.catalogue.items, 40)
    carted = 0
    for seed in range(n):
        world.clock[0].rows = 0
        world.sessions.rows[slot] = before
        session.stream[0] = seed
        session.state = CLICKING
        session.next_item = 40
        act(world, slot)
        carted += session.state == CARTING
    assert 0.01 < expected < 0.5
    assert near(carted / n, expected, n)


def test_small_functions():
    assert sigmoid(0.0) == 0.5
    assert sigmoid(-1000.0) < 1e-300
    one = np.eye(16, dtype=np.float32)
    assert cosine(one[0], one[0]) == 1.0
    assert cosine(one[0], one[1]) == 0.0
