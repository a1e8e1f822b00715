import numpy as np
import pytest

from state.simulation.catalogue import RELATED, new_catalogue, renew, reprice, take
from state.simulation.config import ShopConfig
from state.simulation.names import department_of

START = 1_763_831_000_000
DAY = 86_400_000
CONFIG = ShopConfig(shoppers=10, items=900, categories=36, brands=12, news_per_day=24.0)


def catalogue_of(config=CONFIG, seed=1):
    return new_catalogue(config, np.random.Generator(np.random.PCG64(seed)), START)


@pytest.fixture
def catalogue():
    return catalogue_of()


def test_the_same_seed_makes_the_same_catalogue_and_another_another(catalogue):
    again, other = catalogue_of(), catalogue_of(seed=2)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(catalogue, again, strict=True))
    assert catalogue.items.tobytes() != other.items.tobytes()


def test_vectors_have_length_1(catalogue):
    for vectors in (catalogue.items.vector, catalogue.categories.centre):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)


def test_items_are_nearer_to_their_own_category_than_to_others(catalogue):
    near = catalogue.items.vector @ catalogue.categories.centre.T
    own = near[np.arange(900), catalogue.items.category]
    assert own.mean() > 0.7
    assert (own[:, None] >= near).mean() > 0.95


def test_related_categories_are_others_and_mostly_of_the_same_department(catalogue):
    related = catalogue.categories.related
    assert related.shape == (36, RELATED)
    assert all(category not in related[category] for category in range(36))
    same = [department_of(category) == department_of(r) for category in range(36) for r in related[category]]
    assert np.mean(same) > 0.3


def test_a_single_category_is_related_to_itself():
    config = ShopConfig(shoppers=1, items=3, categories=1, brands=1)
    assert catalogue_of(config).categories.related.tolist() == [[0, 0, 0]]


def test_every_category_has_an_item_and_sizes_differ(catalogue):
    sizes = np.bincount(catalogue.items.category, minlength=36)
    assert sizes.min() >= 1
    assert sizes.max() > 3 * sizes.min()


def test_order_lists_each_category_s_items_with_falling_popularity(catalogue):
    for category, row in enumerate(catalogue.categories):
        mine = catalogue.order[row.first : row.end]
        assert set(mine) == set(np.flatnonzero(catalogue.items.category == category))
        steps = np.diff(catalogue.cumulative[row.first : row.end], prepend=0.0)
        assert catalogue.cumulative[row.end - 1] == pytest.approx(1.0)
        assert (np.diff(steps) <= 1e-9).all()


def test_popular_items_tend_to_be_good(catalogue):
    tops = [catalogue.order[row.first] for row in catalogue.categories]
    assert catalogue.items.quality[tops].mean() > 0.5


def test_news_arrive_in_their_order_and_are_on_sale_from_then_on(catalogue):
    news = catalogue.news
    assert news.size == 90
    assert not catalogue.items.available[news].any()
    born = catalogue.items.born[news]
    assert (np.diff(born) == DAY // 24).all()
    catalogue.items.changed[:] = 0
    renew(catalogue, int(born[2]))
    assert catalogue.items.available[news].tolist() == [1] * 3 + [0] * 87
    assert np.flatnonzero(catalogue.items.changed).tolist() == sorted(news[:3].tolist())


def test_without_a_rate_of_news_everything_is_there():
    catalogue = catalogue_of(ShopConfig(shoppers=1, items=200, news_per_day=0.0))
    assert catalogue.items.available.all()


def test_what_sells_out_is_gone_until_it_is_restocked(catalogue):
    item = int(catalogue.order[0])
    catalogue.items.available[item] = 1
    catalogue.items.stock[item] = 3
    catalogue.items.changed[:] = 0
    assert take(catalogue, item, 2, START + 10) == 2
    assert catalogue.items.available[item] == 1
    assert take(catalogue, item, 2, START + 20) == 1
    assert take(catalogue, item, 1, START + 30) == 0
    assert catalogue.items.stock[item] == 0
    assert catalogue.items.available[item] == 0
    assert np.flatnonzero(catalogue.items.changed).tolist() == [item]
    renew(catalogue, START + 19)
    assert catalogue.items.available[item] == 0
    renew(catalogue, START + 20)
    assert catalogue.items.stock[item] == catalogue.items.refill[item]
    assert catalogue.items.available[item] == 1


def test_the_ring_of_sold_out_items_is_used_again(catalogue):
    for round_ in range(5):
        for item in np.flatnonzero(catalogue.items.available):
            take(catalogue, int(item), 1_000_000, START + round_)
        renew(catalogue, START + round_)
    assert catalogue.items.available.sum() == 810
    assert catalogue.counters[0].sold_out == 5 * 810


def test_prices_stay_near_the_usual_and_only_of_what_is_to_be_had(catalogue):
    before = catalogue.items.price.copy()
    streams = np.array([1], np.uint64)
    for _ in range(5_000):
        reprice(catalogue, streams, 0)
    ratio = catalogue.items.price / before
    assert (ratio[catalogue.news] == 1.0).all()
    assert 0.05 < np.log(ratio[catalogue.items.available == 1]).std() < 0.3
    assert (catalogue.items.price > 0).all()
