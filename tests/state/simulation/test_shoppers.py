import numpy as np
import pytest

from state.simulation.catalogue import TASTE, new_catalogue
from state.simulation.config import ShopConfig
from state.simulation.records import new_records
from state.simulation.sessions import session_type
from state.simulation.shoppers import SHOPPER, add_direction, new_shoppers, normalise, taste_of

CONFIG = ShopConfig(shoppers=20_000, items=300, categories=30, looks_share=0.8, checkout_mean=0.3)


def made(config=CONFIG, seed=1):
    draws = np.random.Generator(np.random.PCG64(seed))
    catalogue = new_catalogue(config, draws, 0)
    return catalogue, new_shoppers(config, draws, catalogue.size)


@pytest.fixture(scope="module")
def shop():
    return made()


def test_a_shopper_costs_at_most_56_bytes():
    assert SHOPPER.itemsize + 8 <= 56


def test_favourites_are_categories_and_large_ones_more_often(shop):
    catalogue, shoppers = shop
    counts = np.bincount(shoppers.rows.favourites.ravel(), minlength=30)
    assert counts.size == 30
    shares = np.diff(catalogue.size, prepend=0.0)
    assert np.abs(counts / counts.sum() - shares).max() < 0.01


def test_shares_and_means_are_those_of_the_configuration(shop):
    rows = shop[1].rows
    assert abs(rows.looks.mean() - 0.8) < 0.015
    assert abs(rows.checkout.mean() - 0.3) < 0.01
    assert 0 <= rows.checkout.min() <= rows.checkout.max() <= 1
    assert abs(np.median(rows.sensitivity) - 1.0) < 0.03


def test_few_shoppers_make_many_of_the_sessions(shop):
    activity = np.sort(np.diff(shop[1].cumulative, prepend=0.0))[::-1]
    assert activity.sum() == pytest.approx(1.0)
    assert activity[:2_000].sum() > 0.25
    assert activity[-1] > 0


@pytest.mark.parametrize(("mean", "expected"), [(0.0, 0.0), (1.0, 1.0)])
def test_nobody_or_everybody_checks_out_at_the_ends_of_the_range(mean, expected):
    config = ShopConfig(shoppers=50, items=120, checkout_mean=mean)
    assert (made(config)[1].rows.checkout == expected).all()


def taste(shop, shopper, spread, stream=3):
    catalogue, shoppers = shop
    session = new_records(1, session_type(10))[0]
    session.stream[0] = stream
    taste_of(shoppers.rows[shopper], catalogue.categories, spread, session)
    assert session.intent.tolist() == session.taste.tolist()
    return session.taste.copy()


def test_a_taste_lies_between_the_favourite_categories(shop):
    catalogue, shoppers = shop
    for shopper in range(20):
        vector = taste(shop, shopper, 0.0)
        near = catalogue.categories.centre @ vector
        first = shoppers.rows.favourites[shopper, 0]
        assert near[first] >= near.mean() + near.std()
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)


def test_a_taste_has_something_of_its_own_but_is_the_same_each_time(shop):
    assert taste(shop, 0, 0.4).tolist() == taste(shop, 0, 0.4).tolist()
    assert taste(shop, 0, 0.4).tolist() != taste(shop, 0, 0.4, stream=4).tolist()


def test_random_directions_have_the_length_asked_for():
    streams = np.array([5], np.uint64)
    lengths = []
    for _ in range(500):
        vector = np.zeros(TASTE, np.float32)
        add_direction(streams, 0, 0.5, vector)
        lengths.append(float(np.square(vector).sum()))
    assert np.mean(lengths) == pytest.approx(0.25, rel=0.1)


def test_no_direction_at_all_stays_finite():
    vector = np.zeros(TASTE, np.float32)
    normalise(vector)
    assert vector.tolist() == [0.0] * TASTE
