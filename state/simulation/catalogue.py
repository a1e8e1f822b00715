"""The catalogue: items as points in the space of tastes, with prices, stock and news."""

import math
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.kernel import kernel
from state.retrieval.arrays import DAY_MS, Bytes, Doubles, Floats, Ints, Longs
from state.simulation.config import ShopConfig
from state.simulation.draws import Streams, draw_below, draw_normal
from state.simulation.names import DEPARTMENTS, department_of
from state.simulation.records import Records, new_records

TASTE: Final = 16
"""Dimensions of the space of tastes."""
RELATED: Final = 3
"""Related categories of a category."""
DEPARTMENT_SPREAD: Final = 1.0
"""Length of a category's offset from its department, itself of length 1."""
MIDDLE_PRICE: Final = 30.0
"""Median over categories of the median price."""
CATEGORY_PRICE_SPREAD: Final = 0.9
"""Standard deviation over categories of the log median price."""
SALE_SPREAD: Final = 0.15
"""Standard deviation of the log of a new price by the old one's middle."""
MAX_STOCK: Final = 50.0
"""Most that an item's stock may be above the mean, as a factor."""

ITEM: Final = np.dtype(
    [
        ("vector", np.float32, (TASTE,)),  # of length 1
        ("quality", np.float32),  # standard normal
        ("price", np.float32),  # EUR, of one piece
        ("usual", np.float32),  # log price by the category's middle when there is no sale
        ("expense", np.float32),  # the same now
        ("category", np.int32),
        ("brand", np.int32),
        ("stock", np.int32),  # pieces
        ("refill", np.int32),  # pieces after a restock
        ("born", np.int64),  # epoch ms of arrival
        ("available", np.int8),  # 1 where it has arrived and is in stock
        ("changed", np.int8),  # 1 where the shop has something new to say of it
    ],
    align=True,
)
CATEGORY: Final = np.dtype(
    [
        ("centre", np.float32, (TASTE,)),  # of length 1
        ("middle", np.float32),  # log of the median price
        ("related", np.int32, (RELATED,)),  # nearest other categories
        ("first", np.int32),  # its items are `Catalogue.order[first:end]`
        ("end", np.int32),
    ],
    align=True,
)
GONE: Final = np.dtype([("item", np.int32), ("restock", np.int64)], align=True)
"""A sold-out item, and epoch ms of its restock."""
COUNTERS: Final = np.dtype([("news", np.int64), ("sold_out", np.int64), ("restocked", np.int64)])
"""Items of `Catalogue.news` that have arrived; entries of `Catalogue.gone` ever written, and done with."""


class Catalogue(NamedTuple):
    """Items by index, and categories by index."""

    items: Records
    """[items] `ITEM`."""
    categories: Records
    """[categories] `CATEGORY`."""
    order: Ints
    """[items] by category, the most popular first."""
    cumulative: Doubles
    """[items] along `order`: cumulative popularity within the category, up to 1."""
    size: Doubles
    """[categories] cumulative draw of categories, up to 1."""
    news: Ints
    """[news] items that arrive after the start, in order of arrival."""
    gone: Records
    """[items] `GONE`: a ring of sold-out items, in order of selling out."""
    counters: Records
    """[1] `COUNTERS`."""
    marks: Bytes
    """[items] work space; zero between uses."""


def new_catalogue(config: ShopConfig, draws: np.random.Generator, start: int) -> Catalogue:
    """The catalogue as it is at `start`."""
    n, categories = config.items, config.categories
    centre = _centres(draws, categories)
    weights = _ranked(draws.permutation(categories), config.category_exponent)
    category = _categories(draws, weights, n)
    brand = draws.integers(0, config.brands, n).astype(np.int32)
    offset = config.brand_spread * _directions(draws, config.brands)
    vector = _unit(centre[category] + offset[brand] + config.item_spread * _directions(draws, n))
    quality = draws.standard_normal(n).astype(np.float32)
    order, first, cumulative, popularity = _popular(config, draws, category, quality)
    middle = np.log(MIDDLE_PRICE) + CATEGORY_PRICE_SPREAD * draws.standard_normal(categories)
    usual = config.price_spread * draws.standard_normal(n)
    refill = np.clip(popularity / popularity.mean(), 1.0 / config.stock_mean, MAX_STOCK) ** 0.5
    refill = np.maximum(1, np.rint(config.stock_mean * refill / refill.mean())).astype(np.int32)
    news, born = _news(config, draws, start)
    items = new_records(n, ITEM)
    items.vector, items.quality, items.category, items.brand = vector, quality, category, brand
    items.usual = items.expense = usual
    items.price = np.round(np.exp(middle[category] + usual), 2)
    items.stock = items.refill = refill
    items.born = born
    items.available = items.changed = ~np.isin(np.arange(n), news)
    rows = new_records(categories, CATEGORY)
    rows.centre, rows.middle, rows.related = centre, middle, _related(centre)
    rows.first, rows.end = first[:-1], first[1:]
    return Catalogue(
        items=items,
        categories=rows,
        order=order,
        cumulative=cumulative,
        size=np.cumsum(weights) / weights.sum(),
        news=news,
        gone=new_records(n, GONE),
        counters=new_records(1, COUNTERS),
        marks=np.zeros(n, np.int8),
    )


def _unit(vectors: NDArray[Any]) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


def _directions(draws: np.random.Generator, n: int) -> Floats:
    return _unit(draws.standard_normal((n, TASTE)))


def _centres(draws: np.random.Generator, categories: int) -> Floats:
    departments = _directions(draws, len(DEPARTMENTS))
    mine = [department_of(category) for category in range(categories)]
    return _unit(departments[mine] + DEPARTMENT_SPREAD * _directions(draws, categories))


def _ranked(rank: NDArray[Any], exponent: float) -> Doubles:
    return np.asarray((rank + 1.0) ** -exponent, np.float64)


def _categories(draws: np.random.Generator, weights: Doubles, n: int) -> Ints:
    """Category of each item: every category has one item at least, larger ones more."""
    categories = weights.size
    rest = draws.choice(categories, n - categories, p=weights / weights.sum())
    return draws.permutation(np.concatenate([np.arange(categories), rest])).astype(np.int32)


def _popular(
    config: ShopConfig, draws: np.random.Generator, category: Ints, quality: Floats
) -> tuple[Ints, Ints, Doubles, Doubles]:
    """`order`, `first`, `cumulative`, and the popularity of each item: good items tend to be popular."""
    liking = quality + draws.standard_normal(category.size)
    order = np.lexsort((-liking, category)).astype(np.int32)
    first = np.searchsorted(category[order], np.arange(config.categories + 1)).astype(np.int32)
    rank = np.arange(category.size) - first[category[order]]
    weights = _ranked(rank, config.popularity_exponent)
    total = np.cumsum(weights)
    before = np.concatenate([[0.0], total])[first]
    mine = category[order]
    cumulative = (total - before[mine]) / (before[mine + 1] - before[mine])
    popularity = np.empty(category.size)
    popularity[order] = weights / (before[mine + 1] - before[mine])
    return order, first, cumulative, popularity


def _news(config: ShopConfig, draws: np.random.Generator, start: int) -> tuple[Ints, Longs]:
    """Items that arrive later, in order of arrival, and when each item arrives."""
    born = np.full(config.items, start, np.int64)
    if config.news_per_day == 0:
        return np.zeros(0, np.int32), born
    count = int(config.news_share * config.items)
    news = draws.permutation(config.items)[:count].astype(np.int32)
    gap = DAY_MS / config.news_per_day
    born[news] = start + np.maximum(1, (np.arange(1, count + 1) * gap)).astype(np.int64)
    return news, born


def _related(centre: Floats) -> Ints:
    """The nearest other categories; where there are too few, some more than once."""
    near = centre @ centre.T
    np.fill_diagonal(near, -2.0)
    best = np.argsort(-near, axis=1, kind="stable")[:, : max(1, min(RELATED, len(centre) - 1))]
    return best[:, np.arange(RELATED) % best.shape[1]].astype(np.int32)


@kernel
def renew(catalogue: Catalogue, time: int) -> None:
    """Put on sale what has arrived, and what is restocked, by `time`."""
    counters, items, gone = catalogue.counters[0], catalogue.items, catalogue.gone
    while counters.news < catalogue.news.size and items[catalogue.news[counters.news]].born <= time:
        _offer(catalogue, catalogue.news[counters.news])
        counters.news += 1
    while counters.restocked < counters.sold_out and gone[counters.restocked % gone.size].restock <= time:
        item = gone[counters.restocked % gone.size].item
        items[item].stock = items[item].refill
        _offer(catalogue, item)
        counters.restocked += 1


@kernel
def _offer(catalogue: Catalogue, index: int) -> None:
    item = catalogue.items[index]
    item.available = 1
    item.changed = 1


@kernel
def take(catalogue: Catalogue, index: int, pieces: int, restock: int) -> int:
    """Sell up to so many pieces, to be restocked at that time; returns how many there were."""
    item = catalogue.items[index]
    sold = min(pieces, item.stock)
    item.stock -= sold
    if sold > 0 and item.stock == 0:
        item.available = 0
        item.changed = 1
        counters = catalogue.counters[0]
        entry = catalogue.gone[counters.sold_out % catalogue.gone.size]
        entry.item = index
        entry.restock = restock
        counters.sold_out += 1
    return int(sold)


@kernel
def reprice(catalogue: Catalogue, streams: Streams, stream: int) -> None:
    """Give some item another price, near its usual one; what is not to be had keeps its price."""
    item = catalogue.items[draw_below(streams, stream, catalogue.items.size)]
    expense = item.usual + SALE_SPREAD * draw_normal(streams, stream)
    if item.available:
        item.expense = expense
        price = math.exp(catalogue.categories[item.category].middle + expense)
        item.price = max(0.01, round(100.0 * price) / 100.0)
        item.changed = 1
